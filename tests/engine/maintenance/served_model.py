"""A small real model, trained by the real stages and put on the shelf, whose log is filled by the contract itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pizzeria.conformance.asking import Quiet
from pizzeria.deployments import champion, put_live
from pizzeria.execution import execute
from pizzeria.inference.contract import Contract, Limits
from pizzeria.inference.predictor import Predictor
from pizzeria.inference.truth import Label, check_truth, moment
from pizzeria.labels import Served, open_served
from pizzeria.loading import load_spec
from pizzeria.maintenance.collecting import Version, collect_labelled
from pizzeria.runs.ledger import Ledger
from pizzeria.runs.store import Run, Store
from pizzeria.spec.spec import Spec

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Model:
    """What is live under a name, and the time of its next prediction."""

    store: Store
    name: str
    at: datetime = START
    said: list[str] = field(default_factory=list)
    services: dict[str, tuple[Contract, Callable[[Any], None]]] = field(default_factory=dict)

    @property
    def champion(self) -> tuple[Run, Spec]:
        _, run, spec = champion(self.name, self.store)
        return run, spec

    @property
    def served(self) -> Served:
        return open_served(self.name, self.store)

    def rows(self, rows: Sequence[Mapping[str, Any]], minutes: float = 1.0) -> list[str]:
        """Predict rows, each at a time of its own; returns their prediction ids."""
        return [
            self._ask({"Content-Type": "application/json"}, json.dumps([row]).encode(), "", minutes) for row in rows
        ]

    def photo(self, name: str, data: bytes, listing: str = "") -> str:
        query = f"?input_id={name}" + (f"&listing_id={listing}" if listing else "")
        return self._ask({"Content-Type": "image/png"}, data, query, 1.0)

    def _ask(self, headers: dict[str, str], body: bytes, query: str, minutes: float) -> str:
        contract, write = self._service()
        reply = contract.answer("POST", f"/predict{query}", headers, body)
        assert reply.status == 200, reply.body
        self.at += timedelta(minutes=minutes)
        stamped = {"timestamp": self.at.isoformat(timespec="milliseconds"), "latency_ms": 1.0}
        write([record | stamped for record in reply.records])
        found = json.loads(reply.body)
        return str(found["predictions"][0]["prediction_id"] if "predictions" in found else found["prediction_id"])

    def _service(self) -> tuple[Contract, Callable[[Any], None]]:
        """Answers as a service of the champion does, and writes the log."""
        entry = Ledger(self.store.root).champion(self.name)
        assert entry is not None
        if entry.sha256 not in self.services:
            _, spec = self.champion
            plugin, options, folder = self.served.log
            assert spec.serving.log is not None
            contract = Contract(Predictor(self.served.bundle, 1), Limits(), keep_photos=spec.serving.log.photos)
            self.services = {entry.sha256: (contract, plugin.writer(options, folder))}
        return self.services[entry.sha256]

    def label(self, truths: Mapping[str, Any], source: str = "ann", at: datetime | None = None) -> None:
        """Say the truth of predictions, a minute apart."""
        bundle = self.served.bundle
        labels = [
            Label("prediction_id", name, check_truth(truth, bundle.task, bundle.classes), moment(when), source)
            for when, (name, truth) in zip(_minutes(at or self.at), truths.items(), strict=False)
        ]
        self.served.add(labels)

    def collect(self) -> Version:
        run, spec = self.champion
        progress = Quiet()
        try:
            return collect_labelled(self.name, spec, run, self.store, progress)
        finally:
            self.said = progress.lines

    def train(self, spec: Spec) -> Run:
        """Train a version, and put it on the shelf."""
        done = execute(spec, self.store, Quiet(), until="package")
        package = done.results["package"]
        put_live(spec, done.run, package.folder / "bundle", str(package.facts["sha256"]), self.store, Quiet())
        return done.run


def _minutes(start: datetime) -> Any:
    at = start
    while True:
        yield at
        at += timedelta(minutes=1)


def open_model(folder: Path, text: str, name: str = "kitchen") -> Model:
    """Train a spec, given as YAML, and put it on the shelf; `folder` is the working folder."""
    (folder / "conf" / "deployment").mkdir(parents=True)
    (folder / "conf" / "deployment" / "shelf.yaml").write_text("use: replay\n")
    (folder / f"{name}.yaml").write_text(text)
    model = Model(Store(folder / "runs"), name)
    model.train(load_spec([str(folder / f"{name}.yaml")]))
    return model


__all__ = ["START", "Model", "open_model"]
