"""/<name>/chunks/<id>: what was found in one chunk, what is likely behind it, and which records show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from pizzeria import registry
from pizzeria.contracts import Alarm, Finding
from pizzeria.deployments import log_folder
from pizzeria.errors import NotFoundError, PizzeriaError
from pizzeria.monitoring.history import Chunk
from pizzeria.monitoring.traffic import LoggedTraffic
from pizzeria.ui.asking import Answer
from pizzeria.ui.projects import Project
from pizzeria.ui.rendering import render
from pizzeria.ui.shop import Shop, shop_of

_EXAMPLES = 12
_COLUMNS = 6
_ALWAYS = ("prediction_id", "input_id", "pred")


@dataclass(frozen=True)
class Rows:
    """Records as a table: those of the chunk, and usual ones of the reference."""

    columns: Sequence[str]
    drifted: Sequence[Sequence[Any]]
    usual: Sequence[Sequence[Any]]


def chunk(request: Request) -> Response:
    shop = shop_of(request)
    project = shop.project(request.path_params["name"])
    history = project.history
    found = None if history is None else history.chunk(request.path_params["id"])
    if found is None or history is None:
        id = request.path_params["id"]
        raise NotFoundError(f"{project.name} has no chunk {id}", hint="the page on monitoring has those that there are")
    alarms = history.alarms([found])[found.id]
    findings = sorted(history.findings([found])[found.id], key=_order)
    before, after = history.beside(found)
    shown = _shown(shop, project, found)
    return render(
        request,
        "chunk",
        project=project,
        chunk=found,
        alarms=alarms,
        findings=findings,
        before=before,
        after=after,
        photos=shown == "photos",
        rows=_rows(shop, project, found, alarms) if shown == "rows" else None,
        most=_EXAMPLES,
    )


def _order(one: Finding) -> tuple[Any, ...]:
    return (one.alert is not True, one.alert is not None, one.kind != "performance", one.kind, one.subject)


def _shown(shop: Shop, project: Project, found: Chunk) -> str:
    """Whether records of the chunk have photos that are kept, or are rows; empty where neither can be said."""
    facts = shop.runs.of(found.run) if found.run else None
    if facts is None or not facts.task:
        return ""
    return "rows" if facts.task.startswith("tabular") else "photos"


def _rows(shop: Shop, project: Project, found: Chunk, alarms: Sequence[Alarm]) -> Any:
    """The examples of all alarms as rows, with the columns that are behind them."""
    examples = list(dict.fromkeys(id for alarm in alarms for id in alarm.examples))[:_EXAMPLES]
    usual = list(dict.fromkeys(id for alarm in alarms for id in alarm.usual))[:_EXAMPLES]
    causes = list(dict.fromkeys(name for alarm in alarms for name in (*alarm.causes, alarm.subject)))
    if not examples or not found.start:
        return None
    try:
        log = shop.spec_of(project, found.run).serving.log
    except PizzeriaError as error:
        return Answer(trouble=error.message)
    if log is None:
        return None
    reference = shop.store.root / found.run / "stages" / "package" / "reference.parquet"

    def look() -> Rows:
        plugin = registry.load("prediction_logs", log.use)
        logged = LoggedTraffic(plugin, log.options, log_folder(shop.store, project.name), found.sha256)
        drifted = _of_log(logged, found, set(examples))
        return _table(drifted, _of_reference(reference, usual), causes)

    return shop.asker.ask(("rows", project.name, str(found.id), found.judged_at), look, fresh_s=600, wait_s=1.5)


def _of_log(logged: LoggedTraffic, found: Chunk, wanted: set[str]) -> list[dict[str, Any]]:
    """Records by their ids, among those of the chunk's time."""
    out: list[dict[str, Any]] = []
    until = datetime.fromisoformat(found.end) + timedelta(milliseconds=1)
    for piece in logged.batches(since=datetime.fromisoformat(found.start), until=until):
        if "prediction_id" not in piece:
            break
        found_here = piece[piece["prediction_id"].isin(wanted)]
        out += [{str(key): value for key, value in row.items()} for row in found_here.to_dict("records")]
        if len(out) >= len(wanted):
            break
    return out


def _of_reference(path: Path, wanted: Sequence[str]) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    if not wanted or not path.exists() or "input_id" not in pq.read_schema(path).names:
        return []
    found: list[dict[str, Any]] = pq.read_table(path, filters=[("input_id", "in", list(wanted))]).to_pylist()
    return found


def _table(drifted: Sequence[Mapping[str, Any]], usual: Sequence[Mapping[str, Any]], causes: Sequence[str]) -> Rows:
    """The columns that are behind the alarms first, then others, some of them."""
    names = {str(key): None for row in (*drifted, *usual) for key in row}
    features = [name for name in names if name.startswith("feature:")]
    behind = [name for cause in causes for name in (cause, f"feature:{cause}") if name in names]
    columns = list(dict.fromkeys([*(name for name in _ALWAYS if name in names), *behind, *features]))
    columns = columns[: len(_ALWAYS) + max(_COLUMNS, len(behind))]
    sides = [[[row.get(name) for name in columns] for row in rows] for rows in (drifted, usual)]
    return Rows([name.removeprefix("feature:") for name in columns], *sides)
