"""`data.leakage`: what must not be on two sides of the split."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from pizzeria.spec.section import Fraction, Section

What = Literal["near_duplicates", "exact", "group", "rows", "target"]


class Allowed(Section):
    """A leak that is known and allowed, with the reason, which every report prints."""

    what: What = Field(description="near_duplicates, exact, group, rows or target.")
    column: str | None = Field(default=None, description="Of a group or a target: this column alone; without it any.")
    reason: str = Field(min_length=1, description="Why it is right all the same.")

    @model_validator(mode="after")
    def _says_a_column_where_there_is_one(self) -> Allowed:
        if self.column is not None and self.what not in ("group", "target"):
            raise ValueError(f"{self.what} has no column; leave it out")
        return self


class Leakage(Section):
    """What must not be on two sides of the split, and what is allowed to be, with the reason."""

    distance: int = Field(
        default=8,
        ge=0,
        le=31,
        description="Photos look alike that are at most so many bits (of 64) apart by each perceptual hash; 0 is equal "
        "hashes.",
    )
    groups: tuple[str, ...] | None = Field(
        default=None,
        description="Columns whose equal values must be on one side; without it listing_id where there is one, and "
        "split.group_by.",
    )
    rows: Fraction = Field(
        default=0.01,
        description="Share of the rows of validation or test that may stand in train, equal in all columns.",
    )
    auc: float = Field(
        default=0.98,
        gt=0.5,
        le=1,
        description="A column that alone tells the classes this well on validation is a leak.",
    )
    r2: float = Field(
        default=0.7,
        gt=0,
        le=1,
        description="A column that alone tells a number's target this well on validation is a leak.",
    )
    known_after: tuple[str, ...] = Field(
        default=(),
        description="Columns that are known only after the moment of prediction; the model may not see them, however "
        "little they tell.",
    )
    sample: int = Field(
        default=200_000, ge=1000, description="So many rows at most are looked at to see what a column tells."
    )
    allow: tuple[Allowed, ...] = Field(default=(), description="Leaks that are known, each with the reason.")
