"""A run told to trackers: what they get, when they are down, slow, or come later. They are real, in ./plugins."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pizzeria import registry
from pizzeria.errors import GateError, SpecError
from pizzeria.graph import Step, plan, run_id
from pizzeria.loading import load_spec
from pizzeria.runs.store import Result, Run, Store
from pizzeria.spec.spec import Spec
from pizzeria.tracking import follow, following, telling
from pizzeria.tracking.results import parameters

SPEC = """
defaults: [{override /data: table}, {override /features: columns}, {override /model: tabular_network}]
name: prices
problem: {need: Test., owner: tests, task: tabular_regression, target: price, success: [{metric: r2, at_least: 0.5}]}
data: {path: prices.csv}
"""
DIARY = '''
"""A tracker that writes down what it is told."""
import json
import time
from pathlib import Path
from pizzeria.spec.section import Options as PluginOptions
from pydantic import Field

class Options(PluginOptions):
    path: str = Field(default="diary.jsonl", description="The file.")
    slow_s: float = Field(default=0, description="Seconds that each call takes.")
    down: bool = Field(default=False, description="Whether it fails.")

class Diary:
    where = "a diary"
    def __init__(self, options):
        self.options = options
        lines = Path(options.path).read_text().splitlines() if Path(options.path).exists() else []
        self.steps = max((json.loads(line)[2] for line in lines if json.loads(line)[0] == "metrics"), default=0)
    def _say(self, *said):
        time.sleep(self.options.slow_s)
        if self.options.down:
            raise ConnectionError("no route to the diary")
        with open(self.options.path, "a") as stream:
            print(json.dumps(said), file=stream)
    def parameters(self, values): self._say("parameters", values)
    def metrics(self, values, step): self._say("metrics", values, step)
    def lineage(self, values): self._say("lineage", values)
    def file(self, path): self._say("file", path.name)
    def close(self, state): self._say("close", state)

def begin(options, name, run):
    return Diary(options)
'''


class Recorder:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)

    def update(self, label: str, done: int, total: int, **figures: float) -> None:
        pass


@pytest.fixture(autouse=True)
def folder(working_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (working_folder / "prices.yaml").write_text(SPEC)
    (working_folder / "prices.csv").write_text("area,price\n" + "".join(f"{i},{3 * i}\n" for i in range(40)))
    plugins = working_folder / "plugins" / "trackers"
    plugins.mkdir(parents=True)
    (plugins / "diary.py").write_text(DIARY)
    monkeypatch.setattr(telling, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(following, "INTERRUPTED_S", 60)  # a busy machine may need more than five
    return working_folder


def spec(*trackers: str) -> Spec:
    return load_spec(["prices.yaml", f"tracking=[{', '.join(trackers)}]"])


def begun(found: Spec) -> tuple[Store, list[Step], Run]:
    store = Store()
    steps = plan(found, store)
    return store, steps, store.open_run(run_id(found, steps), "name: prices\n")


def leave(store: Store, steps: list[Step], stage: str, facts: dict[str, Any], files: dict[str, str]) -> None:
    """A complete stage, as `execute` leaves one."""
    step = next(step for step in steps if step.name == stage)
    with store.partial(step.fingerprint, keep=True) as folder:
        for name, text in files.items():
            (folder / name).write_text(text)
        store.commit(folder, Result(stage, step.fingerprint, folder, facts, 1.0, "now", step.ingredients, None))


def curves(store: Store, steps: list[Step], epochs: int) -> None:
    """The training comes so far."""
    step = next(step for step in steps if step.name == "train")
    with store.partial(step.fingerprint, keep=True) as folder:
        rows = "".join(f"{i},{1 / i},,{0.5}\n" for i in range(1, epochs + 1))
        (folder / "curves.csv").write_text(f"epoch,train_loss,r2,seconds\n{rows}")


def diary(path: str = "diary.jsonl") -> list[list[Any]]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()] if Path(path).exists() else []


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_curves_while_it_trains_then_what_came_of_it_and_nothing_twice() -> None:
    found, progress = spec("{use: diary}"), Recorder()
    store, steps, run = begun(found)

    def cut_off() -> None:
        with follow(found, run, steps, store, progress):
            curves(store, steps, 2)
            until(lambda: len([one for one in diary() if one[0] == "metrics"]) == 2)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut_off()
    assert diary()[-1] == ["close", "killed"]
    assert diary()[0][1]["training.max_epochs"] == 10
    cut = len(diary())

    with follow(found, run, steps, store, progress):  # the same run goes on
        curves(store, steps, 3)
        leave(store, steps, "train", {}, {})
        leave(store, steps, "evaluate", {}, {"metrics.json": json.dumps({"metrics": {"r2": 0.9, "mae": None}})})
        leave(store, steps, "package", {"sha256": "beef"}, {})
        (run.folder / "report.html").write_text("<p>")
    later = diary()[cut:]
    assert [one[1:] for one in later if one[0] == "metrics"] == [
        [{"train_loss": 1 / 3, "seconds": 0.5}, 3],
        [{"test_r2": 0.9}, 3],
    ]
    [lineage] = [one[1] for one in later if one[0] == "lineage"]
    assert lineage["bundle"] == "beef"
    assert lineage["run"] == run.id
    assert lineage["stage.train"] == next(step.fingerprint for step in steps if step.name == "train")
    names = ["spec.yaml", "spec.yaml", "report.html", "curves.csv", "metrics.json"]
    assert [one[1] for one in later if one[0] == "file"] == names
    assert later[-1] == ["close", "finished"]

    done = [replace(step, result=store.load(step.fingerprint), why="") for step in steps]
    standing = [step for step in done if step.result is not None]
    with follow(found, run, standing, store, progress):  # nothing runs, and nothing is new
        pass
    assert len(diary()) == cut + len(later)
    both = spec("{use: diary}", "{use: diary, path: later.jsonl}")
    with follow(both, run, standing, store, progress):  # one that was added later is told all of it
        pass
    assert len(diary()) == cut + len(later)
    assert [one[2] for one in diary("later.jsonl") if one[0] == "metrics"] == [1, 2, 3, 3]


def test_a_tracker_that_is_down_stops_nothing_and_is_told_the_next_time() -> None:
    found, progress = spec("{use: diary, down: true}", "{use: diary, path: other.jsonl}"), Recorder()
    store, steps, run = begun(found)
    with follow(found, run, steps, store, progress):
        leave(store, steps, "train", {}, {"curves.csv": "epoch,train_loss\n1,0.5\n"})
    said = [line for line in progress.lines if "failed" in line]
    assert said == ["tracking: diary failed, and the run goes on without it: ConnectionError: no route to the diary"]
    assert len(json.loads((run.folder / "tracking.json").read_text())) == 1
    assert diary("other.jsonl")[-1] == ["close", "finished"]


def test_libraries_are_imported_before_anything_in_the_thread_that_trains(folder: Path) -> None:
    plugin = folder / "plugins" / "trackers" / "diary.py"
    with plugin.open("a") as stream:
        stream.write("\nimport threading\ndef prepare():\n    print(threading.current_thread().name)\n")
        stream.write("    import a_library_that_nobody_has\n")
    found, progress = spec("{use: diary}"), Recorder()
    store, steps, run = begun(found)
    with redirect_stdout(io.StringIO()) as printed, follow(found, run, steps, store, progress):
        assert printed.getvalue() == "MainThread\n"
    assert len(progress.lines) == 1
    assert "ModuleNotFoundError: No module named 'a_library_that_nobody_has'" in progress.lines[0]
    assert diary() == []


def test_a_slow_tracker_is_waited_for_no_longer_than_the_spec_says(folder: Path) -> None:
    # Its thread goes on until the plugin is told, which is why the path is absolute.
    plugin = folder / "plugins" / "trackers" / "diary.py"
    plugin.write_text(DIARY.replace("time.sleep(self.options.slow_s)", "TOLD.wait(self.options.slow_s)"))
    with plugin.open("a") as stream:
        stream.write("\nimport threading\nTOLD = threading.Event()\n")
    slow = f"{{use: diary, slow_s: 300, patience_s: 0.3, path: {folder / 'diary.jsonl'}}}"
    found, progress = spec(slow), Recorder()
    store, steps, run = begun(found)
    begin = time.monotonic()
    try:
        with follow(found, run, steps, store, progress):
            pass
        assert time.monotonic() - begin < 200
        assert any("diary did not take all of it within 0.3 s" in line for line in progress.lines)
    finally:
        registry.load("trackers", "diary").plugin.TOLD.set()
        for thread in threading.enumerate():
            if thread.name == "tracking diary":
                thread.join()


def test_a_refused_run_is_told_as_failed_and_one_that_trains_nothing_not_at_all() -> None:
    found = spec("{use: diary}")
    store, steps, run = begun(found)
    with follow(found, run, steps[:2], store, Recorder()):
        pass
    assert diary() == []
    with pytest.raises(GateError), follow(found, run, steps, store, Recorder()):
        raise GateError("missed")
    assert diary()[-1] == ["close", "failed"]


def test_trackers_decide_no_fingerprint_and_tell_nothing_of_themselves() -> None:
    plain, tracked = spec(), spec("{use: diary, path: secret.jsonl}")
    assert [one.fingerprint for one in plan(plain, Store())] == [one.fingerprint for one in plan(tracked, Store())]
    assert not [name for name, value in parameters(tracked).items() if "secret" in f"{name} {value}"]


@pytest.mark.parametrize(
    ("trackers", "said"),
    [
        (["{use: dairy}"], "no plugin 'dairy' among the trackers"),
        (["{use: diary}", "{use: diary}"], "diary is there twice, with the same options"),
        (["{use: diary, paht: a}"], "unknown key"),
        (["{path: a}"], "'use' is missing"),
    ],
)
def test_a_tracker_that_cannot_be_is_refused(trackers: list[str], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        spec(*trackers)
