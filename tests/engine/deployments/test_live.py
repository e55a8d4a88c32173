"""Deploy, roll back, stop, on one target and on several: what is live, what the ledger keeps, and what a user reads."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pizzeria.cli import main

from .conftest import Stall, make_run


def pizzeria(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(main, list(arguments), env=environment)


def ok(*arguments: str) -> str:
    done = pizzeria(*arguments)
    assert done.exit_code == 0, done.output
    return done.output


def status_json(*arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(pizzeria("status", "--json", *arguments).stdout)
    return found


def test_a_failing_deployment_leaves_the_old_one_and_says_so(stall: Stall) -> None:
    a, b = stall.sha256["a"], stall.sha256["b"]
    assert f"prices is live at http://here with {a[:12]}" in ok("deploy", "prices-a")
    failed = pizzeria("deploy", "prices-b", BREAK_AT="apply starts the new one")
    assert failed.exit_code == 6
    assert "it broke at apply starts the new one" in failed.stderr
    assert f"{a[:12]} keeps serving at http://here" in failed.stderr
    assert "mend it" in failed.stderr
    assert "Traceback" not in failed.output
    stall.agree()
    assert stall.events() == ["deploying", "promoted", "deploying", "failed"]
    last = stall.last()
    assert (last.sha256, last.detail["why"], last.detail["serving"]) == (b, "it broke at apply starts the new one", a)


def test_one_that_fails_after_it_switched_is_entered_as_live(stall: Stall) -> None:
    ok("deploy", "prices-a")
    failed = pizzeria("deploy", "prices-b", BREAK_AT="apply has switched")
    assert failed.exit_code == 6
    assert f"{stall.sha256['b'][:12]} is live at http://here, and is entered so" in failed.stderr
    stall.agree()
    assert stall.champion() == stall.sha256["b"]


def test_one_that_leaves_nothing_brings_the_old_one_back(stall: Stall, monkeypatch: pytest.MonkeyPatch) -> None:
    ok("deploy", "prices-a")
    monkeypatch.setenv("LEAVES_NOTHING", "1")
    failed = pizzeria("deploy", "prices-b", BREAK_AT="apply starts the new one")
    assert failed.exit_code == 6
    monkeypatch.setenv("BREAK_AT", "apply has stopped the old one")
    failed = pizzeria("deploy", "prices-b")
    assert failed.exit_code == 6
    assert "could not be brought back either: it broke at" in failed.stderr
    monkeypatch.delenv("LEAVES_NOTHING")
    monkeypatch.delenv("BREAK_AT")
    ok("deploy", "prices-a")
    stall.agree()
    assert stall.champion() == stall.sha256["a"]


def test_the_first_deployment_fails(stall: Stall) -> None:
    failed = pizzeria("deploy", "prices-a", BREAK_AT="apply begins")
    assert failed.exit_code == 6
    assert "nothing is live under the name prices" in failed.stderr
    assert ok("status") == "nothing is deployed\n"
    assert stall.events() == ["deploying", "failed"]


def test_the_same_again_is_unchanged_and_other_settings_are_not(stall: Stall) -> None:
    ok("deploy", "prices-a")
    ok("deploy", "prices-a")
    ok("deploy", "prices-a", "deployment.port=2")
    assert [event for event in stall.events() if event != "deploying"] == ["promoted", "unchanged", "promoted"]
    assert stall.serves()["port"] == 2
    assert stall.last().detail["deployment"]["port"] == 2
    ok("deploy", "prices-b")
    ok("rollback", "prices")
    assert stall.serves() == {"sha256": stall.sha256["a"], "port": 2}  # as it was then


def test_roll_back_to_a_bundle_or_run(stall: Stall) -> None:
    make_run(stall, "c", 2.0)
    for name in ("a", "b", "c"):
        ok("deploy", f"prices-{name}")
    a, b, c = (stall.sha256[name] for name in "abc")
    assert f"prices is back at {a[:12]} of run prices-a" in ok("rollback", "prices", "--to", a[:8])
    assert f"prices is back at {c[:12]}" in ok("rollback", "prices")  # which was live before that
    assert f"prices is back at {b[:12]}" in ok("rollback", "prices", "--to", "prices-b")
    stall.agree()
    for to, said in (("prices-b", "is what prices is at now"), ("prices-x", "was never at 'prices-x'"), (b[:3], "")):
        done = pizzeria("rollback", "prices", "--to", to)
        assert done.exit_code == 2
        assert said in done.stderr
    assert pizzeria("rollback", "price").exit_code == 2


def test_one_bundle_on_two_targets(stall: Stall) -> None:
    """Another folder is another place, as another machine would be."""
    ok("deploy", "prices-a")
    ok("deploy", "prices-b")
    said = ok("deploy", "prices-b", "deployment.place=there")
    assert f"prices is also live on stalls at http://here, with {stall.sha256['b'][:12]}" in said
    assert "`pizzeria stop prices --others` takes it down" in said
    [found] = status_json()
    assert (found["address"], found["sha256"]) == ("http://there", stall.sha256["b"])
    assert [one["address"] for one in found["others"]] == ["http://here"]
    assert "also live on stalls at http://here" in ok("status", "prices")

    ok("stop", "prices", "--others")
    assert stall.serves("here") == {}
    assert stall.serves("there")["sha256"] == stall.sha256["b"]
    ok("rollback", "prices")  # to where it was
    assert stall.serves("here")["sha256"] == stall.sha256["a"]

    ok("stop", "prices")
    assert stall.serves("here") == stall.serves("there") == {}
    assert stall.events()[-2:] == ["deploying", "stopped"]
    assert ok("status") == "nothing is deployed\n"


@pytest.mark.parametrize("gone", ["spec", "run"])
def test_what_is_live_is_seen_and_stopped_by_the_ledger_alone(stall: Stall, gone: str) -> None:
    ok("deploy", "prices-a")
    ok("deploy", "prices-b", "deployment.place=there")
    for run in stall.runs.values():
        if gone == "run":
            shutil.rmtree(run.folder)
        else:
            (run.folder / "spec.yaml").write_text("name: others\n")
    [found] = status_json()
    assert (found["state"], found["address"], found["sha256"]) == ("live", "http://there", stall.sha256["b"])
    assert [one["address"] for one in found["others"]] == ["http://here"]
    back = pizzeria("rollback", "prices")
    assert back.exit_code != 0, "what would bring up again is another matter"
    assert "Traceback" not in back.output
    ok("stop", "prices")
    assert stall.serves("here") == stall.serves("there") == {}
    assert stall.champion() is None


def test_a_target_that_comes_up_with_another_bundle_is_refused(stall: Stall) -> None:
    target = stall.folder / "plugins" / "targets" / "stalls.py"
    target.write_text(target.read_text().replace('found["sha256"], f"port', '"f" * 64, f"port'))
    failed = pizzeria("deploy", "prices-a")
    assert failed.exit_code == 6
    assert f"answers with bundle ffffffffffff, and {stall.sha256['a'][:12]} was deployed" in failed.stderr
    assert stall.champion() is None


MISTAKES = [
    (["deployment.plaec=x"], "did you mean place?"),
    (["deployment=nowhere"], "there is no 'nowhere'"),
    (["deployment.use=nowhere"], "no plugin 'nowhere' among the targets"),
    (["training.seed=3"], "only deployment and serving.log can differ"),
    (["serving.max_rows=3"], "only deployment and serving.log can differ"),
    (["deployment.place=${oc.env:HOME}"], "nothing can be looked up here"),
    (["deployment.place=a,b"], "one place at a time"),
    (["deployment.place"], "write KEY=VALUE"),
    (["~deployment.place"], "write KEY=VALUE"),
    (["serving.log=lines"], "write serving.log.use=lines"),
    (["deployment.rollout.steps=[50,5]"], "write rising shares"),
    (["deployment.port=x"], "deployment.port: found 'x'"),
]


@pytest.mark.parametrize(("overrides", "said"), MISTAKES, ids=[" ".join(one[0]) for one in MISTAKES])
def test_what_a_deployment_cannot_change(stall: Stall, overrides: list[str], said: str) -> None:
    done = pizzeria("deploy", "prices-a", *overrides)
    assert done.exit_code == 2, done.output
    assert said in done.stderr
    assert stall.events() == []


def test_another_target_and_no_log(stall: Stall) -> None:
    done = ok("deploy", "prices-a", "deployment=local", "deployment.port=3999", "serving.log=null", "--dry-run")
    assert "3999" in done
    assert "bentoml" in done
    assert stall.events() == []


def test_the_run_folder_and_the_schedule_reach_the_target(stall: Stall) -> None:
    target = stall.folder / "plugins" / "targets" / "stalls.py"
    text = target.read_text().replace("def render(release: Release, options: Options) -> Rendered:\n", "def _(): ...\n")
    text += (
        "\nSCHEDULES = True\n\ndef render(release, options):\n"
        "    return Rendered({'seen': f'{release.run} {release.schedule.monitor}'})\n"
    )
    target.write_text(text.replace("def _(): ...\n", "def _render(release, options):\n"))
    said = ok("deploy", "prices-a", "deployment.schedule.monitor=1h", "--dry-run")
    assert f"{stall.runs['a'].folder} 1h" in said
