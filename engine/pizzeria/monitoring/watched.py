"""What the report shows of the traffic of a run's bundle: the latest chunks of the history, and photos of the log."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pizzeria import registry
from pizzeria.contracts import Alarm, Judged
from pizzeria.deployments import log_folder
from pizzeria.errors import PizzeriaError
from pizzeria.loading import load_resolved
from pizzeria.monitoring.history import Chunk, History, folder_of
from pizzeria.monitoring.incidents import Incident, incidents
from pizzeria.report.monitoring import Trouble, Watched
from pizzeria.runs.seals import check_file
from pizzeria.runs.store import Store

LATEST = 200
"""Chunks that the report shows."""
INCIDENTS = 50
ALARMS_IN_PHOTOS = 12
"""So many of the newest alarms are looked up in the log, until enough of them have photos."""


def watched(run: Path) -> Watched | None:
    """What is known of the traffic of a run's bundle; None where it was never monitored.

    Args:
        run: `runs/<id>`.
    """
    import json

    result = run / "stages" / "package" / "result.json"
    spec_file = run / "spec.yaml"
    if not result.is_file() or not spec_file.is_file():
        return None
    check_file(result.parent, result.name)
    sha256 = str(json.loads(result.read_text(encoding="utf-8")).get("facts", {}).get("sha256", ""))
    name = _name(spec_file)
    store = Store(run.parent)
    if not name or not (folder_of(store, name) / "history.sqlite").is_file():
        return None
    history = History(folder_of(store, name))
    chunks = history.chunks(sha256=sha256)
    latest = chunks[-LATEST:]
    if not latest:
        return None
    found, told = history.findings(latest), history.alarms(latest)
    alarms = [alarm for chunk in latest for alarm in told[chunk.id]]
    open_first = sorted(incidents(store, name, sha256=sha256, last=INCIDENTS), key=_order)
    return Watched(
        [_judged(chunk) for chunk in latest],
        len(chunks),
        [finding for chunk in latest for finding in found[chunk.id]],
        alarms,
        [_trouble(incident) for incident in open_first],
        _photos(spec_file, store, name, alarms),
    )


def _name(spec_file: Path) -> str:
    import yaml

    spec: Any = yaml.safe_load(spec_file.read_text(encoding="utf-8"))
    return str(spec.get("name") or "") if isinstance(spec, dict) else ""


def _photos(spec_file: Path, store: Store, name: str, alarms: Sequence[Alarm]) -> dict[str, bytes]:
    """Those of the newest alarms. A log that is away is no reason to have no report."""
    asked = dict.fromkeys(key for alarm in alarms[-ALARMS_IN_PHOTOS:] for key in alarm.examples)
    if not asked:
        return {}
    found = {}
    try:
        log = load_resolved(spec_file).serving.log
        if log is None or not log.photos:
            return {}
        plugin, folder = registry.load("prediction_logs", log.use), log_folder(store, name)
        for key in asked:
            photo = plugin.photo(log.options, folder, key)
            if photo is not None:
                found[key] = photo
    except (PizzeriaError, OSError) as error:
        logging.getLogger(__name__).info("no photos of predictions: %s", error)
    return found


def _judged(chunk: Chunk) -> Judged:
    return Judged(chunk.name, chunk.start, chunk.end, chunk.rows, chunk.labelled, chunk.open)


def _trouble(incident: Incident) -> Trouble:
    return Trouble(
        incident.kind, incident.subject, incident.text, incident.causes, incident.opened_at, incident.resolved_at,
        incident.chunks,
    )  # fmt: skip


def _order(incident: Incident) -> tuple[bool, int]:
    """Open ones first, and of each the newest."""
    return not incident.open, -incident.id
