"""Pizzeria: one YAML spec for the whole life of a machine-learning model.

Example:
    >>> from pizzeria import load_spec
    >>> load_spec(["experiment=amenities", "training.max_epochs=5"]).training.options.max_epochs
    5
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pizzeria import telemetry

if TYPE_CHECKING:
    from pizzeria.errors import PizzeriaError
    from pizzeria.execution import execute
    from pizzeria.loading import load_spec
    from pizzeria.spec.spec import Spec

telemetry.turn_off()

__all__ = ["PizzeriaError", "Spec", "execute", "load_spec"]

_HOMES = {"PizzeriaError": "errors", "Spec": "spec.spec", "execute": "execution", "load_spec": "loading"}


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for, so that `import pizzeria` stays quick."""
    if name not in _HOMES:
        raise AttributeError(f"module 'pizzeria' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"pizzeria.{_HOMES[name]}"), name)
