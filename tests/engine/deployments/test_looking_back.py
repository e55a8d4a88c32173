"""history and diff: what was deployed, and how two deployments differ."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from pizzeria.runs.store import Result, Run

from .conftest import Stall, make_run
from .test_live import ok, pizzeria


def collected(stall: Stall, run: Run, counts: dict[str, int], *, task: str = "tabular_regression") -> None:
    """Give a run the stages `collect` and `split` of so many rows for each class."""
    names = [name for name, count in counts.items() for _ in range(count)]
    rows = pd.DataFrame({"row_id": [f"r{i}" for i in range(len(names))], "price": names})
    splits = pd.DataFrame({"key": rows["row_id"], "split": ["train", "validation", "test"] * (len(names) // 3)})
    for stage, frame, facts in (
        ("collect", rows, {"rows": len(rows)}),
        ("split", splits, splits["split"].value_counts().to_dict()),
    ):
        with stall.store.partial(f"{run.id}-{stage}", keep=False) as partial:
            frame.to_parquet(Path(partial) / ("rows.parquet" if stage == "collect" else "splits.parquet"))
            result = Result(stage, f"{run.id}-{stage}", partial, facts, 0.0, "", {}, None)
            run.link(stall.store.commit(partial, result))


def test_history_says_when_what_where_how_long_and_why(stall: Stall) -> None:
    ok("deploy", "prices-a")
    pizzeria("deploy", "prices-b", BREAK_AT="apply begins")
    ok("deploy", "prices-b")
    ok("rollback", "prices")
    told = ok("history", "prices").splitlines()
    assert told[0].split() == ["#", "when", "(UTC)", "what", "bundle", "run", "target", "took", "outcome"]
    assert stall.sha256["a"][:12] in told[1]
    assert told[3] == "    it broke at apply begins"
    assert told[-1].endswith("live, the present one")
    found = json.loads(ok("history", "prices", "--json"))
    assert [one["action"] for one in found] == ["deploy", "deploy", "deploy", "rollback"]
    assert [one["outcome"] for one in found] == ["live", "failed", "live", "live"]
    assert [one["champion"] for one in found] == [False, False, False, True]
    assert all(0 <= one["seconds"] < 60 and one["target"] == "stalls" for one in found)
    done = pizzeria("history", "price")
    assert done.exit_code == 2
    assert "did you mean prices?" in done.stderr


def test_history_reads_what_older_versions_wrote(stall: Stall) -> None:
    detail = {"address": "http://here", "target": "stalls"}
    stall.ledger.add("promoted", "prices", run="prices-a", sha256=stall.sha256["a"], detail=detail)
    stall.ledger.add("promoted", "prices", run="prices-b", sha256=stall.sha256["b"], detail=detail)
    found = json.loads(ok("history", "prices", "--json"))
    assert [(one["action"], one["outcome"], one["champion"]) for one in found] == [
        ("deploy", "live", False),
        ("deploy", "live", True),
    ]
    assert f"is back at {stall.sha256['a'][:12]}" in ok("rollback", "prices")


def test_diff_tells_spec_data_and_metrics(stall: Stall) -> None:
    collected(stall, stall.runs["a"], {"1": 6})
    collected(stall, stall.runs["b"], {"1": 6, "2": 3})
    ok("deploy", "prices-a")
    ok("deploy", "prices-b", "deployment.port=2")
    found = json.loads(ok("diff", "prices", "--json"))
    assert found["before"]["run"], found["after"]["run"] == ("prices-a", "prices-b")
    assert {one["path"]: (one["before"], one["after"]) for one in found["spec"]} == {
        "training.seed": (0, 1),
        "deployment.port": (1, 2),
    }
    data = {one["path"]: (one["before"], one["after"]) for one in found["data"]}
    assert data["rows.rows"] == (6, 9)
    assert data["splits.train"] == (2, 3)
    assert data["rows.content"][0] != data["rows.content"][1]
    assert found["comparable"] is False
    metrics = {one["name"]: (one["before"], one["after"], one["verdict"]) for one in found["metrics"]}
    assert metrics == {"mae": (1.0, 2.0, "worse"), "r2": (0.9, 0.9, "same")}
    told = ok("diff", "prices")
    assert "training.seed" in told
    assert "each on its own test data, which are not the same" in told
    assert "worse" in told


def test_diff_of_named_ones(stall: Stall) -> None:
    make_run(stall, "c", -0.5)
    for name in ("a", "b", "c"):
        ok("deploy", f"prices-{name}")
    b, c = stall.sha256["b"], stall.sha256["c"]
    found = json.loads(ok("diff", "prices", c[:8], "prices-b", "--json"))
    assert (found["before"]["sha256"], found["after"]["sha256"]) == (c, b)
    number = str(json.loads(ok("history", "prices", "--json"))[0]["id"])
    found = json.loads(ok("diff", "prices", number, "--json"))
    assert (found["before"]["run"], found["after"]["run"]) == ("prices-a", "prices-c")
    assert [one["verdict"] for one in found["metrics"]] == ["better", "same"]
    for name in ("nothing", "0" * 8):
        done = pizzeria("diff", "prices", name)
        assert done.exit_code == 2
        assert f"prices was never at '{name}'" in done.stderr


def test_diff_needs_two(stall: Stall) -> None:
    assert pizzeria("diff", "prices").exit_code == 2
    ok("deploy", "prices-a")
    done = pizzeria("diff", "prices")
    assert done.exit_code == 2
    assert "prices was deployed once" in done.stderr


def test_classes_are_counted_by_split(stall: Stall) -> None:
    import yaml

    for name, counts in (("a", {"flat": 6}), ("b", {"flat": 3, "house": 3})):
        run = stall.runs[name]
        path = run.folder / "spec.yaml"
        spec = yaml.safe_load(path.read_text())
        spec["problem"] |= {"task": "tabular_classification", "classes": ["flat", "house"]}
        spec["problem"]["success"] = [{"metric": "accuracy", "at_least": 0.5}]
        path.write_text(yaml.safe_dump(spec))
        collected(stall, run, counts)
        ok("deploy", run.id)
    data = {one["path"]: (one["before"], one["after"]) for one in json.loads(ok("diff", "prices", "--json"))["data"]}
    assert data["rows of house in train"] == (0, 1)
    assert data["rows of flat in test"] == (2, 1)
