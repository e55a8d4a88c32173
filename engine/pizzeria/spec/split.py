"""`data.split`: how rows go to train, validation and test."""

from __future__ import annotations

from pydantic import Field, model_validator

from pizzeria.spec.section import Fraction, Section


class Split(Section):
    """How rows go to train, validation and test; the same spec and data always give the same split."""

    group_by: str | None = Field(
        default=None, description="Column whose equal values stay on one side, such as listing_id."
    )
    order_by: str | None = Field(
        default=None, description="Column to sort by: train comes before validation, validation before test."
    )
    validation: Fraction = Field(default=0.15, gt=0, description="Share of the groups (or rows) for validation.")
    test: Fraction = Field(default=0.15, gt=0, description="Share of the groups (or rows) for the test.")
    seed: int = Field(default=0, ge=0, description="Seed of the shuffle; unused with order_by.")

    @model_validator(mode="after")
    def _leaves_some_to_train_on(self) -> Split:
        if self.validation + self.test >= 1:
            raise ValueError(f"validation {self.validation:g} and test {self.test:g} leave nothing to train on")
        if self.group_by and self.order_by:
            raise ValueError("group_by and order_by exclude each other")
        return self
