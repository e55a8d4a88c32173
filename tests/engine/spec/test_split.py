"""`data.split`: what excludes what is said before anything is read."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from pizzeria.spec.split import Split


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation": 0.5, "test": 0.5}, "leave nothing to train on"),
        ({"folds": 2, "validation": 0.5}, "one fold of 2 leave nothing"),
        ({"folds": 5, "fold": 5}, "numbered from 0 to 4"),
        ({"folds": 5, "order_by": "at"}, "order_by and folds exclude each other"),
        ({"column": "part", "files": {"train": ["a"]}}, "column and files exclude each other"),
        ({"stratify_by": "kind", "order_by": "at"}, "time alone says"),
        ({"gap": 3}, "a gap needs order_by"),
        ({"gap": -1, "order_by": "at"}, "at least 0 rows"),
        ({"gap": "a day", "order_by": "at"}, "is no time span"),
        ({"gap": 3, "order_by": "at", "group_by": "who"}, "gap and groups exclude each other"),
    ],
)
def test_what_makes_no_sense(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Split.model_validate(options)


def test_gaps_in_time() -> None:
    assert Split(order_by="at", gap="1.5h").gap_s == 5400
    assert Split(order_by="at", gap="2 d").gap_s == 172_800
    assert Split(order_by="at", gap=7).gap_s is None
