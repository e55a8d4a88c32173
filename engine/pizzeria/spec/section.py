"""What all sections share: frozen, strict, and, where a plugin does the work, `use` plus the plugin's options."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0, lt=1)]


class Section(BaseModel):
    """A frozen model that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Options(Section):
    """Base of a plugin's options; every field needs a type, a default where one makes sense, and a description."""


class PluginSection(Section):
    """A section that a plugin serves: `use` names it, and the keys that the section itself lacks are its options.

    `options` holds the plugin's own checked model after `pizzeria.spec.compose` has resolved the section.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True)

    KIND: ClassVar[str]
    """Kind of the plugins that may serve the section."""

    use: str = Field(description="Name of the plugin that does this.")
    options: Any = Field(default=None, exclude=True, repr=False)

    def resolved(self) -> dict[str, Any]:
        """The section as a user would write it in full: `use`, its own keys and the plugin's options."""
        own = self.model_dump(mode="json", by_alias=True)
        return own | (self.options.model_dump(mode="json", by_alias=True) if self.options is not None else {})
