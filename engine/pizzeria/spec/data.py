"""`data`: where data come from, how they are checked and how they are split."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, model_validator

from pizzeria.spec.section import Fraction, PluginSection, Section


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


class Data(PluginSection):
    """Phase 3: collect, validate, split. The other keys are the source plugin's options."""

    KIND: ClassVar[str] = "sources"

    use: str = Field(description="Source plugin.")
    validator: str = Field(default="great_expectations", description="Validator plugin.")
    expectations: dict[str, tuple[dict[str, dict[str, Any]], ...]] = Field(
        default_factory=dict,
        description="By table (images, boxes, listings, rows): a list of {expectation name: its arguments}, "
        "by the validator's own names. The built-in expectations run as well, but one of these replaces the built-in "
        "one of the same name and column.",
    )
    split: Split = Field(default=Split(), description="How rows go to train, validation and test.")
