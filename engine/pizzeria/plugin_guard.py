"""Stands between the engine and a plugin: what a plugin does wrong is told by its name, and takes nothing else down.

Pizzeria cannot stop a plugin from doing harm: it is code that the user installed. It can see to it that a mistake in
one is an error that names it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Annotated, Any, TextIO, cast, get_args, get_type_hints

from pydantic import BaseModel, TypeAdapter, ValidationError

from pizzeria import contracts
from pizzeria.contracts import DeploymentStatus, Observation, Rendered, Verdict
from pizzeria.disk_trouble import trouble_of
from pizzeria.errors import PizzeriaError, PluginError

STATUS_LIMIT_S = 10.0
"""How long `status` of a target may take."""
_IMPORT_LIMIT_S = 20.0
_VARIABLE = "PIZZERIA_PLUGIN_TIMEOUT_S"
_AGAIN_S = 0.5
_SHOWN = 200

_RETURNS: dict[str, dict[str, type]] = {
    "targets": {
        "render": Rendered,
        "apply": DeploymentStatus,
        "status": DeploymentStatus,
        "stage": DeploymentStatus,
        "settle": DeploymentStatus,
        "observe": tuple,
    },
    "servers": {"render": Rendered},
    "monitors": {"judge": Verdict},
}
"""By kind and function, what must come back, where it is one of `pizzeria.contracts`."""
_LIMITS_S = {("targets", "status"): STATUS_LIMIT_S, ("targets", "render"): STATUS_LIMIT_S}


_printed: dict[int, tuple[Any, str]] = {}
"""Plugins that printed when they were imported, by their id, and what."""


class TookTooLong(BaseException):
    """Raised in a plugin that used up its time; no `except Exception` of the plugin holds it."""


def import_limit_s() -> float:
    """Seconds that the import of a plugin may take: `PIZZERIA_PLUGIN_TIMEOUT_S`, or 20.

    Raises:
        PluginError: the variable is no number above 0.
    """
    text = os.environ.get(_VARIABLE, "")
    if not text:
        return _IMPORT_LIMIT_S
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds < 1e6:
        raise PluginError(f"{_VARIABLE} is {text!r}", hint="write a number of seconds, such as 30")
    return seconds


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Give up what is inside after so many seconds, in the main thread; elsewhere there is no limit.

    Raises:
        TookTooLong: the time is over.

    Example:
        >>> with within(5):
        ...     print("in time")
        in time
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    over = False

    def give_up(_signal: int, _frame: FrameType | None) -> None:
        if not over:
            raise TookTooLong

    begun = time.monotonic()
    handler = signal.signal(signal.SIGALRM, give_up)
    # Again and again: whoever swallows it once is told once more.
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN_S)
    try:
        try:
            yield
        finally:
            over = True  # an alarm that comes only now would leave the timer as it is
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler if handler is not None else signal.SIG_DFL)
        if left:  # somebody else's alarm goes on
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - begun), 0.01), interval)


def guarded_import(what: str, work: Callable[[], Any]) -> Any:
    """Import a plugin.

    Args:
        what: The plugin and its origin, for messages.
        work: Imports it.

    Raises:
        PluginError: it raised, even SystemExit; it took too long; or it printed, which would spoil the output of
            commands that others read.
    """
    limit_s = import_limit_s()
    watched = _Watched(sys.stdout)
    try:
        with contextlib.redirect_stdout(cast(TextIO, watched)), within(limit_s):
            plugin = work()
    except TookTooLong:
        raise PluginError(
            f"{what} was not imported after {limit_s:g} s",
            hint=f"import what is slow inside the functions that use it, or allow more: export {_VARIABLE}=60",
        ) from None
    except (KeyboardInterrupt, PluginError):
        raise
    except BaseException as error:  # whatever a plugin does on import is its fault, and is named
        hint = "pip install 'pizzeria[all]' if a library is missing" if isinstance(error, ImportError) else ""
        raise PluginError(f"{what} cannot be imported: {_named(error)}", hint=hint) from error
    finally:
        watched.watching = False
    # Python imports a module once, so that the second time it prints nothing, and is no better for that.
    if watched.printed:
        _printed[id(plugin)] = plugin, watched.printed
    _, printed = _printed.get(id(plugin), (None, ""))
    if printed:
        raise PluginError(
            f"{what} prints to stdout when it is imported: {printed[:_SHOWN]!r}",
            hint="stdout belongs to the commands; use logging, or print in a function",
        )
    return plugin


class _Watched:
    """Stdout while a plugin is imported. A library that keeps it for later writes to the real one then."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.printed = ""
        self.watching = True

    def write(self, text: str) -> int:
        if not self.watching:
            return self.stream.write(text)
        self.printed += text
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def options_faults(model: Any) -> list[str]:
    """What is wrong with an `Options`, in words; empty when it is sound.

    Example:
        >>> options_faults(dict)
        ['Options is no pydantic model']
    """
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return ["Options is no pydantic model"]
    faults = []
    if not model.model_config.get("frozen"):
        faults.append("Options is not frozen")
    if model.model_config.get("extra") != "forbid":
        faults.append("Options lets unknown keys pass")
    try:
        defaults = model()
    except ValidationError as error:
        wrong = [one for one in error.errors(include_url=False) if one["type"] != "missing"]
        faults += [
            f"the default of {'.'.join(map(str, one['loc'])) or 'Options'} is refused: {one['msg']}" for one in wrong
        ]
        return faults if wrong else [*faults, *_default_faults(model)]
    except Exception as error:
        return [*faults, f"Options() raises {_named(error)}"]
    try:  # as the spec's values come: from JSON, strictly
        model.model_validate_json(defaults.model_dump_json(by_alias=True, warnings=False), strict=True)
    except Exception as error:
        faults += [f"the defaults of Options are refused by itself: {_named(error)}"]
    return faults


