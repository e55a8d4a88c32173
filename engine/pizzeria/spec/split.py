"""`data.split`: how rows go to train, validation and test."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from pizzeria.spec.section import Fraction, Section

Side = Literal["train", "validation", "test"]
CLASSES = "classes"
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h|d|w)")
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "w": 604800}


class Files(Section):
    """The sides as lists that somebody has made: ids or file names, or a text file with one of them in each line."""

    train: Path | tuple[str, ...] = Field(description="Ids (image_id, row_id) or file names, or a file that has them.")
    validation: Path | tuple[str, ...] | None = Field(
        default=None, description="The same for validation; without it, it is made from train."
    )
    test: Path | tuple[str, ...] | None = Field(
        default=None, description="The same for the test; without it, it is made from train."
    )


class Split(Section):
    """How rows go to train, validation and test; the same spec and data always give the same split."""

    group_by: str | None = Field(
        default=None, description="Column whose equal values stay on one side, such as listing_id."
    )
    group_near_duplicates: bool = Field(
        default=False,
        description="Photos that are equal or look alike (data.leakage.distance) count as one group, and join the "
        "groups of group_by that share them.",
    )
    stratify_by: str | None = Field(
        default=None,
        description="`classes`, or a column: each of its values gets its share on each side, as near as whole groups "
        "allow. `classes` are the labels or boxes of photos, or the target of a table.",
    )
    order_by: str | None = Field(
        default=None,
        description="Column to sort by: train comes before validation, validation before test. With group_by a group "
        "stands where its last row does.",
    )
    gap: int | str = Field(
        default=0,
        description="With order_by: what lies so close before validation, or before the test, belongs to no side; "
        "a number of rows, or a time span such as 12h or 1d.",
    )
    column: str | None = Field(
        default=None, description="Column that says the side: train; validation, valid, val or dev; test."
    )
    files: Files | None = Field(default=None, description="Lists that say the sides.")
    fixed: Path | None = Field(
        default=None,
        description="Sides that were settled before: a Parquet file of key (image_id, row_id) and split (train, "
        "validation, test, or none). Each row that it names is there, and must be in the data; group_by and order_by "
        "move none.",
    )
    rest: Literal["refuse", "leave_out", "learn"] = Field(
        default="refuse",
        description="With column, files or fixed: rows of which they say nothing. Those left out are counted. learn, "
        "with fixed alone: they go where their group is, or to train and validation, and never to the test.",
    )
    folds: int | None = Field(
        default=None,
        ge=2,
        le=100,
        description="Cross-validation: so many parts, each of which is the test once; `test` is unused. Sweep over "
        "data.split.fold.",
    )
    fold: int = Field(default=0, ge=0, description="Which part is the test, from 0.")
    validation: Fraction = Field(default=0.15, gt=0, description="Share of the rows for validation.")
    test: Fraction = Field(default=0.15, gt=0, description="Share of the rows for the test.")
    seed: int = Field(default=0, ge=0, description="Seed of the shuffle; unused with order_by.")

    @field_validator("gap")
    @classmethod
    def _is_rows_or_a_span(cls, gap: int | str) -> int | str:
        if isinstance(gap, int):
            if gap < 0:
                raise ValueError("a gap has at least 0 rows")
        elif not _SPAN.fullmatch(gap.strip()):
            raise ValueError(f"{gap!r} is no time span; write 30min, 12h, 1d or 2w, or a number of rows")
        return gap

    @model_validator(mode="after")
    def _makes_sense(self) -> Split:
        if self.folds is None and self.validation + self.test >= 1:
            raise ValueError(f"validation {self.validation:g} and test {self.test:g} leave nothing to train on")
        if self.folds is not None and self.validation + 1 / self.folds >= 1:
            raise ValueError(f"validation {self.validation:g} and one fold of {self.folds} leave nothing to train on")
        if self.folds is not None and self.fold >= self.folds:
            raise ValueError(f"fold {self.fold} of {self.folds}: they are numbered from 0 to {self.folds - 1}")
        ways = [name for name in ("order_by", "column", "files", "folds") if getattr(self, name) is not None]
        if self.fixed is not None:
            ways = ["fixed", *(name for name in ways if name != "order_by")]
        if len(ways) > 1:
            raise ValueError(f"{' and '.join(ways)} exclude each other: each says by itself what the test is")
        if self.rest == "learn" and self.fixed is None:
            raise ValueError("rest: learn is for data.split.fixed; write refuse or leave_out")
        if self.stratify_by and self.order_by:
            raise ValueError("stratify_by and order_by exclude each other: time alone says where a row goes")
        if self.gap and not self.order_by:
            raise ValueError("a gap needs order_by: without an order nothing lies close to anything")
        if self.gap and (self.group_by or self.group_near_duplicates):
            raise ValueError(
                "a gap and groups exclude each other: an early row of a late group would lie before the gap"
            )
        return self

    @property
    def gap_s(self) -> float | None:
        """The gap in seconds; None where it is a number of rows."""
        found = _SPAN.fullmatch(self.gap.strip()) if isinstance(self.gap, str) else None
        return None if found is None else float(found[1]) * _SECONDS[found[2]]
