"""Whether a plugin's functions can be called as the engine calls them: with the parameters of `pizzeria.contracts`."""

from __future__ import annotations

import inspect
from typing import Any

from pizzeria import contracts

PROTOCOLS: dict[str, tuple[type, ...]] = {
    "sources": (contracts.Source,),
    "validators": (contracts.Validator,),
    "features": (contracts.Features,),
    "models": (contracts.Model,),
    "trainers": (contracts.Trainer,),
    "runners": (contracts.Runner,),
    "evaluators": (contracts.Evaluator,),
    "servers": (contracts.Server,),
    "targets": (contracts.Target, contracts.Canary),
    "prediction_logs": (contracts.PredictionLog, contracts.LabelLog),
    "monitors": (contracts.Monitor,),
    "alerts": (contracts.AlertChannel,),
    "trackers": (contracts.Tracker,),
}
"""Each kind with the Protocols of its functions."""
_OPTIONAL = (contracts.Canary, contracts.LabelLog)
"""All functions of these, or none."""

_BUILD = ("release", "options", "folder", "progress")


def signature_faults(kind: str, plugin: Any) -> list[str]:
    """What is wrong with the signatures of a plugin's functions, in words; empty when all is right.

    Args:
        kind: Such as `targets`.
        plugin: The module or object itself.

    Example:
        >>> class Bell:
        ...     @staticmethod
        ...     def send(options, name): ...
        >>> signature_faults("alerts", Bell)
        ['send(options, name) instead of send(options, notice)']
    """
    faults = []
    for protocol in PROTOCOLS[kind]:
        wanted = {name: value for name, value in vars(protocol).items() if inspect.isfunction(value) and name[0] != "_"}
        there = [name for name in wanted if hasattr(plugin, name)]
        if protocol in _OPTIONAL and not there:
            continue
        faults += [f"{name} is missing" for name in wanted if name not in there]
        for name in there:
            own = [one for one in inspect.signature(wanted[name]).parameters.values() if one.name != "self"]
            faults += _faults(name, own, getattr(plugin, name))
    if kind == "targets" and hasattr(plugin, "build"):
        positional = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in _BUILD]
        faults += _faults("build", positional, plugin.build)
    return faults


def _faults(name: str, wanted: list[inspect.Parameter], function: Any) -> list[str]:
    """The same names in the same order, keywords where the contract has them; more parameters need defaults."""
    own = list(inspect.signature(function).parameters.values())
    named = [(one.name, one.kind is one.KEYWORD_ONLY) for one in wanted]
    found = [(one.name, one.kind is one.KEYWORD_ONLY) for one in own[: len(wanted)]]
    rest = own[len(wanted) :]
    more = [one for one in rest if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    if found == named and not more:
        return []
    return [f"{name}({_shown(own)}) instead of {name}({_shown(wanted)})"]


def _shown(parameters: list[inspect.Parameter]) -> str:
    return ", ".join(f"*{one.name}" if one.kind is one.VAR_POSITIONAL else one.name for one in parameters)
