"""The suite for a plugin of any kind: its Options, its functions' signatures, its docstring.

Example:
    A whole test file for an alert::

        from my_package import bell
        from pizzeria.conformance.plugins import PluginSuite

        class TestBell(PluginSuite):
            kind = "alerts"
            plugin = bell
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest
from pydantic import ValidationError

from pizzeria import registry
from pizzeria.conformance.signatures import signature_faults
from pizzeria.errors import PluginError
from pizzeria.plugin_guard import Guarded, check_parts
from pizzeria.spec.check import keys


class PluginSuite:
    """Subclass it with a name that begins with `Test`, and name the plugin."""

    kind: ClassVar[str] = ""
    """Such as `alerts`."""
    plugin: ClassVar[Any] = None
    """The module (or object) itself, or the name of an installed one."""
    options: ClassVar[Mapping[str, Any]] = {}
    """Options to try it with, as a spec would write them."""

    @classmethod
    def guarded(cls) -> Guarded:
        """The plugin as the engine sees it."""
        assert cls.kind in registry.KINDS, f"kind = {cls.kind!r} is none of {', '.join(registry.KINDS)}"
        if isinstance(cls.plugin, Guarded):
            return cls.plugin
        if isinstance(cls.plugin, str):
            return cast(Guarded, registry.load(cls.kind, cls.plugin))
        assert cls.plugin is not None, f"{cls.__name__} names no plugin; write plugin = the module"
        name = str(getattr(cls.plugin, "__name__", type(cls.plugin).__name__))
        check_parts(f"the plugin {name!r}", cls.kind, registry.KINDS[cls.kind], cls.plugin)
        return Guarded(cls.kind, name, str(getattr(cls.plugin, "__file__", "here")), cls.plugin)

    @classmethod
    def make_options(cls, **changes: Any) -> Any:
        """Its Options from `options`, with changes."""
        return cls.guarded().Options(**{**cls.options, **changes})

    def test_it_has_what_its_kind_asks_for(self) -> None:
        """it has every part of its kind, and a sound Options model"""
        self.guarded()

    def test_its_functions_are_called_as_the_contract_says(self) -> None:
        """its functions take the parameters of pizzeria.contracts"""
        faults = signature_faults(self.kind, self.guarded().plugin)
        assert not faults, "; ".join(faults)

    def test_every_option_is_described(self) -> None:
        """each option has a description"""
        bare = [
            name for name, info in self.guarded().Options.model_fields.items() if not (info.description or "").strip()
        ]
        assert not bare, f"without a description: {', '.join(bare)}"

    def test_it_says_what_it_does(self) -> None:
        """its docstring says what it does"""
        assert (getattr(self.guarded().plugin, "__doc__", None) or "").strip(), (
            "write a docstring; `plugins list` shows it"
        )

    def test_options_are_strict_and_frozen(self) -> None:
        """its Options refuse unknown keys, and cannot be changed"""
        options = self.make_options()
        with pytest.raises(ValidationError):
            self.make_options(an_option_that_nobody_has=1)
        for name in type(options).model_fields:
            with pytest.raises(ValidationError):
                setattr(options, name, getattr(options, name))

    def test_options_stand_in_a_spec(self) -> None:
        """its Options can be written into a spec and read again"""
        options = self.make_options()
        text = options.model_dump_json(by_alias=True)
        assert type(options).model_validate_json(text, strict=True) == options
        assert json.loads(text).keys() <= keys(type(options)), "a spec takes only the names, or aliases, of fields"


def plugin_of(kind: str, name_or_file: str) -> Guarded:
    """A plugin by its name, or by the path of a file.

    Raises:
        PluginError: there is none, or it is broken.
    """
    file = Path(name_or_file)
    if file.suffix == ".py":
        if not file.is_file():
            raise PluginError(f"there is no file {file}")
        return cast(Guarded, registry.take(kind, registry.of_file(file)))
    return cast(Guarded, registry.load(kind, name_or_file))
