"""Records as a detector would log them, with well-calibrated probabilities, and what darkness does to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pizzeria.spec.monitoring import Monitoring
from pizzeria.spec.problem import Criterion, Problem
from pizzeria_plugins.monitors import library, schema
from pizzeria_plugins.monitors.chunks import Part
from pizzeria_plugins.monitors.instruments import Context, Instrument, Judgement, Known

CLASSES = ("bed", "sofa", "table", "chair", "stove", "fridge", "sink", "tv")
SHARES = np.array([0.4, 0.35, 0.5, 0.6, 0.2, 0.2, 0.25, 0.15])

Traffic = Callable[..., pd.DataFrame]


def records(
    rows: int, seed: int, *, dark: float = 0.0, labels: bool = True, photos_per_listing: int = 5
) -> pd.DataFrame:
    """`rows` records of photos; those of a listing share their light. `dark` is 0 (healthy) to 1 (night)."""
    rng = np.random.default_rng(seed)
    listing = np.arange(rows) // photos_per_listing
    light = rng.normal(0, 0.7, listing[-1] + 1)[listing]
    z = rng.normal(size=(6, rows))
    brightness = light + 0.6 * z[0] - 3 * dark
    out = pd.DataFrame(
        {
            "timestamp": [t.isoformat() for t in pd.date_range("2026-01-01", periods=rows, freq="10min", tz="UTC")],
            "sha256": "a" * 64,
            "input_id": [f"{seed}-{i}.jpg" for i in range(rows)],
            "listing_id": [f"listing {seed}-{i}" for i in listing],
            "latency_ms": 12.0,
            "feature:brightness": 0.5 + 0.15 * brightness,
            "feature:contrast": 0.2 + 0.04 * (z[1] + 0.5 * brightness),
            "feature:saturation": 0.4 + 0.1 * z[2],
            "feature:sharpness": np.exp(4 + 0.5 * z[3] - 2 * dark),
            "feature:entropy": 7 + 0.3 * (z[4] + 0.4 * brightness),
            "feature:warmth": 0.1 * z[5],
            "feature:aspect": 1.5,
        }
    )
    for name, share in zip(CLASSES, SHARES, strict=True):
        truth = rng.random(rows) < share
        seen = np.where(truth, 1.6, -1.6) * (1 - 0.8 * dark) + rng.normal(size=rows)
        # The posterior of a healthy photo, so that probabilities are calibrated until it gets dark.
        p = 1 / (1 + np.exp(-(3.2 * seen + np.log(share / (1 - share)))))
        out[f"p:{name}"] = np.round(p, 6)
        out[f"pred:{name}"] = (p >= 0.5).astype(int)
        if labels:
            out[f"true:{name}"] = truth.astype(int)
    return out


@pytest.fixture(scope="session")
def traffic() -> Traffic:
    return records


@pytest.fixture(scope="session")
def detection() -> Problem:
    return Problem(
        need="Guests lose trust in listings.",
        owner="trust-and-safety",
        task="object_detection",
        classes=CLASSES,
        success=(Criterion(metric="map_50", at_least=0.5),),
    )


def table_problem(classes: tuple[str, ...] = ()) -> Problem:
    """A table's problem: regression without classes."""
    task, metric = ("tabular_classification", "auroc") if classes else ("tabular_regression", "r2")
    return Problem(
        need="Somebody needs to know.",
        owner="us",
        task=task,
        target="target",
        classes=classes,
        success=(Criterion(metric=metric, at_least=0.1),),
    )


@pytest.fixture(scope="session")
def table() -> Callable[..., Problem]:
    return table_problem


def context_of(
    reference: pd.DataFrame, problem: Problem, monitoring: Monitoring | None = None, **options: Any
) -> Context:
    """What an instrument is fitted on, with nothing remembered."""
    nml = library.load()
    columns, numbers = schema.fit(reference, problem)
    chosen = SimpleNamespace(**{"least_rows": 30, "resamples": 60, "seed": 0, **options})
    parts = [Part("reference", 0, len(reference))]
    return Context(
        nml, chosen, monitoring or Monitoring(), problem, reference, parts, columns, numbers, lambda _, make: make()
    )


def judged(instrument: Instrument, chunks: Sequence[pd.DataFrame]) -> Judgement:
    """What an instrument makes of chunks 1, 2 and so on, all of them fresh."""
    return instrument.judge(known_of(instrument, chunks))


def known_of(instrument: Instrument, chunks: Sequence[pd.DataFrame]) -> Known:
    """The readings of chunks 1, 2 and so on, all of them fresh."""
    parts = [Part(str(i + 1), 0, len(chunk)) for i, chunk in enumerate(chunks)]
    with library.quiet():
        readings = {
            part.name: instrument.measure(chunk.reset_index(drop=True), part)
            for part, chunk in zip(parts, chunks, strict=True)
        }
    return Known(parts, frozenset(readings), {instrument.name: readings})


@pytest.fixture(scope="session")
def context() -> Callable[..., Context]:
    return context_of


@pytest.fixture(scope="session")
def judge_chunks() -> Callable[[Instrument, Sequence[pd.DataFrame]], Judgement]:
    return judged


@pytest.fixture(scope="session")
def read_chunks() -> Callable[[Instrument, Sequence[pd.DataFrame]], Known]:
    return known_of
