"""/<name>/labels: what is most worth a label next, and how labels come in."""

from __future__ import annotations

import csv
import io
import tempfile
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from pizzeria.errors import DataError
from pizzeria.ui.asking import Answer
from pizzeria.ui.paging import integer
from pizzeria.ui.projects import Project
from pizzeria.ui.rendering import render
from pizzeria.ui.shop import Shop, shop_of

_LIMIT = 100
_SHOWN = 20
_MOST = 200_000
"""With more predictions the queue is made by the command, which may take its time."""


@dataclass(frozen=True)
class Asked:
    """A queue of labels.

    Attributes:
        table: The CSV as `pizzeria labels queue` writes it.
        rows: Its first rows, by column.
    """

    table: bytes
    rows: list[dict[str, str]]
    logged: int
    labelled: int
    asked: int


def labels(request: Request) -> Response:
    shop = shop_of(request)
    project = shop.project(request.path_params["name"])
    chunk = None
    examples: list[str] = []
    number = integer(request, "chunk", 0)
    if number and project.history is not None:
        chunk = project.history.chunk(number)
        alarms = [] if chunk is None else project.history.alarms([chunk])[chunk.id]
        examples = list(dict.fromkeys(id for alarm in alarms for id in alarm.examples))
    facts = project.newest
    return render(
        request,
        "labels",
        project=project,
        chunk=chunk,
        examples=examples,
        queue=_queue(shop, project, 2.0),
        shown=_SHOWN,
        photos=facts is not None and bool(facts.task) and not facts.task.startswith("tabular"),
    )


def queue_csv(request: Request) -> Response:
    """The whole table, to be filled in and given to `pizzeria labels add`."""
    shop = shop_of(request)
    project = shop.project(request.path_params["name"])
    found = _queue(shop, project, 60.0)
    if found is None or found.value is None:
        trouble = "nothing is live" if found is None else found.trouble or "it takes longer than a minute"
        raise DataError(f"there is no queue: {trouble}", hint=f"pizzeria labels queue {project.name} --out FOLDER")
    headers = {"content-disposition": f'attachment; filename="{project.name}-queue.csv"'}
    return Response(found.value.table, media_type="text/csv; charset=utf-8", headers=headers)


def _queue(shop: Shop, project: Project, wait_s: float) -> Answer | None:
    """What is worth a label, asked beside the page; None where nothing is live."""
    entry = project.champion
    if entry is None:
        return None
    logged = 0 if project.history is None else project.history.rows(entry.sha256)
    if logged > _MOST:
        return Answer(trouble=f"{logged:,} predictions are more than a page may read; the command does it")

    def look() -> Asked:
        from pizzeria.labels import open_served, queue

        with tempfile.TemporaryDirectory(prefix="pizzeria-") as folder:
            done = queue(open_served(project.name, shop.store), Path(folder) / "queue", limit=_LIMIT)
            table = done.files[0].read_bytes()
        rows = list(csv.DictReader(io.StringIO(table.decode())))[:_SHOWN]
        return Asked(table, rows, done.logged, done.labelled, done.asked)

    return shop.asker.ask(("queue", project.name, str(entry.id)), look, fresh_s=60, wait_s=wait_s)
