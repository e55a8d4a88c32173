"""Performance of tasks that say of each class whether it is present: detection and multi-label."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.inference.bands import band_of
from pizzeria_plugins.monitors import listings
from pizzeria_plugins.monitors.classes import LEAST_EXPECTED
from pizzeria_plugins.monitors.estimates import LEAST_OF_EACH, Cbpe, Usual, mean, numbers
from pizzeria_plugins.monitors.instruments import Context, Reading
from pizzeria_plugins.monitors.metrics import NEED_POSITIVES, VERDICTS

if TYPE_CHECKING:
    import pandas as pd

LISTING = "listing_id"


@dataclass
class Presence:
    """CBPE of each class as a yes-or-no problem of its own, the mean over classes, and what listings make of it.

    Attributes:
        metrics: Of CBPE.
        classes: CBPE by class, of those that it can be fitted for.
        shares: Of each of these in the reference's photos.
        calibration: Of the bundle, for its bands; empty where it is not known.
        deviation: Standard deviation of the share of right verdicts, from listing to listing of the reference; None
            where there are no listings.
    """

    metrics: tuple[str, ...]
    classes: dict[str, Cbpe]
    shares: dict[str, float]
    undecided: tuple[str, ...]
    calibration: Mapping[str, Any] = field(default_factory=dict)
    deviation: float | None = None
    usual: dict[str, Usual] = field(default_factory=dict)
    method: str = "CBPE"

    def wants(self, column: str) -> bool:
        return column == LISTING or column in {name for one in self.classes for name in _columns(one)}

    def measure(self, chunk: pd.DataFrame) -> Reading:
        frames = {name: numbers(chunk, _columns(name)) for name in self.classes if {*_columns(name)[:2]} <= set(chunk)}
        found = {name: self._class(name, frame) for name, frame in frames.items()}
        out: dict[str, dict[str, float]] = {}
        for metric in self.metrics:
            rows = [rows[metric] for rows in found.values()]
            out[metric] = _together(rows)
            out |= {f"{metric} of {name}": one[metric] for name, one in found.items()}
        if self.deviation is not None and LISTING in chunk:
            shares = self._verdicts(chunk, frames)
            decided = int(np.isfinite(shares.estimated).sum())
            out[VERDICTS] = {
                "value": listings.value_of(shares.estimated),
                "error": self.deviation / math.sqrt(decided) if decided else math.nan,
                "realised": listings.value_of(shares.realised),
            }
        return out

    def _class(self, name: str, frame: pd.DataFrame) -> dict[str, dict[str, float]]:
        found = self.classes[name].measure(frame)
        silent = not (frame[f"pred:{name}"] == 1).any() and len(frame) * self.shares[name] < LEAST_EXPECTED
        for metric in self.metrics:
            if silent and metric in NEED_POSITIVES:
                found[metric]["value"] = math.nan
        return found

    def _verdicts(self, chunk: pd.DataFrame, frames: Mapping[str, pd.DataFrame]) -> listings.Shares:
        places = _listings(chunk[LISTING])
        probabilities, said, truth = {}, {}, {}
        for name, frame in frames.items():
            known = frame.dropna(subset=[f"p:{name}"])
            calibrated = self.classes[name].calibrated(known)[f"p:{name}"]
            probabilities[name] = calibrated.reindex(frame.index).to_numpy(float)
            if self.calibration:
                band, usual = band_of(name, self.calibration), self.calibration.get("listing_photos")
                said[name] = listings.by_bands(places, frame[f"p:{name}"].to_numpy(float), band, usual)
            else:
                said[name] = listings.by_photos(places, frame[f"pred:{name}"].to_numpy(float))
            if f"true:{name}" in frame:
                truth[name] = frame[f"true:{name}"].to_numpy(float)
        return listings.right_shares(places, probabilities, said, truth)


def fit(context: Context, metrics: Sequence[str]) -> Presence:
    """Fit on the reference."""
    reference, wanted = context.reference, [metric for metric in metrics if metric != VERDICTS]
    wanted = wanted or ["f1"]  # The classes are needed for the verdicts anyway.
    found: dict[str, Cbpe] = {}
    shares: dict[str, float] = {}
    undecided = []
    for name in context.problem.classes:
        columns = _columns(name)
        absent = [column for column in columns if column not in reference]
        why = f"no column {', '.join(absent)} in the reference"
        if not absent:
            frame = numbers(reference, columns).dropna()
            with_it, without = (int((frame[columns[2]] == value).sum()) for value in (1, 0))
            why = (
                f"the reference has it in {with_it} rows and not in {without}, and at least {LEAST_OF_EACH} of each "
                "are needed"
            )
        if absent or min(with_it, without) < LEAST_OF_EACH:
            undecided += [f"{metric} of {name} cannot be estimated: {why}" for metric in wanted]
            continue
        found[name] = Cbpe.fit(context.nml, wanted, columns[0], columns[1], columns[2], frame, context.parts)
        shares[name] = with_it / len(frame)
    calibration = reference.attrs.get("calibration", {})
    presence = Presence(
        tuple(wanted), found, shares, tuple(undecided), calibration if "thresholds" in calibration else {}
    )
    for metric in wanted:
        own = [one.usual[metric] for one in found.values()]
        presence.usual |= {metric: _usual(metric, own)} if own else {}
        presence.usual |= {f"{metric} of {name}": one.usual[metric] for name, one in found.items()}
    _fit_verdicts(context, presence)
    if VERDICTS in metrics and VERDICTS not in presence.usual:
        why = "the reference's records have no listing_id" if found else "no class can be"
        presence.undecided += (f"{VERDICTS} cannot be estimated: {why}",)
    return presence


def _fit_verdicts(context: Context, presence: Presence) -> None:
    """What the listings of the reference show; nothing where photos have none."""
    reference = context.reference
    if LISTING not in reference or not presence.classes or not (_listings(reference[LISTING]) >= 0).any():
        return
    estimated, realised, single = [], [], np.zeros(0)
    for part in context.parts:
        piece = reference.iloc[part.first : part.stop].reset_index(drop=True)
        shares = presence._verdicts(piece, {name: numbers(piece, _columns(name)) for name in presence.classes})
        estimated.append(listings.value_of(shares.estimated))
        realised.append(listings.value_of(shares.realised))
        single = np.concatenate([single, shares.realised[np.isfinite(shares.realised)]])
    if not len(single):
        return
    presence.deviation = float(single.std())
    presence.usual[VERDICTS] = Usual(VERDICTS, VERDICTS, mean(realised), mean(estimated), tuple(realised))


def _columns(name: str) -> list[str]:
    return [f"p:{name}", f"pred:{name}", f"true:{name}"]


def _listings(column: pd.Series[Any]) -> NDArray[np.int64]:
    """[N] number of each row's listing, -1 where it has none."""
    import pandas as pd

    texts = column.map(str, na_action="ignore") if column.dtype == object else column
    places, _ = pd.factorize(texts.where(texts != ""))
    return places.astype(np.int64)


def _usual(metric: str, own: Sequence[Usual]) -> Usual:
    shortest = min(len(one.parts) for one in own)
    parts = [mean([one.parts[i] for one in own]) for i in range(shortest)]
    return Usual(
        metric, metric, mean([one.realised for one in own]), mean([one.estimated for one in own]), tuple(parts)
    )


def _together(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean over classes, of those that have a value. Their sampling errors count as independent."""
    known = [row for row in rows if math.isfinite(row["value"])]
    squares = [row["error"] ** 2 for row in known if math.isfinite(row["error"])]
    return {
        "value": mean([row["value"] for row in known]),
        "error": math.sqrt(sum(squares)) / max(len(known), 1),
        "realised": mean([row["realised"] for row in rows]),
    }
