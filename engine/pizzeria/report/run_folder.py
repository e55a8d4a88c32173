"""A run folder, read as far as it goes: a run that stopped early lacks the files of its later stages."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pizzeria.atomic import finite
from pizzeria.errors import DataError, NotFoundError
from pizzeria.predictions import Predictions, load_predictions
from pizzeria.runs.seals import check_file
from pizzeria.tables import Tables, read_tables

if TYPE_CHECKING:
    import pandas as pd


LATEST_PASSES = 20
"""A cycle leaves one each hour, and what they found is in the history."""


class RunFolder:
    """What the report reads of a run. Everything that is absent is None, or empty.

    Args:
        path: `runs/<id>`.

    Raises:
        NotFoundError: there is no such folder.
        DataError: a file of it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise NotFoundError(f"no run in {path}", hint="`pizzeria status` lists the runs that there are")
        self.path = path

    @property
    def id(self) -> str:
        return self.path.resolve().name

    def file(self, stage: str, name: str) -> Path | None:
        """A file of a stage, or None.

        Raises:
            DamagedError: it is not what the stage left.
        """
        folder = self.path / "stages" / stage
        check_file(folder, name)
        return folder / name if (folder / name).exists() else None

    def json(self, stage: str, name: str) -> Any:
        """A JSON file of a stage with NaN and infinities as None; None where there is no such file."""
        path = self.file(stage, name)
        return None if path is None else read_json(path)

    def result(self, stage: str) -> dict[str, Any]:
        """`result.json` of a stage; empty when the stage is not complete."""
        return self.json(stage, "result.json") or {}

    def facts(self, stage: str) -> dict[str, Any]:
        """What a stage says of itself."""
        return self.result(stage).get("facts") or {}

    @cached_property
    def refusal(self) -> tuple[str, dict[str, str]] | None:
        """The stage that let the run go no further, and its message and hint."""
        for stage in self.stages:
            refusal = self.result(stage).get("refusal")
            if isinstance(refusal, dict):
                return stage, {key: str(value) for key, value in refusal.items()}
        return None

    @cached_property
    def stages(self) -> tuple[str, ...]:
        """Names of the stages that left anything at all."""
        folder = self.path / "stages"
        return tuple(sorted(item.name for item in folder.iterdir() if item.is_dir())) if folder.is_dir() else ()

    @cached_property
    def spec(self) -> dict[str, Any]:
        """The resolved spec, as plain data."""
        import yaml

        path = self.path / "spec.yaml"
        if not path.exists():
            return {}
        try:
            spec = yaml.safe_load(path.read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            raise DataError(f"{path} is not YAML: {error}") from error
        return spec if isinstance(spec, dict) else {}

    @property
    def problem(self) -> dict[str, Any]:
        return self.spec.get("problem") or {}

    @property
    def task(self) -> str:
        return str(self.problem.get("task") or "")

    @cached_property
    def classes(self) -> list[str]:
        return [str(name) for name in self.problem.get("classes") or ()]

    @cached_property
    def tables(self) -> Tables:
        folder = self.path / "stages" / "collect"
        if not folder.is_dir():
            return Tables()
        for path in folder.glob("*.*"):
            check_file(folder, path.name)
        return read_tables(folder)

    @cached_property
    def splits(self) -> pd.Series[str] | None:
        """image_id or row_id to its split."""
        import pandas as pd

        path = self.file("split", "splits.parquet")
        if path is None:
            return None
        table = pd.read_parquet(path)
        return pd.Series(table["split"].to_numpy(), index=table["key"].astype(str), name="split")

    def predictions(self, split: str) -> Predictions | None:
        """What the network says of a split, not calibrated."""
        path = self.file("evaluate", f"{split}.npz")
        return None if path is None else load_predictions(path)

    def truth(self, split: str) -> Predictions | None:
        path = self.file("evaluate", f"truth_{split}.npz")
        return None if path is None else load_predictions(path)

    @cached_property
    def bundle(self) -> dict[str, Any]:
        """`bundle.json`; empty when nothing was packaged."""
        return self.json("package", "bundle/bundle.json") or {}

    @cached_property
    def verdicts(self) -> list[tuple[str, dict[str, Any]]]:
        """(time, verdict) of the latest monitoring passes, oldest first."""
        folder = self.path / "monitoring"
        passes = sorted(folder.glob("*/verdict.json")) if folder.is_dir() else []
        return [(path.parent.name, read_json(path)) for path in passes[-LATEST_PASSES:]]


def read_json(path: Path) -> Any:
    """Parse JSON; NaN and infinities become None, as nothing was measured there.

    Raises:
        DataError: it is not JSON.
    """
    try:
        return finite(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise DataError(f"{path} is not JSON: {error}") from error
