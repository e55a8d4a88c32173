"""Which photos an alarm shows."""

from __future__ import annotations

from typing import Any

from pizzeria.spec.problem import Problem
from pizzeria_plugins.monitors import examples


def test_the_dark_ones_of_a_chunk_are_shown_beside_usual_ones(context: Any, detection: Problem, traffic: Any) -> None:
    import pandas as pd

    reference = traffic(400, 0)
    asked = context(reference, detection)
    found = examples.fit(reference, asked.schema, asked.numbers)
    chunk = pd.concat([traffic(90, 1), traffic(40, 2, dark=1.0)], ignore_index=True)
    chunk["prediction_id"] = [f"id {i}" for i in range(130)]
    shown = found.furthest(chunk, asked.schema.read(chunk), ["brightness", "sharpness"])
    assert len(shown) == 5
    assert all(int(name.split()[1]) >= 90 for name in shown)
    listings = chunk.set_index("prediction_id").loc[shown, "listing_id"]
    assert listings.is_unique
    brightness = reference.set_index("input_id").loc[list(found.usual), "feature:brightness"]
    assert brightness.between(*reference["feature:brightness"].quantile([0.25, 0.75])).all()


def test_records_without_ids_show_nothing(context: Any, detection: Problem, traffic: Any) -> None:
    reference = traffic(100, 0).drop(columns="input_id")
    asked = context(reference, detection)
    found = examples.fit(reference, asked.schema, asked.numbers)
    chunk = traffic(50, 1)
    assert found.usual == ()
    assert found.furthest(chunk, asked.schema.read(chunk), ["brightness"]) == []
