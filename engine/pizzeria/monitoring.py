"""`pizzeria monitor`: judges what a live model has answered against the reference that its bundle was tested on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pizzeria import atomic, registry
from pizzeria.contracts import Verdict
from pizzeria.deployments import log_folder
from pizzeria.errors import DataError, NotFoundError, PizzeriaError, nearest
from pizzeria.runs.ledger import Ledger
from pizzeria.runs.store import Run, Store, now
from pizzeria.spec.spec import Spec

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Pass:
    """One monitoring pass.

    Attributes:
        folder: Where its verdict lies.
        judged: Predictions that were judged.
        unsent: Alert channels that failed, with the reason.
    """

    verdict: Verdict
    folder: Path
    judged: int
    unsent: tuple[str, ...]


def monitor(spec: Spec, run: Run, store: Store, *, since: datetime | None = None, labels: Path | None = None) -> Pass:
    """Judge the logged predictions of a run's bundle, tell the alert channels, and keep the verdict with the run.

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
    if spec.serving.log is None:
        raise NotFoundError(
            f"{spec.name} keeps no predictions: serving.log is null",
            hint="give the spec a prediction log, and deploy it",
        )
    log = registry.load("prediction_logs", spec.serving.log.use)
    analysis: pd.DataFrame = log.read(spec.serving.log.options, log_folder(store, spec.name), sha256=sha256)
    if since is not None and len(analysis):
        analysis = analysis[analysis["timestamp"] >= pd.Timestamp(since)].reset_index(drop=True)
    if labels is not None:
        analysis = _with_labels(analysis, labels)
    plugin = registry.load("monitors", spec.monitoring.use)
    verdict: Verdict = plugin.judge(spec.monitoring.options, spec.monitoring, spec.problem, reference, analysis)
    at = now()
    folder = run.folder / "monitoring" / at.replace(":", "").replace("+0000", "Z")
    folder.mkdir(parents=True)
    atomic.write_json(folder / "verdict.json", asdict(verdict) | {"at": at, "judged": len(analysis)})
    detail = {"alerts": list(verdict.alerts), "undecided": list(verdict.undecided), "reasons": list(verdict.reasons)}
    Ledger(store.root).add("monitored", spec.name, run=run.id, sha256=sha256, detail=detail | {"judged": len(analysis)})
    return Pass(verdict, folder, len(analysis), _tell(spec, verdict, run) if verdict.alerts else ())


def _tell(spec: Spec, verdict: Verdict, run: Run) -> tuple[str, ...]:
    unsent = []
    for alert in spec.monitoring.alerts:
        try:
            registry.load("alerts", alert.use).send(alert.options, spec.name, verdict, run.folder / "report.html")
        except PizzeriaError as error:
            unsent.append(f"{alert.use}: {error.message}")
    return tuple(unsent)


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
