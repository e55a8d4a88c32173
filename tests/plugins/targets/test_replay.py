"""The target `replay` passes the suite of all targets. It runs no service: what lies on its shelf is opened in this
process, and asked through the contract that every service answers by, as `pizzeria simulate` does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pizzeria import registry
from pizzeria.conformance import tiny_bundles
from pizzeria.conformance.asking import Quiet
from pizzeria.conformance.corpus import Case, Send, contract_of
from pizzeria.conformance.targets import TargetSuite
from pizzeria.contracts import DeploymentStatus
from pizzeria.errors import DeploymentError
from pizzeria.inference.contract import Contract


class TestReplay(TargetSuite):
    plugin = "replay"

    def sender(self, status: DeploymentStatus) -> Send:
        opened: dict[str, Contract] = {}

        def send(case: Case) -> tuple[int, bytes]:
            now = self.status()
            if now.state != "live":
                raise DeploymentError(f"nothing is on the shelf: {now.state}")
            bundle = json.loads((self._folder / "state" / self.name / "shelf.json").read_text())["bundle"]
            contract = opened.get(bundle) or opened.setdefault(bundle, contract_of(Path(bundle), self.serving()))
            answer = contract.answer(case.method, case.target, case.headers, case.body)
            return answer.status, answer.body

        return send


def test_a_bundle_that_is_gone_is_dead(tmp_path: Path) -> None:
    target = registry.load("targets", "replay")
    shelf = tmp_path / "prices" / "shelf.json"
    shelf.parent.mkdir()
    shelf.write_text(json.dumps({"name": "prices", "sha256": "ab12", "bundle": str(tmp_path / "gone")}))
    found = target.status("prices", target.Options(), tmp_path)
    assert (found.state, found.sha256) == ("dead", "")
    assert "gone" in found.detail


def test_another_bundle_than_was_meant_is_refused(tmp_path: Path) -> None:
    from dataclasses import replace

    from pizzeria.errors import BundleError

    TestReplay.setup_class()
    try:
        release = replace(TestReplay.release(tiny_bundles.OLDER), sha256="0" * 64, state=tmp_path)
        target = registry.load("targets", "replay")
        with pytest.raises(BundleError, match="was to be deployed"):
            target.apply(release, target.Options(), Quiet())
        assert target.status(release.name, target.Options(), tmp_path).state == "absent"
    finally:
        TestReplay.teardown_class()
