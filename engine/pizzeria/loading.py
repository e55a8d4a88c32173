"""From what a user typed to a checked spec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from pizzeria import registry
from pizzeria.errors import Fault, SpecError
from pizzeria.runs.seals import check_text
from pizzeria.signing.needs import key_faults
from pizzeria.spec.amend import amend
from pizzeria.spec.check import check, check_deployment
from pizzeria.spec.compose import Composed, Origins, compose
from pizzeria.spec.deployment import Deployment
from pizzeria.spec.earlier import brought_up_to_date
from pizzeria.spec.reading import MAX_RESOLVED, YamlPath, display, dotted, read
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
    composed = compose(arguments, file)
    spec = check(composed, registry.load)
    faults = [
        Fault(dotted(("signing", *where)), message, hint, *composed.origins.locate(("signing", *where)))
        for where, message, hint in key_faults(spec.signing)
    ]
    if faults:
        raise SpecError(faults)
    return spec


def load_resolved(path: Path, overrides: Sequence[str] = (), instead: Mapping[str, Any] | None = None) -> Spec:
    """Read a spec that a run has left as resolved: whole, so that nothing is composed.

    Args:
        overrides: Changes of `deployment` and `serving.log` alone, as typed on the command line.
        instead: Whole `deployment` and `log` sections (as resolved) that take the place of the spec's own.

    Raises:
        SpecError: it does not pass, or a plugin it names is gone.
        DamagedError: it was changed since the run wrote it.
    """
    check_text(path)
    found = read(path, MAX_RESOLVED)
    data = brought_up_to_date(yaml.safe_load(found.text))
    if instead is not None:
        data["deployment"] = instead["deployment"]
        data["serving"] = data["serving"] | {"log": instead["log"]}
    typed: dict[YamlPath, str] = {}
    if overrides:
        data, typed = amend(data, overrides)
    return check(Composed(data, lambda: Origins([(display(path), (), found.lines)], typed)), registry.load)


def load_deployment(section: Mapping[str, Any]) -> Deployment:
    """A section `deployment` as a ledger has kept it, without the spec that it is from.

    Args:
        section: The whole section, as resolved.

    Raises:
        SpecError: its target's plugin is gone, or takes other options now.

    Example:
        >>> load_deployment({"use": "local", "port": 3100}).options.port
        3100
    """
    return check_deployment(section, registry.load)
