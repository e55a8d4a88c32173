"""What of a sweep can be checked before its first member runs: every member of a grid, the ends of an interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pizzeria.errors import Fault, SpecError


def corners(overrides: Sequence[str]) -> list[list[str]]:
    """Members that an optimising sweeper may choose: a first one, and others that differ from it in one value.

    Each value of a choice is in one of them, and so are both ends of an interval or a range.

    Example:
        >>> corners(["depth=3", "rate=interval(0.1,0.2)", "seed=1,2"])
        [['depth=3', 'rate=0.1', 'seed=1'], ['depth=3', 'rate=0.2', 'seed=1'], ['depth=3', 'rate=0.1', 'seed=2']]
    """
    values = {key: _values(override) for key, override in _parsed(overrides).items()}
    first = {key: found[0] for key, found in values.items()}
    members = [first]
    members += [{**first, key: value} for key, found in values.items() for value in found[1:]]
    return [[f"{key}={value}" for key, value in member.items()] for member in members]


def settings(overrides: Sequence[str], typed: Sequence[str]) -> dict[str, Any]:
    """What a member has of what the sweep varies: key to value.

    Args:
        overrides: Of the member.
        typed: Of the sweep.

    Example:
        >>> settings(["training.seed=1", "model.depth=3"], ["training.seed=1,2", "model.depth=3"])
        {'training.seed': 1}
    """
    varied = {key for key, override in _parsed(typed).items() if override.is_sweep_override()}
    return {key.lstrip("+"): _plain(override.value()) for key, override in _parsed(overrides).items() if key in varied}


def _parsed(overrides: Sequence[str]) -> Mapping[str, Any]:
    """Hydra's overrides by key; a later one of the same key takes the place of an earlier."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        return {one.get_key_element(): one for one in OverridesParser.create().parse_overrides(list(overrides))}
    except HydraException as error:
        raise SpecError([Fault("", str(error).splitlines()[0], "write key=value1,value2", "command line")]) from None


def _values(override: Any) -> list[str]:
    if not override.is_sweep_override():
        return [override.get_value_element_as_str()]
    value = override.value()
    if override.is_interval_sweep():
        return [str(value.start), str(value.end)]
    if override.is_range_sweep():
        return [str(value.start), str(value.stop)]  # Optuna's ranges have their end
    return list(override.sweep_string_iterator())


def _plain(value: Any) -> Any:
    """A value as JSON has it; Hydra's quoted strings without their quotes."""
    text = getattr(value, "text", None)
    return text if isinstance(text, str) else value
