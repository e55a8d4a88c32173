"""The JSON Schema of a spec, with every installed plugin's options, for editors."""

from __future__ import annotations

from typing import Any

from pizzeria import registry
from pizzeria.spec.section import PluginSection
from pizzeria.spec.spec import Spec
from pizzeria.tasks import NAMES, task


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of an experiment file.

    Nothing is required at the top, because config groups may bring whole sections.
    """
    schema = Spec.model_json_schema(by_alias=True)
    definitions: dict[str, Any] = schema["$defs"]
    for section in _plugin_sections(PluginSection):
        definition = definitions.get(section.__name__)
        if definition is not None:
            definition["properties"].pop("options", None)
            _add_plugins(definition, section.KIND, definitions)
    short = {"enum": list(definitions["Runner"]["properties"]["use"]["enum"])}
    schema["properties"]["runner"] = {"anyOf": [short, {"$ref": "#/$defs/Runner"}]}
    metrics = sorted({name for one in NAMES for name in task(one).METRICS})
    definitions["Criterion"]["properties"]["metric"]["enum"] = metrics
    schema.pop("required", None)
    schema["properties"]["defaults"] = {
        "type": "array",
        "description": "Hydra's defaults list: which choice of each config group the spec starts from.",
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Pizzeria spec"} | schema


def _add_plugins(definition: dict[str, Any], kind: str, definitions: dict[str, Any]) -> None:
    """Let `use` name an installed plugin, and its options stand beside it."""
    plugins = dict(registry.sound(kind))
    own = dict(definition["properties"])
    definition["properties"]["use"] = own["use"] | {"enum": list(plugins)}
    choices = []
    for name, plugin in plugins.items():
        options = plugin.Options.model_json_schema(by_alias=True)
        definitions.update(options.get("$defs", {}))
        properties = own | {"use": {"const": name}} | options.get("properties", {})
        choices.append({"title": name, "properties": properties, "additionalProperties": False})
        for key, value in options.get("properties", {}).items():
            definition["properties"].setdefault(key, {"description": value.get("description", "")})
    definition.pop("required", None)
    if choices:
        definition["anyOf"] = choices


def _plugin_sections(cls: type[PluginSection]) -> list[type[PluginSection]]:
    return [one for child in cls.__subclasses__() for one in (child, *_plugin_sections(child))]
