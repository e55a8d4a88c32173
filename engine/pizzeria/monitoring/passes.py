"""`pizzeria monitor`: judges what is new in a live model's traffic against the reference of its bundle."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pizzeria import atomic, registry
from pizzeria.clock import now
from pizzeria.contracts import Progress, Traffic, Verdict
from pizzeria.deployments import log_folder
from pizzeria.errors import DataError, NotFoundError, nearest
from pizzeria.monitoring.history import History, folder_of
from pizzeria.monitoring.incidents import Changes, note, update
from pizzeria.monitoring.telling import post_changes, send_waiting, show_standing
from pizzeria.monitoring.traffic import FrameTraffic, LoggedTraffic, Since
from pizzeria.runs.ledger import Ledger
from pizzeria.runs.store import Run, Store
from pizzeria.spec.spec import Spec

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Pass:
    """One monitoring pass.

    Attributes:
        folder: Where its verdict lies.
        changes: What it made of the incidents; None of a pass for itself, which opens and resolves none.
        unsent: Alert channels that could not be told yet, with the reason.
    """

    verdict: Verdict
    folder: Path
    changes: Changes | None = None
    unsent: tuple[str, ...] = ()

    @property
    def alert(self) -> bool:
        """Whether something is wrong now: an incident is open, or, in a pass for itself, there is an alarm."""
        return bool(self.verdict.alerts if self.changes is None else self.changes.open)


def monitor(
    spec: Spec,
    run: Run,
    store: Store,
    progress: Progress,
    *,
    since: datetime | None = None,
    labels: Path | None = None,
) -> Pass:
    """Judge the logged predictions of a run's bundle, tell the alert channels, and keep the verdict.

    A pass looks at what is new since the last one. With `since` or `labels` it is a look for itself: it judges all that
    was asked for, in memory, and neither history nor channels hear of it.

    Args:
        since: Only predictions from then on; all by default.
        labels: CSV or Parquet with `input_id` and the truth (`true`, or `true:<class>` columns), joined by input_id,
            for this pass alone; they come before the labels that are kept with the log.

    Raises:
        NotFoundError: the run has no bundle, or its spec no prediction log.
        DataError: the labels cannot be read or fit nothing.
    """
    import pandas as pd

    package = run.stage("package")
    sha256 = str(store.load(package.name).facts["sha256"])  # type: ignore[union-attr]
    reference = pd.read_parquet(package / "reference.parquet")
    described = package / "bundle" / "bundle.json"
    if described.is_file():
        reference.attrs["calibration"] = json.loads(described.read_text())["calibration"]
    if spec.serving.log is None:
        raise NotFoundError(
            f"{spec.name} keeps no predictions: serving.log is null",
            hint="give the spec a prediction log, and deploy it",
        )
    log = registry.load("prediction_logs", spec.serving.log.use)
    plugin = registry.load("monitors", spec.monitoring.use)
    at = now()
    folder = run.folder / "monitoring" / at.replace(":", "").replace("+0000", "Z")

    def judge(traffic: Traffic, memory: Path) -> Verdict:
        options = spec.monitoring.options
        verdict: Verdict = plugin.judge(options, spec.monitoring, spec.problem, reference, traffic, memory, progress)
        folder.mkdir(parents=True)
        plain = asdict(verdict) | {"at": at, "judged": verdict.judged, "alone": since is not None or labels is not None}
        atomic.write_json(folder / "verdict.json", plain)
        return verdict

    traffic: Traffic = LoggedTraffic(log, spec.serving.log.options, log_folder(store, spec.name), sha256)
    if since is not None:
        traffic = Since(traffic, since)
    if labels is not None:
        pieces = list(traffic.batches())
        analysis = pd.concat(pieces, ignore_index=True) if pieces else pd.DataFrame()
        traffic = FrameTraffic(_with_labels(analysis, labels))
    if since is not None or labels is not None:
        with tempfile.TemporaryDirectory(prefix="pizzeria-") as temporary:
            return Pass(judge(traffic, Path(temporary)), folder)
    memory = folder_of(store, spec.name) / sha256[:16]
    memory.mkdir(parents=True, exist_ok=True)
    verdict = judge(traffic, memory)
    ledger = Ledger(store.root)
    live = ledger.champion(spec.name)
    changes = Changes()

    def follow(connection: sqlite3.Connection) -> None:
        nonlocal changes
        changes = update(
            connection, verdict, sha256=sha256, run=run.id, at=at, champion=live is not None and live.sha256 == sha256
        )
        post_changes(connection, changes, spec, run=run.id, sha256=sha256, at=at, report=run.folder / "report.html")

    History(folder_of(store, spec.name)).record(verdict, sha256=sha256, run=run.id, at=at, then=follow)
    if hasattr(plugin, "kept"):
        plugin.kept(memory)
    detail = {
        "alerts": [alarm.text for alarm in verdict.alerts],
        "undecided": list(verdict.undecided),
        "reasons": sorted({alarm.kind for alarm in verdict.alerts}),
        "open": len(changes.open),
        "judged": verdict.judged,
    }
    ledger.add("monitored", spec.name, run=run.id, sha256=sha256, detail=detail)
    note(store, spec.name)
    unsent = (*send_waiting(spec, store), *show_standing(spec, store, run=run.id, sha256=sha256))
    return Pass(verdict, folder, changes, unsent)


def _with_labels(analysis: pd.DataFrame, path: Path) -> pd.DataFrame:
    import pandas as pd

    if not path.is_file():
        raise DataError(f"there is no {path}", hint="give a CSV or Parquet file with input_id and the truth")
    labels = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    if "input_id" not in labels:
        raise DataError(f"{path} has no column 'input_id'", hint=nearest("input_id", labels.columns))
    truth = [name for name in labels if str(name) == "true" or str(name).startswith("true:")]
    if not truth:
        raise DataError(f"{path} has no truth", hint="name the columns `true`, or `true:<class>` for each class")
    labels = labels.astype({"input_id": str}).drop_duplicates("input_id", keep="last").set_index("input_id")
    joined = analysis.copy()
    told = False
    for name in truth:
        found = analysis["input_id"].map(labels[name])
        told = told or bool(found.notna().any())
        joined[name] = found.where(found.notna(), analysis[name]) if name in analysis else found
    if len(joined) and not told:
        raise DataError(
            f"no input_id of {path} is among the {len(analysis)} predictions", hint="input_id is the name that was sent"
        )
    return joined
