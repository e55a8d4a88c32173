"""What was found over a range of chunks, as charts: one subject as a curve, all others as a heat map.

Each column of a chart leads to its chunk, or, where it holds several, to the range of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlencode

from pizzeria.monitoring.history import Binned, Chunk, History, Reach
from pizzeria.report.wording import moment, number, plural
from pizzeria.ui import charts
from pizzeria.ui.charts import Chart, Column, Scale
from pizzeria.ui.projects import Project

OTHERS = ("drift", "multivariate_drift", "quality", "concept")
"""Kinds of findings, beside performance."""
_BINS = 240
"""Columns at most; with more chunks, some share one."""
_ROWS = 40
_SURE = 1.96
"""Standard errors to either side of an estimate: 95% of a normal distribution."""

Bins = Sequence[Sequence[Chunk]]


@dataclass(frozen=True)
class Plot:
    """A chart of one subject.

    Attributes:
        subjects: All that there are of its kind.
    """

    chart: Chart
    kind: str
    subject: str
    subjects: Sequence[str]
    latest: Binned | None
    method: str


@dataclass(frozen=True)
class HeatRow:
    subject: str
    kind: str
    alarms: int


@dataclass(frozen=True)
class Heat:
    """All other subjects at once.

    Attributes:
        more: Rows that are not shown.
    """

    chart: Chart
    rows: Sequence[HeatRow]
    more: int


def binned(chunks: Sequence[Chunk]) -> list[list[Chunk]]:
    """The chunks in order, so many to a bin that the bins fit the width."""
    size = max(1, -(-len(chunks) // _BINS))
    return [list(chunks[i : i + size]) for i in range(0, len(chunks), size)]


def performance(project: Project, bins: Bins, subject: str) -> Plot | None:
    """Estimated and realised performance; of the first metric where no other is asked for."""
    return curve(project, bins, ("performance",), subject)


def curve(project: Project, bins: Bins, kinds: Sequence[str], subject: str) -> Plot | None:
    """One subject over the bins; None where nothing was found of it."""
    if project.history is None or not bins:
        return None
    subjects = subjects_of(project, bins, kinds)
    if not subjects:
        return None
    subject = subject if subject in subjects else subjects[0]
    found = project.history.binned(bins, kinds, subject)
    by_bin = {one.bin: one for one in found}
    rows = [by_bin.get(i) for i in range(len(bins))]
    latest = next((one for one in reversed(rows) if one is not None), None)
    kind = found[0].kind if found else kinds[0]
    return Plot(_chart(project, bins, rows, subject), kind, subject, subjects, latest, latest.method if latest else "")


def subjects_of(project: Project, bins: Bins, kinds: Sequence[str]) -> list[str]:
    """Subjects of a kind in the latest chunks: the shortest names, which are those of the whole model, first."""
    assert project.history is not None
    latest = [chunk for chunks in bins[-5:] for chunk in chunks[-2:]]
    found = project.history.findings(latest)
    names = {one.subject: None for some in found.values() for one in some if one.kind in kinds}
    return sorted(names, key=lambda name: (" of " in name, name))


def _chart(project: Project, bins: Bins, rows: Sequence[Binned | None], subject: str) -> Chart:
    values = [None if one is None else one.value for one in rows]
    realised = [None if one is None else one.realised for one in rows]
    below, above = ([None if one is None else getattr(one, side) for one in rows] for side in ("low", "high"))
    errors = [None if one is None else one.error for one in rows]
    lows, highs = (
        [None if v is None or e is None else v + way * _SURE * e for v, e in zip(values, errors, strict=True)]
        for way in (-1, 1)
    )
    if all(value is None or 0 <= value <= 1 for value in (*values, *realised)):  # a share stays one
        lows, highs = ([None if v is None else min(max(v, 0.0), 1.0) for v in side] for side in (lows, highs))
    scale = Scale.around([*values, *realised, *below, *above, *lows, *highs])
    chart = Chart(
        width=len(bins),
        ticks=[_tick(tick, scale.step) for tick in scale.ticks()],
        labels=_labels(bins),
        columns=_columns(project, bins, rows),
        words=_words(subject, rows, bins),
        grid=scale.grid(),
    )
    alarms = [(i, _broken(one, scale)) for i, one in enumerate(rows) if one and one.alert]
    unsure = [(i, scale.low) for i, one in enumerate(rows) if one and one.value is None and not one.alert]
    estimated = any(one is not None and one.kind == "performance" for one in rows)
    for name, key, path in (
        ("change", "another bundle", charts.uprights(_changes(bins))),
        ("band", "95% of its samples", charts.band(lows, highs, scale)),
        ("rule", "rule", charts.steps(below, scale) + charts.steps(above, scale)),
        ("real", "realised, by labels", charts.line(realised, scale)),
        ("curve", "estimated" if estimated else "measured", charts.line(values, scale)),
        ("unsure", "undecided", charts.dots(unsure, scale)),
        ("alarm", "beyond the rule", charts.dots(alarms, scale)),
    ):  # fmt: skip
        if path:
            chart.shapes.append((name, path))
            chart.key.append((name, key))
    return chart


def _changes(bins: Bins) -> list[int]:
    """Where another bundle has taken over."""
    live = [chunks[0].sha256 for chunks in bins]
    return [i for i in range(1, len(live)) if live[i] != live[i - 1]]


def _broken(one: Binned, scale: Scale) -> float:
    """Which value is beyond the rule: what was realised, where the estimate is not."""
    inside = one.value is not None and (one.low is None or one.value >= one.low)
    inside = inside and (one.high is None or one.value <= one.high)  # type: ignore[operator]
    if one.realised is not None and (inside or one.value is None):
        return one.realised
    return scale.low if one.value is None else one.value


def _columns(project: Project, bins: Bins, rows: Sequence[Binned | None]) -> list[Column]:
    out = []
    for chunks, one in zip(bins, rows, strict=True):
        said = []
        if one is not None:
            said.append("undecided" if one.value is None else number(one.value))
            if one.realised is not None:
                said.append(f"realised {number(one.realised)}")
            if one.alert:
                said.append("beyond the rule")
        out.append(Column(f"{_named(chunks)}: {', '.join(said) or 'nothing found'}", _href(project, chunks)))
    return out


def heat_map(project: Project, bins: Bins, every: bool) -> Heat | None:
    """How far each subject is from its rule, by chunk."""
    assert project.history is not None
    groups: dict[tuple[str, str], list[Reach]] = {}
    for one in _reaches(project.history, tuple(map(tuple, bins))):
        groups.setdefault((one.kind, one.subject), []).append(one)
    if not groups:
        return None

    def worst(key: tuple[str, str]) -> tuple[float, ...]:
        found = groups[key]
        reach = max((one.reach for one in found if one.reach is not None), default=0.0)
        return (-sum(one.alert for one in found), -reach)

    ordered = sorted(groups, key=lambda key: (*worst(key), key))
    shown = ordered if every else ordered[:_ROWS]
    levels: dict[str, list[tuple[int, int]]] = {}
    alarms = [0] * len(bins)
    for row, key in enumerate(shown):
        for one in groups[key]:
            levels.setdefault(_level(one), []).append((row, one.bin))
    for found in groups.values():
        for one in found:
            alarms[one.bin] += one.alert
    columns = [
        Column(f"{_named(chunks)}: {alarms[i]} beyond their rule", _href(project, chunks))
        for i, chunks in enumerate(bins)
    ]
    keys = {"unknown": "undecided", "far": "far from its rule", "half": "half way", "near": "near", "hot": "beyond it"}
    chart = Chart(
        width=len(bins),
        ticks=[],
        labels=_labels(bins),
        columns=columns,
        words=f"{plural(len(shown), 'subject')} in {plural(len(bins), 'column')}, {sum(alarms)} times beyond its rule",
        shapes=[(level, charts.cells(places)) for level, places in levels.items()],
        key=[(level, words) for level, words in keys.items() if level in levels],
        height=len(shown),
    )
    rows = [HeatRow(subject, kind, sum(one.alert for one in groups[kind, subject])) for kind, subject in shown]
    return Heat(chart, rows, len(ordered) - len(shown))


@lru_cache(maxsize=8)
def _reaches(history: History, bins: tuple[tuple[Chunk, ...], ...]) -> list[Reach]:
    """A year of them takes a while; a chunk that is judged again has another `judged_at`, and so another key."""
    return history.reaches(bins, OTHERS)


def _level(one: Reach) -> str:
    if one.alert:
        return "hot"
    if not one.measured:
        return "unknown"
    if one.reach is None or one.reach < 0.5:
        return "far"
    return "half" if one.reach < 0.8 else "near"


def _href(project: Project, chunks: Sequence[Chunk]) -> str:
    if len(chunks) == 1:
        return f"/{project.name}/chunks/{chunks[0].id}"
    return f"/{project.name}/monitoring?{urlencode({'since': chunks[0].start, 'until': chunks[-1].start + 'Z'})}"


def _named(chunks: Sequence[Chunk]) -> str:
    first = f"chunk {chunks[0].name}" if len(chunks) == 1 else f"chunks {chunks[0].name} to {chunks[-1].name}"
    return f"{first}, {moment(chunks[0].start)}"


def _labels(bins: Bins) -> list[str]:
    """Times along the chart; hours too, where it spans a few days."""
    begins = [chunks[0].start for chunks in bins]
    if not begins[0][11:16] or begins[0][:10] == begins[-1][:10] or len({begin[:10] for begin in begins}) < 8:
        return charts.spread([begin[5:16].replace("T", " ") for begin in begins], 4)
    return charts.spread([begin[:10] for begin in begins], 4)


def _words(subject: str, rows: Sequence[Binned | None], bins: Bins) -> str:
    known = [one.value for one in rows if one is not None and one.value is not None]
    alarms = sum(1 for one in rows if one is not None and one.alert)
    span = f" between {number(min(known))} and {number(max(known))}" if known else " never measured"
    return f"{subject} over {plural(sum(map(len, bins)), 'chunk')}:{span}, {alarms} beyond the rule"


def _tick(value: float, step: float) -> str:
    digits = 0
    while digits < 6 and abs(round(step, digits) - step) > step * 1e-6:
        digits += 1
    return f"{value:.{digits}f}"
