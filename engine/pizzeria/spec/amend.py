"""Changes to a spec that a run has resolved, for one deployment: the same bundle on another target, say."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from pizzeria.errors import Fault, SpecError
from pizzeria.spec.compose import compose
from pizzeria.spec.reading import YamlPath

_COMMAND_LINE = "command line"
_SECTIONS: tuple[YamlPath, ...] = (("deployment",), ("serving", "log"))
"""What says where and how a bundle is deployed, and not what the bundle is."""


def amend(data: Mapping[str, Any], overrides: Sequence[str]) -> tuple[dict[str, Any], dict[YamlPath, str]]:
    """The spec with `deployment=NAME`, `deployment.KEY=VALUE`, `serving.log.KEY=VALUE` put in.

    Another `use` starts from nothing (`deployment=NAME`: from that choice's file), as options of one plugin mean
    nothing to another.

    Returns:
        The data, and the override of each changed path as typed, for messages.

    Raises:
        SpecError: an override cannot be read, or changes what would need another bundle.

    Example:
        >>> amend({"deployment": {"use": "local", "port": 3000}}, ["deployment.port=3001"])[0]
        {'deployment': {'use': 'local', 'port': 3001}}
        >>> amend({"serving": {"log": {"use": "sqlite", "keep_photos": True}}}, ["serving.log.use=lines"])[0]
        {'serving': {'log': {'use': 'lines'}}}
    """
    out = copy.deepcopy(dict(data))
    parsed = [_parse(text) for text in overrides]
    # What chooses a plugin comes first, so that the order on the command line does not matter.
    parsed.sort(key=lambda one: (len(one[0]) if one[0][-1] != "use" else 1) if one[0] not in _SECTIONS else 0)
    for path, value, text in parsed:
        if path == ("deployment",) and isinstance(value, str):
            choice = compose([text]).data
            value = choice["deployment"]
            _take_log(out, choice)
        elif path in _SECTIONS and isinstance(value, str):
            raise _fault(path, text, f"found {value!r}", f"write {'.'.join(map(str, path))}.use={value}")
        _put(out, path, value)
    return out, {path: text for path, _, text in parsed}


def _take_log(data: dict[str, Any], choice: Mapping[str, Any]) -> None:
    """A choice for a place that keeps no files brings a prediction log along, for a spec that has the usual one."""
    usual, own = compose([]).data["serving"]["log"], choice["serving"]["log"]
    present = data.get("serving", {}).get("log")
    if own != usual and isinstance(present, dict) and present.get("use") == usual["use"]:
        data["serving"] = {**data["serving"], "log": own}


def _parse(text: str) -> tuple[YamlPath, Any, str]:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    key = text.split("=", 1)[0].lstrip("+")
    path: YamlPath = tuple(key.split("."))
    if "=" not in text or key[:1] == "~":
        raise _fault((), text, f"{text!r} changes nothing", "write KEY=VALUE, such as deployment.port=3001")
    if not any(path[: len(section)] == section for section in _SECTIONS):
        hint = f"run the spec with it: pizzeria run ... {text}"
        raise _fault(path, text, "only deployment and serving.log can differ from what the run says", hint)
    if "${" in text:
        raise _fault(path, text, "nothing can be looked up here", "write the value itself")
    try:
        override = OverridesParser.create().parse_overrides([f"{key}={text.split('=', 1)[1]}"])[0]
    except HydraException as error:
        raise _fault(path, text, str(error).strip().splitlines()[0], "quote the value for Hydra: KEY='VALUE'") from None
    if override.is_sweep_override():
        raise _fault(path, text, "several values", "a bundle is deployed to one place at a time")
    return path, override.value(), text


def _put(data: dict[str, Any], path: YamlPath, value: Any) -> None:
    *above, last = path
    for part in above:
        inner = data.get(str(part))
        data[str(part)] = data = dict(inner) if isinstance(inner, dict) else {}
    if last == "use" and data.get("use") != value:
        data.clear()
    data[str(last)] = value


def _fault(path: YamlPath, text: str, message: str, hint: str) -> SpecError:
    return SpecError([Fault(".".join(map(str, path)), message, hint, f"{_COMMAND_LINE} ({text})")])
