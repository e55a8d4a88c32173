"""The suite that every source passes: the built-in ones, and yours.

Example:
    A whole test file::

        from my_package import warehouse
        from pizzeria.conformance.sources import SourceSuite

        class TestWarehouse(SourceSuite):
            plugin = warehouse
            task = "tabular_regression"
            target = "price"

            @classmethod
            def bring(cls, folder):
                (folder / "rows.csv").write_text("rooms,price\\n2,100\\n3,140\\n")
                return {"path": str(folder / "rows.csv")}
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from pizzeria.conformance.asking import Quiet
from pizzeria.conformance.plugins import PluginSuite
from pizzeria.contracts import Recognised
from pizzeria.spec.problem import Problem
from pizzeria.tables import Tables, read_tables, write_tables
from pizzeria.tasks import task as task_of

_KEYS = {"images": "image_id", "boxes": "box_id", "listings": "listing_id", "rows": "row_id"}


class SourceSuite(PluginSuite):
    """Subclass it with a name that begins with `Test`; say which source, for which task, and bring it data."""

    kind = "sources"
    task: ClassVar[str] = ""
    """Task that the data are for; one of the plugin's `TASKS` by default."""
    target: ClassVar[str | None] = None
    """Tabular tasks: the column to predict."""

    @classmethod
    def bring(cls, folder: Path) -> Mapping[str, Any] | None:
        """Put a little good data into `folder`, and return the options that read them; None: `options` do."""
        return None

    def _collect(self, folder: Path) -> tuple[Tables, Any]:
        (folder / "data").mkdir(exist_ok=True)
        brought = self.bring(folder / "data")
        options = self.make_options(**(brought or {}))
        plugin = self.guarded()
        problem = Problem.model_construct(task=self.task or min(plugin.TASKS), classes=(), target=self.target)
        made = Path(tempfile.mkdtemp(dir=folder))
        tables: Tables = plugin.collect(options, problem, made, Quiet())
        write_tables(tables, made)
        return read_tables(made), options

    @pytest.fixture
    def collected(self, tmp_path: Path) -> Tables:
        return self._collect(tmp_path)[0]

    def test_it_brings_what_the_task_needs(self, collected: Tables) -> None:
        """it brings the tables that the task needs, and they are not empty"""
        counts = collected.counts()
        for name in task_of(self.task or min(self.guarded().TASKS)).TABLES:
            assert counts.get(name), f"no {name}"

    def test_nothing_is_dropped_without_a_word(self, collected: Tables) -> None:
        """what it read is what it brings and what it set aside, by its account"""
        collected.account.check(collected.counts())

    def test_ids_are_texts_that_name_one_thing(self, collected: Tables) -> None:
        """ids are texts, and no two things share one"""
        for name, frame in collected.present():
            keys = frame[_KEYS[name]]
            assert keys.map(lambda key: isinstance(key, str) and key != "").all(), f"{name}: ids must be texts"
            assert keys.is_unique, f"{name}: {keys[keys.duplicated()].iloc[0]!r} stands twice"

    def test_photos_are_there_and_boxes_belong_to_them(self, collected: Tables) -> None:
        """each photo's path is a file, and each box is of a photo"""
        if collected.images is None:
            pytest.skip("it brings no photos")
        lost = [path for path in collected.images["path"] if not Path(path).is_file()]
        assert not lost, f"there is no {lost[0]}"
        if collected.boxes is not None:
            strange = set(collected.boxes["image_id"]) - set(collected.images["image_id"])
            assert not strange, f"boxes of photos that are not there: {sorted(strange)[:5]}"
            corners = collected.boxes[["x_min", "y_min", "x_max", "y_max"]]
            assert corners.map(lambda value: isinstance(value, float)).all(axis=None), (
                "corners must be floats, in pixels"
            )

    def test_the_same_data_come_the_same_way(self, tmp_path: Path) -> None:
        """read twice, the same data are the same, in the same order"""
        first, second = (self._collect(tmp_path)[0] for _ in range(2))
        assert first.account == second.account
        for (name, one), (_, other) in zip(first.present(), second.present(), strict=True):
            own = [column for column in one.columns if column != "path"]
            assert one[own].astype(str).equals(other[own].astype(str)), f"{name} differ"

    def test_what_decides_its_data_is_named(self, tmp_path: Path) -> None:
        """its inputs are files and folders that exist, or texts"""
        _, options = self._collect(tmp_path)
        for one in self.guarded().inputs(options):
            assert isinstance(one, str) or (isinstance(one, Path) and one.exists()), f"{one!r} is no path that exists"

    def test_it_recognises_its_own_data_alone(self, tmp_path: Path) -> None:
        """it recognises its own data, by options that read them, and nothing in an empty folder"""
        plugin = self.guarded()
        if not hasattr(plugin, "recognise"):
            pytest.skip("it has no recognise")
        for name, content in (("empty", None), ("noise.bin", bytes(range(256))), ("zero", b"")):
            path = tmp_path / name
            path.mkdir() if content is None else path.write_bytes(content)
            assert plugin.recognise(path) is None, f"it takes {name} for its data"
        assert plugin.recognise(tmp_path / "absent") is None
        (tmp_path / "data").mkdir()
        if self.bring(tmp_path / "data") is None:
            return
        answers = [plugin.recognise(path) for path in (tmp_path / "data", *(tmp_path / "data").iterdir())]
        found = [answer for answer in answers if answer is not None]
        assert found, "it does not recognise its own data"
        for answer in found:
            assert isinstance(answer, Recognised), f"recognise returned a {type(answer).__name__}"
            assert 0 <= answer.certainty <= 1, f"certainty is {answer.certainty}"
            plugin.Options.model_validate_json(self.make_options(**answer.options).model_dump_json(), strict=True)
