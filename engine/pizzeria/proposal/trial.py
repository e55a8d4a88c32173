"""A draft goes through the stages from `collect` to `leakage`; what they find wrong is mended in it where it can be."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pizzeria.contracts import Progress
from pizzeria.errors import DataError
from pizzeria.execution import execute
from pizzeria.graph import plan
from pizzeria.loading import load_spec
from pizzeria.runs.store import Store
from pizzeria.spec.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

_ROUNDS = 6


@dataclass(frozen=True)
class Trial:
    """How the draft fared.

    Attributes:
        spec: The file of the last draft.
        collected: Folder of the tables.
        splits: image_id or row_id to split; None where it did not come so far.
        remarks: What is still wrong, for the user.
    """

    spec: Path
    collected: Path
    splits: pd.Series[str] | None
    remarks: tuple[str, ...]


_REPAIRS = {
    ("images", "readable"): ("unreadable", "set_aside"),
    ("boxes", "inside_image"): ("outside", "clip"),
    ("boxes", "width"): ("degenerate", "set_aside"),
    ("boxes", "height"): ("degenerate", "set_aside"),
    ("boxes", "image_id"): ("duplicates", "set_aside"),
}
"""Table and first column of a built-in expectation that failed, with the repair that helps."""


def try_out(
    spec: dict[str, Any],
    why: dict[str, str],
    text: Callable[[], str],
    scratch: Path,
    progress: Progress,
) -> Trial:
    """Run the draft as far as `leakage`, in a store of its own, and mend `spec` in place until it gets there.

    Args:
        spec: The draft, which `text` writes as YAML; `why` takes the reason of what is changed.
        scratch: Folder for the store and the draft.

    Raises:
        DataError: the data cannot even be collected.
    """
    file, store = scratch / f"{spec['name']}.yaml", Store(scratch / "store")
    remarks: tuple[str, ...] = ()
    for _ in range(_ROUNDS):
        file.write_text(text())
        loaded = load_spec([str(file)])
        try:
            execute(loaded, store, progress, until="leakage")
            remarks = ()
            break
        except DataError as error:
            remarks = (error.message,)
            if not _mend(spec, why, _results(loaded, store)):
                break
    results = _results(loaded, store)
    if "collect" not in results:
        raise DataError(remarks[0])
    return Trial(file, results["collect"], _splits(results.get("split")), remarks)


def _results(spec: Spec, store: Store) -> dict[str, Path]:
    """Folder of each stage that came to an end, be it a refusal."""
    results = [step.result for step in plan(spec, store) if step.result is not None]
    for result in results:
        result.check()
    return {result.stage: result.folder for result in results}


def _splits(folder: Path | None) -> pd.Series[str] | None:
    import pandas as pd

    if folder is None:
        return None
    found: pd.Series[str] = pd.read_parquet(folder / "splits.parquet").set_index("key")["split"]
    return found


def _mend(spec: dict[str, Any], why: dict[str, str], results: dict[str, Path]) -> bool:
    """Whether something could be changed about what was found."""
    if "leakage" in results:
        return _mend_leakage(spec, why, results["leakage"])
    return "validate" in results and _mend_faults(spec, why, results["validate"])


def _mend_leakage(spec: dict[str, Any], why: dict[str, str], folder: Path) -> bool:
    split = spec["data"].get("split", {})
    changed = False
    for found in json.loads((folder / "leakage.json").read_text())["findings"]:
        what, column, told = found["what"], found["column"], found["message"]
        if what == "target":
            dropped = spec.setdefault("features", {}).setdefault("drop", [])
            dropped.append(column)
            before = why.get("features.drop")
            why["features.drop"] = f"{before}; {told}" if before else told
        elif what == "group" and not split.keys() & {"group_by", "order_by", "column"}:
            spec["data"]["split"] = {"group_by": column, **split}
            why["data.split"] = told
        elif what in ("near_duplicates", "exact") and not split.keys() & {"group_near_duplicates", "column"}:
            spec["data"]["split"] = {**split, "group_near_duplicates": True}
            why["data.split.group_near_duplicates"] = told
        else:
            continue
        changed = True
    return changed


def _mend_faults(spec: dict[str, Any], why: dict[str, str], folder: Path) -> bool:
    repair = spec["data"].setdefault("repair", {})
    before = dict(repair)
    for found in json.loads((folder / "expectations.json").read_text()):
        arguments = found["arguments"]
        column = arguments.get("column") or (arguments.get("column_list") or [""])[0]
        if found["success"] is False and (key := (found["table"], column)) in _REPAIRS:
            name, how = _REPAIRS[key]
            repair[name] = how
            why[f"data.repair.{name}"] = f"{found['unexpected']} of {found['evaluated']}: {found['examples'][0]}"
    if not repair:
        del spec["data"]["repair"]
    return bool(repair != before)
