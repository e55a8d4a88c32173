"""What instruments make of a figure that tells of all columns of a chunk at once."""

from __future__ import annotations

from collections.abc import Callable

from pizzeria.contracts import Alarm, Finding
from pizzeria_plugins.monitors.chunks import Part
from pizzeria_plugins.monitors.instruments import Judgement, Known, Reading


def judge_together(
    known: Known,
    name: str,
    subject: str,
    method: str,
    bounds: Callable[[Reading], tuple[float | None, float]],
    words: Callable[[Part, float, str], str],
) -> Judgement:
    """Findings and alarms of the fresh chunks; a chunk without a value, because columns are missing, is undecided.

    Args:
        name: Of the instrument, whose readings have `value`, `missing` and maybe `error`.
        subject: Of the findings.
        method: How it was measured.
        bounds: From a reading, between which a chunk is healthy; None: there is no lower bound.
        words: Of an alarm, from the chunk, its value and the rule in words.
    """
    findings: list[Finding] = []
    alarms: list[Alarm] = []
    undecided: list[str] = []
    for part, reading in known.of(name):
        if part.name not in known.fresh:
            continue
        value, where = reading["value"], (part.name, part.start, part.end)
        if value is None:
            missing = ", ".join(reading["missing"]) or "all but a few rows"
            undecided.append(f"{missing} is missing from {part}: no multivariate drift")
            findings.append(Finding("multivariate_drift", subject, *where, None, "", None, None, method))
            continue
        low, high = bounds(reading)
        text = f"above {high:.3f}" if low is None else f"outside {low:.3f} to {high:.3f}"
        alert = not ((low is None or low <= value) and value <= high)
        findings.append(
            Finding("multivariate_drift", subject, *where, value, text, alert, None, method, low, high,
                    reading.get("error"))
        )  # fmt: skip
        if alert:
            alarms.append(Alarm("multivariate_drift", subject, *where, words(part, value, text)))
    return Judgement(tuple(findings), tuple(alarms), tuple(undecided))
