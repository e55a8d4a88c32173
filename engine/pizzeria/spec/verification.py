"""How listings are verified: how often a verdict must be right, and what is known of rooms."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from pizzeria.spec.section import Section

Share = Annotated[float, Field(gt=0, lt=1)]


class Verdicts(Section):
    """How often verdicts on listings must be right; what is less sure is `uncertain`. Detection and multi-label."""

    precision: Share = Field(
        default=0.9, description="Of the listings said to be `confirmed`, at least this share truly shows the amenity."
    )
    omission: Share = Field(
        default=0.05, description="Of the listings said to be `not shown`, at most this share shows it after all."
    )
    confidence: Share = Field(
        default=0.9, description="How sure the validation split must make it that the two shares hold (one-sided)."
    )

    @model_validator(mode="after")
    def _leave_room(self) -> Verdicts:
        if self.omission >= self.precision:
            raise ValueError(
                f"omission {self.omission:g} is not below precision {self.precision:g}, which leaves no verdict between"
            )
        return self


class Verification(Section):
    """What a photo's room says about what it may show; used by `POST /verify` and `pizzeria verify`."""

    rooms: str | None = Field(
        default=None, description="Bundle (folder or zip) of an image_classification model that tells rooms apart."
    )
    prior: dict[str, dict[str, float]] = Field(
        default_factory=dict,
        description="By room and amenity, the probability that a photo of that room shows it; "
        "from 0.5 on the amenity is expected there. What is left out says nothing.",
    )

    @field_validator("prior")
    @classmethod
    def _probabilities(cls, prior: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
        for room, shares in prior.items():
            for name, share in shares.items():
                if not 0 <= share <= 1:
                    raise ValueError(f"{room}: {name}: found {share:g}, which is no probability; write one from 0 to 1")
        return prior

    @model_validator(mode="after")
    def _both(self) -> Verification:
        if self.prior and self.rooms is None:
            raise ValueError("prior is of no use without rooms; name the bundle that tells rooms apart")
        if self.rooms is not None and not self.prior:
            raise ValueError("rooms is of no use without prior; write prior: {kitchen: {stove: 0.8}}")
        return self
