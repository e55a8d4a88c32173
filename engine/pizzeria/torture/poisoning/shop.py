"""A model of rows that is live, asked and told through the serving contract, and maintained."""

from __future__ import annotations

import csv
import json
import random
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from pizzeria import clock, registry
from pizzeria.conformance.asking import Quiet
from pizzeria.deployments import champion, put_live
from pizzeria.execution import execute
from pizzeria.inference.bundle import open_bundle
from pizzeria.inference.contract import Contract, Feedback, Limits
from pizzeria.inference.predictor import Predictor
from pizzeria.inference.truth import Label, moment
from pizzeria.labels.served import open_served
from pizzeria.loading import load_spec
from pizzeria.maintenance.decisions import Decision, maintain
from pizzeria.monitoring.incidents import open_incidents
from pizzeria.monitoring.passes import monitor
from pizzeria.runs.ledger import Ledger
from pizzeria.runs.store import Store
from pizzeria.spec.check import check
from pizzeria.spec.compose import Composed, Origins

NAME = "shop"
STAFF = "staff"
INPUTS = ("size", "age", "kind")
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_BATCH = 20
_MOST_LABELS = 1000
_SPEC = """
defaults:
  - override /data: table
  - override /features: columns
  - override /model: lightgbm
  - override /training: lightgbm
name: shop
problem:
  need: To be lied to, and to hold.
  owner: torture
  task: tabular_classification
  input: A row.
  output: The probability of yes.
  classes: ["no", "yes"]
  target: answer
  success: [{metric: auroc, at_least: 0.7}]
data: {path: "%s", split: {validation: 0.2, test: 0.3}}
model: {num_leaves: 7, min_data_in_leaf: 10}
training: {rounds: 60, learning_rate: 0.1}
serving: {keys_from: TORTURE_SHOP_KEYS}
monitoring: {chunk: {size: 100}}
maintenance:
  retrain_on: []
  retrain_every: 1m
  at_most_every: 1m
  least_labels: 60
  compare: {resamples: 300}
"""

Row = dict[str, Any]


def draw(count: int, chance: random.Random, *, far: bool = False) -> list[Row]:
    """Rows with the truth, `answer`.

    Args:
        far: Like nothing that the model has seen.
    """
    found = []
    for _ in range(count):
        size, age, kind = chance.gauss(0, 1), chance.gauss(0, 1), chance.choice("abc")
        if far:
            size, age = size * 40 + 500, age * 40 - 500
        answer = "yes" if size + age * (kind == "a") + chance.gauss(0, 0.3) > 0 else "no"
        found.append({"size": round(size, 4), "age": round(age, 4), "kind": kind, "answer": answer})
    return found


