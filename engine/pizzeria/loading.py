"""From what a user typed to a checked spec."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from pizzeria import registry
from pizzeria.spec.check import check
from pizzeria.spec.compose import Composed, Origins, compose
from pizzeria.spec.reading import display, read_lines
from pizzeria.spec.spec import Spec


def load_spec(arguments: Sequence[str]) -> Spec:
    """Compose and check a spec.

    Args:
        arguments: Overrides such as `experiment=amenities`; the first may be the path of a YAML file instead.

    Raises:
        SpecError: with every fault, each with file, line and YAML path.
    """
    file = None
    if arguments and "=" not in arguments[0] and arguments[0].endswith((".yaml", ".yml")):
        file, arguments = Path(arguments[0]), arguments[1:]
    return check(compose(arguments, file), registry.load)


def load_resolved(path: Path) -> Spec:
    """Read a spec that a run has left as resolved: whole, so that nothing is composed.

    Raises:
        SpecError: it was changed into something that does not pass, or a plugin it names is gone.
    """
    lines = read_lines(path)
    data = yaml.safe_load(path.read_text())
    return check(Composed(data, lambda: Origins([(display(path), (), lines)])), registry.load)
