"""Plugins: found by entry point or in the working folder, imported only when named."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pizzeria import contracts, registry
from pizzeria.errors import PluginError

GOOD = """
from pizzeria.spec.section import Options as PluginOptions

class Options(PluginOptions):
    path: str = "alerts.txt"

def send(options, name, verdict, report):
    pass
"""


def _plugin(folder: Path, kind: str, name: str, text: str) -> None:
    (folder / "plugins" / kind).mkdir(parents=True, exist_ok=True)
    (folder / "plugins" / kind / f"{name}.py").write_text(text)


def test_every_built_in_plugin_loads_and_keeps_its_contract() -> None:
    for kind in registry.KINDS:
        assert registry.find(kind), f"no plugin of kind {kind}: a kind exists only when a real plugin uses it"
        for name in registry.find(kind):
            registry.load(kind, name)


def test_the_documented_parts_are_those_of_the_protocols() -> None:
    protocols = {
        "sources": contracts.Source,
        "validators": contracts.Validator,
        "features": contracts.Features,
        "models": contracts.Model,
        "trainers": contracts.Trainer,
        "evaluators": contracts.Evaluator,
        "servers": contracts.Server,
        "targets": contracts.Target,
        "prediction_logs": contracts.PredictionLog,
        "monitors": contracts.Monitor,
        "alerts": contracts.AlertChannel,
    }
    assert protocols.keys() == registry.KINDS.keys()
    for kind, protocol in protocols.items():
        methods = {name for name in vars(protocol) if not name.startswith("_") and callable(getattr(protocol, name))}
        annotated = {name for name in protocol.__annotations__ if name.isupper()}
        assert set(registry.KINDS[kind]) == {"Options"} | methods | annotated, kind


def test_only_what_is_named_is_imported(working_folder: Path) -> None:
    _plugin(working_folder, "alerts", "bell", GOOD)
    _plugin(working_folder, "alerts", "bomb", "raise RuntimeError('imported')")
    assert registry.load("alerts", "bell").Options().path == "alerts.txt"
    with pytest.raises(PluginError, match=r"bomb.*cannot be imported: RuntimeError: imported"):
        registry.load("alerts", "bomb")
    assert "pizzeria_local.alerts.bomb" not in sys.modules


def test_unknown_and_twice(working_folder: Path) -> None:
    with pytest.raises(PluginError) as caught:
        registry.load("sources", "room")
    assert caught.value.hint == "did you mean rooms?"
    _plugin(working_folder, "alerts", "log", GOOD)
    with pytest.raises(PluginError, match="there twice"):
        registry.load("alerts", "log")


def test_a_plugin_that_lacks_a_part_is_refused(working_folder: Path) -> None:
    _plugin(working_folder, "alerts", "half", GOOD.replace("def send", "def shout"))
    with pytest.raises(PluginError, match="lacks send"):
        registry.load("alerts", "half")
