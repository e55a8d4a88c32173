"""`data`: where data come from, how they are checked and how they are split."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from pizzeria.spec.leakage import Leakage
from pizzeria.spec.section import PluginSection, Section
from pizzeria.spec.split import Split

Repairable = Literal["refuse", "set_aside"]


class Repair(Section):
    """What is done about data that cannot be used as they are. Whatever is done is counted in the report."""

    unreadable: Repairable = Field(
        default="refuse", description="Photos that cannot be decoded: refuse stops the run and names them."
    )
    outside: Literal["refuse", "clip", "set_aside"] = Field(
        default="refuse", description="Boxes that reach out of their photo; clip cuts them off at its border."
    )
    degenerate: Repairable = Field(
        default="refuse", description="Boxes less than a pixel wide or high, also after they were clipped."
    )
    duplicates: Repairable = Field(
        default="refuse", description="Boxes that stand twice: same photo, class and corners; one is kept."
    )


class Sourced(PluginSection):
    """What each source of a dataset has: a plugin, and what its class names are here."""

    KIND: ClassVar[str] = "sources"

    use: str = Field(description="Source plugin.")
    class_map: dict[str, str | None] = Field(
        default_factory=dict,
        description="The source's class names that are others here: {couch: sofa, settee: sofa, bowl: null}; null "
        "leaves a class out. Classes that are not named keep their name.",
    )


class Source(Sourced):
    """A further source, whose tables join those of the first."""

    same_listings: bool = Field(
        default=False,
        description="A listing_id here means the same listing as in the sources before it, and not one of its own.",
    )


class Data(Sourced):
    """Phase 3: collect, validate, split. The other keys are the source plugin's options."""

    also: tuple[Source, ...] = Field(
        default=(),
        description="Further sources, each with its plugin's options and class_map; their tables join the first one's.",
    )
    repair: Repair = Field(default=Repair(), description="What is done about data that cannot be used as they are.")
    validator: str = Field(default="great_expectations", description="Validator plugin.")
    expectations: dict[str, tuple[dict[str, dict[str, Any]], ...]] = Field(
        default_factory=dict,
        description="By table (images, boxes, listings, rows): a list of {expectation name: its arguments}, "
        "by the validator's own names. The built-in expectations run as well, but one of these replaces the built-in "
        "one of the same name and column.",
    )
    reference: str | None = Field(
        default=None,
        description="The previous version of the data: a run's id or folder, or a table's path. What is learnt of its "
        "distributions is expected of these data as well, as warnings; `pizzeria data profile` shows it.",
    )
    split: Split = Field(default=Split(), description="How rows go to train, validation and test.")
    leakage: Leakage = Field(default=Leakage(), description="What must not be on two sides of the split.")
