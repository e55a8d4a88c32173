"""Whether values are missing from the traffic, or were never seen in the reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pizzeria.contracts import Finding
from pizzeria_plugins.monitors import noise
from pizzeria_plugins.monitors.chunks import Part, chunker
from pizzeria_plugins.monitors.columns import Columns


def judge_quality(
    nml: Any, columns: Columns, parts: Sequence[Part], missing_above: float, unseen_above: float
) -> tuple[list[Finding], list[str]]:
    """Findings for each column and part with missing or unseen values, and one for a part without any.

    A share of missing values alerts when it exceeds the reference's by more than `missing_above` and by more than three
    of NannyML's sampling errors; a share of unseen ones when it exceeds `unseen_above`.
    """
    names = [*columns.inputs, *columns.outputs]
    words = [name for name in names if name in columns.words]
    findings, alerts = [], []
    offset = len(columns.reference)
    moved = [Part(part.name, part.first + offset, part.stop + offset) for part in parts]
    cuts = chunker(nml, [Part("reference", 0, offset), *moved])
    analysis = columns.analysis.set_axis(range(offset, offset + len(columns.analysis)))
    missing = _run(nml.MissingValuesCalculator, names, columns.reference, analysis, cuts)
    # A missing value is no unseen one: NannyML would count it as both.
    usual = {name: columns.reference[name].mode().iloc[0] for name in words}
    unseen = _run(nml.UnseenValuesCalculator, words, columns.reference.fillna(usual), analysis.fillna(usual), cuts)
    for p, part in enumerate(parts):
        found = []
        for name in names:
            before, value = (float(missing[(name, "value")].iloc[row]) for row in (0, p + 1))
            error = float(missing[(name, "sampling_error")].iloc[p + 1])
            limit = before + max(missing_above, noise.DEVIATIONS * error)
            if value > 0:
                found.append((f"missing {name}", value, limit))
            if value > limit:
                alerts.append(f"{name} is missing in {value:.0%} of {part}; in the reference in {before:.0%}")
        for name in words:
            value = float(unseen[(name, "value")].iloc[p + 1])
            if value > 0:
                found.append((f"unseen {name}", value, unseen_above))
            if value > unseen_above:
                example = _example(columns, name, part)
                alerts.append(f"{name} has values that the reference never had in {value:.0%} of {part}: {example}")
        for subject, value, limit in found or [("missing or unseen values", 0.0, missing_above)]:
            findings.append(part.finding("quality", subject, value, f"above {limit:.3g}", value > limit))
    return findings, alerts


def _run(calculator: Any, names: Sequence[str], reference: Any, analysis: Any, cuts: Any) -> Any:
    """NannyML's table, with the reference in the first row; None without columns."""
    return calculator(column_names=list(names), chunker=cuts).fit(reference).calculate(analysis).data if names else None


def _example(columns: Columns, name: str, part: Part) -> str:
    values = columns.analysis[name].iloc[part.first : part.stop].dropna()
    fresh = values[~values.isin(columns.reference[name])]
    return ", ".join(sorted(map(str, fresh.unique()))[:3])
