"""Whole runs, suites and services with nothing in them: a command that gates must not end with 0, nor fall over."""

from __future__ import annotations

import csv
import http.client
import json
import time
from collections.abc import Callable
from pathlib import Path

from pizzeria.ports import free_port
from pizzeria.torture import workplace
from pizzeria.torture.bench import Bench
from pizzeria.torture.commands import Case
from pizzeria.torture.trial import Tally
from pizzeria.torture.warm import Warm, warm

Row = dict[str, str]
_UNDECIDED = 11
_SLICE = "problem.success=[{metric: auroc, at_least: 0, slice: {kind: z}}]"
_AGE = "{expect_column_values_to_be_between: {column: age, min_value: -99, max_value: 99}}"


def _with(**values: str) -> Callable[[list[Row]], list[Row]]:
    return lambda rows: [row | values for row in rows]


def _same(rows: list[Row]) -> list[Row]:
    return rows


_HOLLOW: tuple[tuple[str, Callable[[list[Row]], list[Row]], tuple[str, ...], bool], ...] = (
    ("no row", lambda rows: [], (), True),
    ("one row", lambda rows: rows[:1], (), False),
    ("one class", _with(answer="yes"), (), True),
    ("no label", _with(answer=""), (), True),
    ("labels that are NaN", _with(answer="nan"), (), False),
    ("a class that is never seen", _same, ('problem.classes=["no","yes","maybe"]',), True),
    ("a slice that is empty", _same, (_SLICE,), True),
    ("no success criterion", _same, ("problem.success=[]",), True),
    ("an expectation of an empty column", _with(age=""), (f"data.expectations={{rows: [{_AGE}]}}",), True),
    ("a validator that is not there", _same, ("data.validator=nothing",), True),
    ("no test split", _same, ("data.split.test=0",), True),
    ("no validation split", _same, ("data.split.validation=0",), True),
    ("columns that are empty", _with(size="", age="", kind=""), (), False),
    ("columns that are NaN", _with(size="nan", age="nan"), (), False),
    ("columns that are infinite", _with(size="inf"), (), False),
    ("columns that never change", _with(size="1", age="1", kind="a"), (), False),
    ("a test split of one row", _same, ("data.split.test=0.001",), False),
)
"""What, the change to the rows of a good table, overrides, and whether a short trial has the time."""

_SUITES = {
    "a test that is skipped": "import pytest\n\n\n@pytest.mark.skip(reason='nothing')\ndef test_a():\n    pass\n",
    "no test": "",
    "no code": None,
}


def run(bench: Bench, tally: Tally) -> None:
    """Tell the tally of each."""
    with warm(bench.environment(bench.folder)) as forks:
        spec = workplace.rows(bench.folder / "good", port=free_port())
        good = Case(bench, forks, spec, bench.folder / "stores", until="validate" if bench.short else "deploy")
        arguments = ("run", spec.name, "--until", good.until)
        code = forks.learn(spec.parent, arguments, good.environment("good"), good.log("good"))
        tally.note("a run that is not hollow", "" if code == 0 else f"ended with {code}: {good.said('good')[-300:]}")
        try:
            _runs(bench, tally, forks, spec)
            _suites(bench, tally, good)
            if bench.short:
                tally.leave_out(
                    "monitor and maintain without traffic, hollow runs that train, suites without tests", "a long trial"
                )
            else:
                _service(tally, good)
        finally:
            good.remove("good")


def judge(code: int, said: str) -> str:
    """What is wrong with how a command ended that had nothing to pass on; empty when nothing is."""
    if "Traceback" in said:
        return f"it fell over: {said.strip().splitlines()[-1][:200]}"
    if code == 0:
        return f"it passed: {said[-300:]}"
    return f"it died: {code}" if code < 0 else ""


def _runs(bench: Bench, tally: Tally, forks: Warm, spec: Path) -> None:
    with open(spec.parent / "rows.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    for i, (what, change, overrides, quick) in enumerate(_HOLLOW):
        if bench.short and not quick:
            continue
        folder = bench.folder / f"hollow-{i}"
        own = workplace.rows(folder, count=1)
        with open(folder / "rows.csv", "w", newline="") as stream:
            out = csv.DictWriter(stream, list(rows[0]))
            out.writeheader()
            out.writerows(change(rows))
        case = Case(bench, forks, own, bench.folder / "stores", until="package")
        name = f"hollow-{i}"
        code = case.run(name, "run", own.name, *overrides, "--until", "package")
        tally.note(f"pizzeria run, {what}", judge(code, case.said(name)))
        case.remove(name)


def _suites(bench: Bench, tally: Tally, case: Case) -> None:
    """`pizzeria plugins test` of packages that test nothing."""
    for i, (what, tests) in enumerate([*_SUITES.items()][: 1 if bench.short else None]):
        folder = bench.folder / f"suite-{i}"
        folder.mkdir()
        if tests is not None:
            (folder / "test_it.py").write_text(tests)
        since = case.log("good").stat().st_size
        code = case.run("good", "plugins", "test", str(folder))
        tally.note(f"pizzeria plugins test, {what}", judge(code, case.said("good", since)))


def _service(tally: Tally, case: Case) -> None:
    """A live service that nobody has asked yet, then once, and labels that are none."""
    name, folder = case.spec.stem, case.spec.parent

    def ask(what: str, *arguments: str, passes: bool = False, exactly: int | None = None) -> None:
        since = case.log("good").stat().st_size
        code = case.run("good", *arguments)
        said = case.said("good", since)
        problem = judge(1 if passes and code == 0 else code, said)
        if not problem and exactly is not None and code != exactly:
            problem = f"it ended with {code}, not {exactly}: {said[-300:]}"
        tally.note(f"pizzeria {arguments[0]}, {what}", problem)

    ask("no traffic", "monitor", name, exactly=_UNDECIDED)
    ask("no traffic", "maintain", name, passes=True)
    tally.note("no traffic: the same model is live", "" if _promotions(case) == 1 else "another one took over")
    _predict(case)
    time.sleep(3)
    ask("one prediction", "monitor", name, exactly=_UNDECIDED)
    for what, text in (("no row", "input_id,true\n"), ("a label of nobody", "input_id,true\nnobody,yes\n")):
        (folder / "labels.csv").write_text(text)
        ask(f"labels with {what}", "monitor", name, "--labels", "labels.csv")
    ask("a few labels at most", "maintain", name, passes=True)
    tally.note("one prediction: the same model is live", "" if _promotions(case) == 1 else "another one took over")


def _promotions(case: Case) -> int:
    from pizzeria.runs.ledger import Ledger

    return Ledger(case.store("good")).count(case.spec.stem, "promoted")


def _predict(case: Case) -> None:
    port = int(case.spec.read_text().rpartition("port: ")[2].split("}")[0])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    body = json.dumps({"rows": [{"size": 0.1, "age": 0.2, "kind": "a"}]})
    connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
    status = connection.getresponse().status
    connection.close()
    if status != 200:
        raise RuntimeError(f"the service answers {status}")