@dataclass
class Shop:
    """A store in a folder, at a time of its own."""

    folder: Path
    at: datetime = _BEGIN

    @property
    def store(self) -> Store:
        return Store(self.folder / "runs")

    def copy(self, into: Path) -> Shop:
        """The same, to be spoilt."""
        shutil.copytree(self.folder, into, symlinks=True)
        return Shop(into, self.at)

    def sha256(self) -> str:
        """Of the champion."""
        return champion(NAME, self.store)[0].sha256

    def predictor(self) -> Predictor:
        """The champion."""
        _, run, _ = champion(NAME, self.store)
        return Predictor(open_bundle(run.stage("package") / "bundle"), 1)

    def ask(self, rows: Sequence[Row]) -> list[str]:
        """The champion answers rows, a minute for each, and the log has the answers; returns their prediction ids."""
        served, contract = open_served(NAME, self.store), Contract(self.predictor(), Limits())
        plugin, options, folder = served.log
        write, found = plugin.writer(options, folder), []
        for start in range(0, len(rows), _BATCH):
            batch = [{key: row[key] for key in INPUTS} for row in rows[start : start + _BATCH]]
            headers = {"Content-Type": "application/json"}
            reply = contract.answer("POST", "/predict", headers, json.dumps({"rows": batch}).encode())
            if reply.status != 200:
                raise RuntimeError(f"the champion answers {reply.status}: {reply.body!r}")
            self.at += timedelta(minutes=len(batch))
            stamp = {"timestamp": self.at.isoformat(timespec="milliseconds"), "latency_ms": 1.0}
            write([record | stamp for record in reply.records])
            found += [one["prediction_id"] for one in json.loads(reply.body)["predictions"]]
        return found

    def feedback(self, labels: Iterable[Mapping[str, Any]]) -> list[int]:
        """Labels by `POST /feedback`, as whoever reaches it sends them; returns the statuses."""
        served, contract = open_served(NAME, self.store), Contract(self.predictor(), Limits())
        contract.feedback = Feedback(keep=served.add, refused=None)
        waiting, statuses = list(labels), []
        with clock.at(self.at):
            for start in range(0, len(waiting), _MOST_LABELS):
                body = json.dumps({"labels": waiting[start : start + _MOST_LABELS]}).encode()
                statuses.append(contract.answer("POST", "/feedback", {"Content-Type": "application/json"}, body).status)
        return statuses

    def tell(self, truths: Mapping[str, str]) -> None:
        """Labels of the staff, by a file."""
        labels = [
            Label("prediction_id", name, json.dumps({"class": truth}, separators=(",", ":")), moment(self.at), STAFF)
            for name, truth in truths.items()
        ]
        open_served(NAME, self.store).add(labels)

    def watch(self) -> list[str]:
        """A pass of monitoring; returns the kinds of trouble that are open after it."""
        _, run, spec = champion(NAME, self.store)
        with clock.at(self.at):
            monitor(spec, run, self.store, Quiet())
        return sorted({one.kind for one in open_incidents(self.store, NAME)})

    def maintain(self) -> Decision:
        """A pass, an hour later."""
        self.at += timedelta(hours=1)
        with clock.at(self.at):
            return maintain(NAME, self.store, Quiet())

    def decided(self) -> list[dict[str, Any]]:
        """What the ledger says of all passes."""
        return [dict(entry.detail) for entry in Ledger(self.store.root).entries(NAME, "decided")]

    def settings(self, **maintenance: Any) -> None:
        """Change `maintenance` in the spec of the live run, as if it had been deployed so."""
        _, run, _ = champion(NAME, self.store)
        path = run.folder / "spec.yaml"
        data = yaml.safe_load(path.read_text())
        data["maintenance"] |= maintenance
        path.write_text(yaml.safe_dump(data, sort_keys=False))


def open_shop(folder: Path, *, rows: int = 600) -> Shop:
    """Train the first model, and put it live."""
    folder.mkdir(parents=True)
    table = folder / "rows.csv"
    with open(table, "w", newline="") as stream:
        writer = csv.DictWriter(stream, ["row_id", "size", "age", "kind", "answer"])
        writer.writeheader()
        writer.writerows({"row_id": f"r{i}", **row} for i, row in enumerate(draw(rows, random.Random(1))))
    path = folder / f"{NAME}.yaml"
    path.write_text(_SPEC % table)
    shop = Shop(folder)
    with clock.at(shop.at):
        composed = load_spec([str(path)]).resolved() | {"deployment": {"use": "replay"}}  # a shelf, and no process
        spec = check(Composed(composed, Origins), registry.load)
        done = execute(spec, shop.store, Quiet(), until="package")
        package = done.results["package"]
        put_live(spec, done.run, package.folder / "bundle", str(package.facts["sha256"]), shop.store, Quiet())
    return shop


def quality(predictor: Predictor, rows: Sequence[Row]) -> float:
    """AUROC of a model on rows whose truth nobody has touched."""
    import numpy as np

    answers = predictor.rows([{key: row[key] for key in INPUTS} for row in rows])
    p = np.array([float(answer.record()["p:yes"]) for answer in answers])
    yes = np.array([row["answer"] == "yes" for row in rows])
    order, ranks = p.argsort(kind="stable"), np.empty(len(p))
    ranks[order] = np.arange(1, len(p) + 1)
    for value in np.unique(p):  # equal answers share their ranks
        same = p == value
        ranks[same] = ranks[same].mean()
    return float((ranks[yes].sum() - yes.sum() * (yes.sum() + 1) / 2) / (yes.sum() * (~yes).sum()))
