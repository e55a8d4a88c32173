"""Whether traffic looks like the reference, column by column: inputs, outputs, and what is made of embeddings.

Distances are NannyML's, called with numbers in place of names (see `schema`), so that a chunk costs less than a call of
NannyML's calculator. What a chunk of that size shows by chance is measured with it, and kept beside it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pizzeria.contracts import Alarm, Finding
from pizzeria.spec.monitoring import DriftThreshold
from pizzeria_plugins.monitors import chance, drift_figures, noise
from pizzeria_plugins.monitors.chunks import Part
from pizzeria_plugins.monitors.distances import Distance, floor
from pizzeria_plugins.monitors.examples import Examples
from pizzeria_plugins.monitors.examples import fit as fit_examples
from pizzeria_plugins.monitors.instruments import Context, Judgement, Known, Reading
from pizzeria_plugins.monitors.schema import Column, Read, Schema

if TYPE_CHECKING:
    import pandas as pd

NAMED = 4
"""An alarm names so many columns, the worst first."""
SUBJECT = "columns"


@dataclass
class Drift:
    """The instrument: distance of each column of a chunk from the reference.

    A reading has for each column `value`, how many rows had one (`rows`), what healthy chunks show (`healthy`: mean and
    standard deviation, of pairs drawn from the reference and of the reference's own chunks), and what of the column is
    shown in figures. `examples` are predictions that show the drift best.
    """

    name = "drift"

    rule: DriftThreshold
    schema: Schema
    distances: Mapping[str, Distance]
    healthy: chance.Healthy
    examples: Examples
    settings: Mapping[str, Any]
    truth: bool = False

    def wants(self, column: str) -> bool:
        return self.schema.wants(column) or column in ("prediction_id", "listing_id")

    def measure(self, chunk: pd.DataFrame, part: Part) -> Reading:
        read = self.schema.read(chunk)
        healthy = self.healthy.of(read.rows)
        columns: dict[str, Any] = {}
        strength: dict[str, float] = {}
        for name, distance in self.distances.items():
            values = read.values.get(name)
            known = 0 if values is None else int((~np.isnan(values)).sum())
            if values is None or not known:
                columns[name] = {"value": None, "rows": 0}
                continue
            value = distance.of(values)
            columns[name] = {"value": value, "rows": known, "healthy": healthy[name], "shown": distance.shown(values)}
            usual = chance.limit(healthy[name], chance.DEVIATIONS)
            if value > usual:
                strength[name] = value / usual if usual > 0 else math.inf
        strongest = sorted(strength, key=strength.__getitem__, reverse=True)[:NAMED]
        return {
            "columns": columns,
            "surplus": list(read.surplus),
            "examples": self.examples.furthest(chunk, read, strongest) if strongest else [],
        }

    def judge(self, known: Known) -> Judgement:
        readings = known.of(self.name)
        findings: list[Finding] = []
        alarms: list[Alarm] = []
        undecided = list(self.schema.undecided)
        surplus: dict[str, None] = {}
        for part, reading in readings:
            if part.name not in known.fresh:
                continue
            surplus |= dict.fromkeys(reading["surplus"])
            drifted = []
            for name, found in reading["columns"].items():
                value, limit = found["value"], self.limit(name, found)
                method = self.distances[name].method
                if value is None:
                    undecided.append(f"{name} has no value in {part}, so its drift is unknown")
                elif value > limit:
                    drifted.append((value / limit, name, value))
                text = "" if math.isnan(limit) else f"above {limit:.3g}"
                high = None if math.isnan(limit) else limit
                alert = None if value is None else value > limit
                where = (part.name, part.start, part.end)
                findings.append(Finding("drift", name, *where, value, text, alert, None, method, None, high))
            if drifted and len(drifted) >= min(self.rule.columns, len(reading["columns"])):
                alarms.append(self._alarm(part, sorted(drifted, reverse=True), reading["examples"]))
        if surplus:
            undecided.append(f"only the traffic has {', '.join(surplus)}: the reference says nothing of it")
        return Judgement(tuple(findings), tuple(alarms), tuple(undecided), drift_figures.draw(self, readings))

    def limit(self, name: str, found: Mapping[str, Any]) -> float:
        """Beyond which a column has drifted: what the rule allows, or what healthy chunks show, whichever is more."""
        if found["value"] is None:
            return math.nan
        distance = self.distances[name]
        allowed = floor(distance, self.rule.above, found["rows"])
        return max(allowed, chance.limit(found["healthy"], self.rule.deviations))

    def _alarm(self, part: Part, drifted: Sequence[tuple[float, str, float]], examples: Sequence[str]) -> Alarm:
        names = [name for _, name, _ in drifted]
        worst = ", ".join(f"{name} {value:.3g}" for _, name, value in drifted[:NAMED])
        more = f" and {len(drifted) - NAMED} more" if len(drifted) > NAMED else ""
        methods = dict.fromkeys(self.distances[name].method for name in names[:NAMED])
        count = f"{len(drifted)} column{'s' if len(drifted) > 1 else ''} drifted"
        text = f"{count} in {part}: {worst}{more} ({', '.join(methods)})"
        where = (part.name, part.start, part.end)
        usual = self.examples.usual if examples else ()
        return Alarm("drift", SUBJECT, *where, text, tuple(names[:NAMED]), tuple(examples), usual)


def fit(context: Context) -> Drift | None:
    """The instrument; None when the reference has no column to compare."""
    rule, schema, options = context.monitoring.drift, context.schema, context.options
    if not schema.columns:
        return None
    distances = {column.name: _distance(rule, column, context.numbers) for column in schema.columns}
    groups = noise.groups(context.reference)
    healthy = chance.Healthy(
        distances, context.numbers, groups, options.resamples, options.seed, context.monitoring.chunk.size
    )
    settings = {
        "numbers": rule.numbers, "categories": rule.categories, "resamples": options.resamples, "seed": options.seed,
        "size": healthy.size,
    }  # fmt: skip
    if (size := healthy.size) is not None:
        healthy.keep(size, context.remember(["drift", settings], lambda: healthy.of(size)))
    return Drift(rule, schema, distances, healthy, fit_examples(context.reference, schema, context.numbers), settings)


def _distance(rule: DriftThreshold, column: Column, reference: Read) -> Distance:
    method = rule.categories if column.categorical else rule.numbers
    return Distance(method, reference.values[column.name], column.known if column.categorical else None)
