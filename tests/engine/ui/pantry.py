"""A store with a history, made in a second: real runs with real bundles on the shelf of `replay`, real logs, and
passes that were recorded as `pizzeria monitor` records them."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from PIL import Image, ImageDraw

from pizzeria import clock
from pizzeria.conformance.asking import Quiet
from pizzeria.contracts import Alarm, Finding, Judged, Verdict
from pizzeria.deployments import log_folder, put_live
from pizzeria.inference.bundle import open_bundle
from pizzeria.loading import load_resolved
from pizzeria.monitoring import incidents, telling
from pizzeria.monitoring.history import History, folder_of
from pizzeria.runs.ledger import Ledger
from pizzeria.runs.store import Run, Store
from pizzeria_plugins.prediction_logs import sqlite

from ..runs.sealed import reseal

EVIL = '<img src=x onerror="window.hit=1">\'&"</script><script>window.hit=2</script>'
BEGIN = datetime(2026, 5, 1, tzinfo=UTC)
HOURS = 72
_KINDS: dict[str, dict[str, Any]] = {
    "tabular_regression": {
        "data": {"use": "table", "path": "rows.csv"},
        "model": {"use": "tabular_network"},
        "features": {"use": "columns"},
    },
    "object_detection": {"data": {"use": "rooms"}, "model": {"use": "timm_detector"}, "features": {"use": "photos"}},
}
_METRICS = {
    "tabular_regression": {"mae": 0.41, "rmse": 0.6, "r2": 0.83},
    "object_detection": {"map_50": 0.62, "presence_f1": 0.88, "map": 0.41},
}


@dataclass
class Pantry:
    """One store.

    Attributes:
        bundles: A real bundle for each task, and a `former` one of rows.
    """

    store: Store
    bundles: dict[str, Path]

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.store.root)

    def run(
        self,
        name: str,
        id: str,
        task: str,
        at: datetime,
        *,
        worse: float = 0.0,
        need: str = "",
        told: bool = True,
        **more: Any,
    ) -> Run:
        """A run as its stages leave it, up to its bundle, whose sha256 the metrics make another one."""
        problem: dict[str, Any] = {
            "need": need or f"Guests want to know what {name} are.",
            "owner": "trust",
            "task": task,
            "success": [
                {"metric": next(iter(_METRICS[task])), **({"at_most": 1.0} if "reg" in task else {"at_least": 0.1})}
            ],
        }
        problem |= {"classes": ["bed", "sofa"]} if task == "object_detection" else {"target": "price"}
        log = {"use": "sqlite", **({"photos": True} if task == "object_detection" else {})}
        spec = {
            "name": name,
            "problem": problem,
            **_KINDS[task],
            "serving": {"log": log},
            "deployment": {"use": "replay"},
        }
        spec |= more
        metrics = {key: round(value * (1 - worse), 4) for key, value in _METRICS[task].items()}
        with clock.at(at):
            run = self.store.open_run(f"{name}-{id}", yaml.safe_dump(spec, sort_keys=False))
            if told:
                self.ledger.add("run_started", name, run=run.id, detail={"stages": ["collect"]})
        done: dict[str, dict[str, Any]] = {
            "collect": {"rows": 500 + len(id)},
            "validate": {"expectations": 4},
            "split": {"train": 350, "validation": 75, "test": 75},
            "leakage": {"leaks": 0},
            "features": {},
            "train": {"epochs": 9},
            "evaluate": {"metrics": metrics},
        }
        for i, (stage, facts) in enumerate(done.items()):
            folder = run.folder / "stages" / stage
            folder.mkdir(parents=True)
            started = (at + timedelta(seconds=i)).isoformat()
            fingerprint = hashlib.sha256(f"{stage} {len(id)} {worse > 0.04}".encode()).hexdigest()
            plain = {"stage": stage, "fingerprint": fingerprint, "seconds": 1.5 + i, "started": started}
            plain |= {"facts": facts, "ingredients": {}, "refusal": None}
            (folder / "result.json").write_text(json.dumps(plain))
        value = next(iter(metrics.values()))
        gate = [problem["success"][0] | {"of_class": None, "value": value, "passed": True}]
        (run.folder / "stages" / "evaluate" / "gate.json").write_text(json.dumps(gate))
        os.utime(run.folder / "spec.yaml", (at.timestamp(), at.timestamp()))
        if told:
            with clock.at(at + timedelta(minutes=1)):
                self.ledger.add("run_finished", name, run=run.id)
        return run

    def pack(self, run: Run, bundle: str) -> str:
        """Give the run one of the real bundles; returns its sha256."""
        folder = self.store.cache / f"{run.id}-package"
        shutil.copytree(self.bundles[bundle], folder / "bundle")
        sha256 = open_bundle(folder / "bundle").sha256
        result = {"stage": "package", "fingerprint": folder.name, "facts": {"sha256": sha256}, "seconds": 2.0}
        plain = result | {"started": "", "ingredients": {}, "refusal": None}
        (folder / "result.json").write_text(json.dumps(plain))
        reseal(folder)
        (run.folder / "stages" / "package").symlink_to(folder)
        return sha256

    def live(self, run: Run, sha256: str, at: datetime) -> None:
        """Put it live, as `pizzeria deploy` does."""
        spec = load_resolved(run.folder / "spec.yaml")
        with clock.at(at):
            put_live(spec, run, run.stage("package") / "bundle", sha256, self.store, Quiet())

    def record(self, run: Run, sha256: str, verdict: Verdict, at: datetime) -> None:
        """Keep a pass, as `pizzeria monitor` does."""
        spec = load_resolved(run.folder / "spec.yaml")
        history = History(folder_of(self.store, spec.name))
        stamp = at.isoformat(timespec="milliseconds")

        def then(connection: Any) -> None:
            changes = incidents.update(connection, verdict, sha256=sha256, run=run.id, at=stamp, champion=True)
            telling.post_changes(connection, changes, spec, run=run.id, sha256=sha256, at=stamp, report=None)

        with clock.at(at):
            history.record(verdict, sha256=sha256, run=run.id, at=stamp, then=then)
            detail = {
                "alerts": [a.text for a in verdict.alerts],
                "undecided": [],
                "reasons": [],
                "judged": verdict.judged,
            }
            self.ledger.add("monitored", spec.name, run=run.id, sha256=sha256, detail=detail)
            incidents.note(self.store, spec.name)
            telling.send_waiting(spec, self.store)

    def decide(self, run: Run, sha: str, at: datetime, action: str, why: str, **evidence: Any) -> None:
        with clock.at(at):
            detail = {"action": action, "why": why, "evidence": evidence}
            self.ledger.add("decided", run.id.rpartition("-")[0], run=run.id, sha256=sha, detail=detail)


def hourly(
    columns: Sequence[str],
    metric: str,
    *,
    breaks: int,
    hours: int = HOURS,
    ids: Sequence[str] = (),
    usual: Sequence[str] = (),
) -> Verdict:
    """Chunks of an hour each, in which the columns drift from one on, and the metric with them."""
    random.seed(7)
    findings, alarms, chunks = [], [], []
    for hour in range(hours):
        begin = BEGIN + timedelta(hours=hour)
        name, start = begin.isoformat(timespec="hours")[:13], begin.isoformat()
        end = (begin + timedelta(minutes=59)).isoformat()
        far = max(0, hour - breaks + 1) / 10
        chunks.append(Judged(name, start, end, 100 + hour % 24, 40 if hour < hours - 24 else 0, hour == hours - 1))
        value = 0.40 + 0.02 * math.sin(hour / 4) + 0.25 * min(far, 1) + random.uniform(-0.01, 0.01)
        worse = value > 0.52
        realised = value + random.uniform(-0.02, 0.03) if hour < hours - 24 else None
        findings.append(Finding("performance", metric, name, start, end, value, "at most 0.52", worse, realised, "DLE",
                                None, 0.52, 0.012))  # fmt: skip
        drifted = []
        for i, column in enumerate(columns):
            distance = abs(0.06 + 0.02 * math.sin(hour / 3 + i) + (0.4 * min(far, 1) if i < 2 else 0))
            alert = None if hour == 5 and i == 3 else distance > 0.25
            findings.append(Finding("drift", column, name, start, end, None if alert is None else distance,
                                    "at most 0.25", alert, None, "jensen_shannon", None, 0.25, 0.01))  # fmt: skip
            drifted += [column] if alert else []
        if worse:
            text = f"estimated {metric} is {value:.3f}, and at most 0.52 is the rule; estimates were within 0.02"
            alarms.append(
                Alarm("performance", metric, name, start, end, text, tuple(drifted), tuple(ids[:4]), tuple(usual[:4]))
            )
        if drifted:
            text = f"{', '.join(drifted)} drifted"
            alarms.append(
                Alarm("drift", "columns", name, start, end, text, tuple(drifted), tuple(ids[:4]), tuple(usual[:4]))
            )
    return Verdict(tuple(findings), tuple(alarms), (), {}, tuple(chunks))


def picture(seed: int) -> bytes:
    """A drawn photo, as PNG."""
    random.seed(seed)
    image = Image.new("RGB", (160, 120), tuple(random.randrange(90, 230) for _ in range(3)))
    draw = ImageDraw.Draw(image)
    for _ in range(5):
        x, y = random.randrange(120), random.randrange(90)
        draw.rectangle((x, y, x + 40, y + 30), fill=tuple(random.randrange(255) for _ in range(3)))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def fill(pantry: Pantry) -> Pantry:
    """Two projects: prices, with incidents, and amenities, with photos."""
    prices(pantry)
    amenities(pantry)
    return pantry


def prices(pantry: Pantry, runs: int = 60) -> tuple[Run, Run]:
    """Two runs were live one after the other, and others never; returns the former and the live one."""
    task = "tabular_regression"
    for i in range(runs):
        pantry.run("prices", f"{i:08x}", task, BEGIN - timedelta(days=60 - i), worse=0.002 * i, told=False)
    former = pantry.run("prices", "aaaa0001", task, BEGIN - timedelta(days=2))
    run = pantry.run("prices", "bbbb0002", task, BEGIN - timedelta(days=1), worse=0.05)
    shas = [pantry.pack(former, "former"), pantry.pack(run, task)]
    for one, sha256, days in ((former, shas[0], 2), (run, shas[1], 1)):
        pantry.live(one, sha256, BEGIN - timedelta(days=days) + timedelta(hours=1))
    ids = _log_rows(pantry, run, shas[1])
    reference = [
        {"input_id": f"u{i}", "pred": 2.0 + i, "true": 2.1 + i, "feature:rooms": i % 3, "feature:beds": 1}
        for i in range(40)
    ]
    package = run.folder / "stages" / "package"
    pd.DataFrame(reference).to_parquet(package / "reference.parquet")
    reseal(package)
    columns = ["rooms", "beds", EVIL, "distance", "month", "nights"]
    verdict = hourly(columns, "mae", breaks=58, ids=ids, usual=["u1", "u2", EVIL])
    pantry.record(run, shas[1], verdict, BEGIN + timedelta(hours=HOURS))
    late = BEGIN + timedelta(hours=HOURS)
    pantry.decide(run, shas[1], BEGIN, "kept", "no incident is open")
    why = f"12 new labels are there, and 100 are asked: {EVIL}"
    pantry.decide(run, shas[1], late, "lacking", why, labels=12,
                  least=100, open=["drift", "performance"], sources={"review": 12, EVIL: 0})  # fmt: skip
    figures = {"champion": 0.41, "challenger": 0.36, "gain": 0.05, "low": 0.02, "high": 0.08}
    window = {"subject": "mae", **figures, "rows": 90, "undecided": "", "classes": [{"subject": EVIL, **figures}]}
    pantry.decide(run, shas[1], late, "refused", "no better", window=window, reasons=["drift"])
    version = pantry.store.root / ".collected" / "prices" / "1"
    version.mkdir(parents=True)
    counts = {"labels": 90, "train": 60, "by_source": {EVIL: 90}}
    plain = {"made": late.isoformat(), "champion": {"run": run.id}, "counts": counts, "doubts": [EVIL]}
    (version / "manifest.json").write_text(json.dumps(plain))
    return former, run


def _log_rows(pantry: Pantry, run: Run, sha256: str) -> list[str]:
    write = sqlite.writer(sqlite.Options(), log_folder(pantry.store, "prices"))
    records = []
    for hour in range(HOURS):
        for i in range(3):
            at = BEGIN + timedelta(hours=hour, minutes=10 * i)
            id = f"{hour:04d}-{i}"
            about = {"timestamp": at.isoformat(timespec="milliseconds"), "sha256": sha256, "prediction_id": id}
            sent = {"input_id": EVIL if i else f"row {hour}", "listing_id": "", "latency_ms": 1.0}
            records.append(about | sent | {"pred": 2.5 + i, "feature:rooms": 4 + i, "feature:beds": 2})
    lately = clock.utcnow() - timedelta(hours=3)
    for i in range(30):
        at = lately + timedelta(minutes=4 * i)
        now = {"timestamp": at.isoformat(timespec="milliseconds"), "prediction_id": f"now-{i}", "feature:rooms": 40}
        records.append(records[0] | now)
    write(records)
    return [f"{HOURS - 1:04d}-{i}" for i in range(3)]


def amenities(pantry: Pantry) -> None:
    task = "object_detection"
    run = pantry.run("amenities", "cccc0003", task, BEGIN - timedelta(hours=6), need=f"Trust. {EVIL}")
    sha256 = pantry.pack(run, task)
    pantry.live(run, sha256, BEGIN - timedelta(hours=5))
    collect = run.folder / "stages" / "collect"
    (collect / "photos").mkdir()
    for i in range(4):
        (collect / "photos" / f"{i}.png").write_bytes(picture(i))
    images = [{"image_id": f"tested {i}", "path": f"photos/{i}.png", "listing_id": "l1"} for i in range(4)]
    pd.DataFrame([*images, {"image_id": "gone", "path": "photos/none.png", "listing_id": "l1"}]).to_parquet(
        collect / "images.parquet"
    )
    write = sqlite.writer(sqlite.Options(), log_folder(pantry.store, "amenities"))
    stamp = (BEGIN + timedelta(hours=HOURS - 1)).isoformat(timespec="milliseconds")
    write([
        {"timestamp": stamp, "sha256": sha256, "prediction_id": f"p{i}", "input_id": f"{i}.png", "listing_id": "l9",
         "latency_ms": 9.0, "photo": picture(50 + i), "feature:brightness": 0.5, "p:bed": 0.9, "pred:bed": 1,
         "p:sofa": 0.2, "pred:sofa": 0}
        for i in range(4)
    ])  # fmt: skip
    columns = ["feature:brightness", "feature:sharpness", "p:bed", "p:sofa"]
    verdict = hourly(
        columns, "f1", breaks=HOURS - 9, ids=[f"p{i}" for i in range(4)], usual=[f"tested {i}" for i in range(4)]
    )
    pantry.record(run, sha256, verdict, BEGIN + timedelta(hours=HOURS))