def check_parts(what: str, kind: str, parts: Sequence[str], plugin: Any) -> None:
    """Whether a plugin has all that its kind asks for.

    Raises:
        PluginError: it lacks a part, a function of it is none, or its Options model is of no use.
    """
    missing = [part for part in parts if not hasattr(plugin, part)]
    hint = f"docs/plugins.md says what each of the {kind} must offer"
    if missing:
        raise PluginError(f"{what} lacks {', '.join(missing)}", hint=hint)
    uncalled = [part for part in parts if part.islower() and not callable(getattr(plugin, part))]
    if uncalled:
        raise PluginError(f"{what}: {', '.join(uncalled)} is no function", hint=hint)
    faults = options_faults(plugin.Options)
    if faults:
        raise PluginError(
            f"{what}: {'; '.join(faults)}",
            hint="class Options(pizzeria.spec.section.Options): is frozen and strict; check the defaults",
        )


@dataclass(frozen=True)
class Guarded:
    """A plugin as the engine sees it: the same attributes, and its functions fail with its name.

    A function that it lacks is lacking here too, so that `hasattr` tells what it can do.
    """

    kind: str
    name: str
    origin: str
    plugin: Any

    @property
    def what(self) -> str:
        return f"the plugin {self.name!r} ({self.origin})"

    def __getattr__(self, part: str) -> Any:
        if part.startswith("__") or part == "plugin":  # such as copy and pickle ask for, of one that is not made yet
            raise AttributeError(part)
        found = getattr(self.plugin, part)
        if not callable(found) or isinstance(found, type):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._call(part, found, args, kwargs)

        return call

    def _call(self, part: str, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        limit_s = _LIMITS_S.get((self.kind, part))
        try:
            with within(limit_s) if limit_s else contextlib.nullcontext():
                found = function(*args, **kwargs)
        except TookTooLong:
            if limit_s is None:
                raise
            raise PluginError(f"{self.what} did not come back from {part} after {limit_s:g} s") from None
        except PizzeriaError:
            raise
        except (Exception, SystemExit) as error:
            if (trouble := trouble_of(error)) is not None:  # no fault of the plugin's
                raise trouble from error
            raise PluginError(
                f"{self.what} failed in {part}: {_named(error)}", hint="PIZZERIA_DEBUG=1 shows where"
            ) from error
        wanted = _RETURNS.get(self.kind, {}).get(part)
        fault = _fault(found, wanted) if wanted is not None else ""
        if fault:
            raise PluginError(f"{self.what}: {part} returned {fault}", hint=f"it must return a {_name_of(wanted)}")
        return found


def _fault(found: Any, wanted: Any) -> str:
    """What is wrong with something that came back, or nothing."""
    if not isinstance(found, wanted):
        return f"{type(found).__name__} instead of {_name_of(wanted)}" if found is not None else "None"
    if isinstance(found, Rendered):
        return _rendered_fault(found)
    if isinstance(found, DeploymentStatus):
        states = get_args(get_type_hints(DeploymentStatus, vars(contracts))["state"])
        if found.state not in states:
            return f"the state {found.state!r}, which is none of {', '.join(states)}"
        if not all(isinstance(one, str) for one in (found.address, found.sha256, found.detail)):
            return "a DeploymentStatus whose address, sha256 or detail is no text"
    if wanted is tuple and not (len(found) == 2 and all(isinstance(one, Observation) for one in found)):
        return "something else than two observations"
    return ""


def _rendered_fault(found: Rendered) -> str:
    for name, mapping in (("files", found.files), ("environment", found.environment)):
        if not isinstance(mapping, Mapping):
            return f"a Rendered whose {name} is no mapping"
        for key, value in mapping.items():
            if not isinstance(key, str) or not isinstance(value, str):
                return f"a Rendered whose {name} has {key!r:.80}: {type(value).__name__} instead of text"
    for command in found.commands:
        if isinstance(command, str) or not all(isinstance(part, str) for part in command):
            return f"a Rendered with the command {command!r:.80}, which is no list of texts"
    return ""


def _default_faults(model: type[BaseModel]) -> Iterator[str]:
    """Defaults of a model that has required fields too, each looked at alone."""
    for name, info in model.model_fields.items():
        if info.is_required():
            continue
        try:
            default = info.get_default(call_default_factory=True, validated_data={})
            wanted: Any = info.annotation
            if info.metadata:
                wanted = Annotated[wanted, *info.metadata]
            TypeAdapter(wanted).validate_python(default)
        except Exception as error:
            yield f"the default of {name} is refused: {_named(error)}"


def _named(error: BaseException) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_url=False))
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _name_of(wanted: type | None) -> str:
    if wanted is None or wanted is tuple:
        return "pair of Observation"
    return wanted.__name__
