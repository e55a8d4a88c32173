"""The section `maintenance`: when a live model gets a successor, and what the successor must show first."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pizzeria.spec.section import Section

_TIME = r"^\d+[smhd]$"


class Comparison(Section):
    """What a challenger must show beside the champion, on the same rows that neither learnt from."""

    confidence: float = Field(
        default=0.95, gt=0.5, lt=1, description="Of the paired bootstrap interval of the difference."
    )
    resamples: int = Field(default=1000, ge=100, le=100_000, description="Draws of that bootstrap.")
    no_worse_by: float = Field(
        default=0.02,
        ge=0,
        description="The main metric may be so much worse on the frozen test set, or on the newest labels: a score by "
        "that much, an error (mae) by that share of the champion's. Surely worse is refused.",
    )
    class_no_worse_by: float = Field(
        default=0.05, ge=0, description="No class may be surely worse than this, in the metric of classes."
    )


class Trust(Section):
    """When new labels are not learnt from, because they look spoilt."""

    trusted: tuple[str, ...] = Field(
        default=(), description="Sources of labels that are believed, whatever they say; as `pizzeria labels` has them."
    )
    on_doubt: Literal["refuse", "leave_out"] = Field(
        default="refuse",
        description="refuse: no model is trained, and what was seen is told. leave_out: what the doubted source said "
        "is left out, and the rest is learnt from, when it is enough.",
    )
    on_turn: Literal["approve", "believe"] = Field(
        default="approve",
        description="New labels say that inputs mean something else now (an open alert `concept`), and a challenger "
        "that has learnt so is surely worse on the frozen test set. approve: it waits for a person, unless all its "
        "labels are by trusted sources. believe: it takes over.",
    )
    contradicting: float = Field(
        default=0.2,
        gt=0,
        lt=1,
        description="A source is doubted when so much more of its labels contradict confident answers than other "
        "sources' labels, or the test set, do.",
    )
    conflicting: float = Field(
        default=0.1,
        gt=0,
        lt=1,
        description="Labels are doubted when so many of them say other things of the same photo or row than another "
        "label does, beyond what is so in the data before.",
    )
    flood: float = Field(
        default=0.8,
        gt=0,
        le=1,
        description="A source is doubted when it gave so many of the new labels within an hour, nearly all the same, "
        "against what the model answered.",
    )
    least: int = Field(default=20, ge=5, description="With fewer labels a source is not judged by itself.")


class Maintenance(Section):
    """Phase 10: when a new model is trained, on what, and how it takes over."""

    retrain_on: tuple[Literal["performance", "drift", "concept"], ...] = Field(
        default=("performance", "drift", "concept"), description="Open alerts that call for a new model."
    )
    retrain_every: str | None = Field(
        default=None,
        pattern=_TIME,
        description="Train a new model also without an alert when the live one is so old: 30d ... null: never.",
    )
    at_most_every: str = Field(
        default="1d", pattern=_TIME, description="Least time between two new models: 30m, 12h, 1d ..."
    )
    least_labels: int = Field(
        default=100, gt=0, description="With fewer new labels no model is trained; what lacks is said."
    )
    window: float = Field(
        default=0.3,
        gt=0,
        lt=1,
        description="Share of the new labels, the newest, that no challenger learns from: both models are compared on "
        "them, and they are the next reference of the monitor.",
    )
    window_most: int = Field(
        default=2000,
        gt=0,
        description="But no more rows or photos than this, so that a challenger learns from what came since a champion "
        "that has been live for long. A listing stays together.",
    )
    memory: int | None = Field(
        default=None,
        gt=0,
        description="Train (and validate) on so many of the newest labelled rows or photos alone; null: on all.",
    )
    trust: Trust = Field(default=Trust(), description="When labels are not believed.")
    start: Literal["cold", "warm"] = Field(
        default="cold", description="cold: from the weights of the spec; warm: from those of the champion."
    )
    compare: Comparison = Field(default=Comparison(), description="What the challenger must show.")
    approval: bool = Field(
        default=False, description="A challenger that passed waits for `pizzeria approve` before it takes over."
    )
    approve_within: str = Field(
        default="14d", pattern=_TIME, description="After that a challenger is too old to be approved."
    )
    probation: str | None = Field(
        default="1d",
        pattern=_TIME,
        description="How long a new champion is watched; if it does worse, the former comes back. null: not at all.",
    )
