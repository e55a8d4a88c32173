"""Which source reads what somebody points at: each is asked, and the surest one is taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pizzeria import fetching, registry
from pizzeria.contracts import Progress, Recognised
from pizzeria.errors import DataError, PluginError, nearest


def recognise(address: str, source: str | None, progress: Progress) -> tuple[str, Recognised]:
    """The name of the source plugin, and what it makes of the data.

    Args:
        address: A path, or an address that fsspec knows; what lies there is fetched.
        source: Ask this plugin alone.

    Raises:
        DataError: nothing is there, or no source knows what it is.
        PluginError: there is no such source, or it recognises nothing.
    """
    path = fetching.local(address, progress) if "://" in address else Path(address).expanduser()
    if not path.exists():
        raise DataError(f"there is no {address}", hint="give the path of a folder of photos, or of a table")
    asked = dict(registry.sound("sources")) if source is None else {source: registry.load("sources", source)}
    able = {name: plugin for name, plugin in asked.items() if hasattr(plugin, "recognise")}
    if source is not None and not able:
        names = [name for name, plugin in registry.sound("sources") if hasattr(plugin, "recognise")]
        raise PluginError(f"the source {source!r} recognises no data", hint=nearest(source, names))
    answers = [(name, plugin.recognise(path)) for name, plugin in able.items()]
    found = [(name, answer) for name, answer in answers if answer is not None]
    if not found:
        raise DataError(
            f"{address} holds nothing that {'a source' if source is None else f'the source {source!r}'} recognises",
            hint="it may be COCO, Pascal VOC, YOLO or Open Images, one folder of photos for each class, photos with a "
            "CSV of labels, a table (CSV, Parquet, JSON lines), or a SQLite or DuckDB file",
        )
    name, best = max(found, key=lambda one: one[1].certainty)
    return name, replace(best, options=_as_given(best.options, path, address))


def _as_given(options: Mapping[str, Any], path: Path, address: str) -> dict[str, Any]:
    """Paths as the user wrote them: of data that were fetched, the address and not the copy."""

    def one(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [one(item) for item in value]
        text = str(value) if isinstance(value, Path) else value
        if isinstance(text, str) and "://" in address and text.startswith(str(path)):
            return address.rstrip("/") + text.removeprefix(str(path))
        return text

    return {name: one(value) for name, value in options.items()}
