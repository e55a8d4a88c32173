"""Puts the sections together, and writes `report.html`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pizzeria import atomic
from pizzeria.report import (
    account,
    box_errors,
    cost,
    data,
    evaluation,
    gallery,
    label_noise,
    leakage,
    listings,
    monitoring,
    slices,
    training,
    wording,
)
from pizzeria.report.document import document
from pizzeria.report.measures import tested
from pizzeria.report.photos import Album
from pizzeria.report.run_folder import RunFolder
from pizzeria.report.verdict import criteria, outcome, phases

TITLES = {
    "data": "Data",
    "account": "Account",
    "leakage": "Leakage",
    "label_noise": "Labels in doubt",
    "training": "Training",
    "evaluation": "Evaluation",
    "slices": "Slices",
    "errors": "Errors",
    "examples": "Photos",
    "mistakes": "Mistakes",
    "listings": "Listings",
    "monitoring": "Monitoring",
    "cost": "Cost",
    "parity": "Parity",
    "lineage": "Lineage",
    "spec": "Spec",
}
"""Sections in the order of the page: name of the template and of what it is given, and the word in the contents."""


def render(run: Path, watched: monitoring.Watched | None = None) -> Path:
    """Write `<run>/report.html`: one file that needs nothing else, whole or not at all.

    Sections of stages that did not run are left out, so a run that stopped early has a report as well.

    Args:
        run: `runs/<id>`.
        watched: What the history knows of its bundle's traffic.

    Returns:
        The path of the report.

    Raises:
        NotFoundError: there is no such run.
        DataError: a file of the run cannot be read.
        PizzeriaError: jinja2 or plotly is not installed.
    """
    path = run / "report.html"
    atomic.write_bytes(path, page(RunFolder(run), watched).encode())
    return path


def page(run: RunFolder, watched: monitoring.Watched | None = None) -> str:
    """The report as HTML text."""
    found = {name: content for name, content in _sections(run, watched).items() if content is not None}
    started = [run.result(stage).get("started") for stage in run.stages if run.result(stage).get("started")]
    content = {
        **found,
        "name": run.spec.get("name") or run.id,
        "run_id": run.id,
        "problem": {key: run.problem.get(key) for key in ("need", "owner", "input", "output", "target", "classes")},
        "task": wording.TASKS.get(run.task, run.task),
        "outcome": outcome(run),
        "criteria": criteria(run),
        "phases": phases(run),
        "started": wording.moment(min(started, key=str)) if started else "",
        "contents": [("photos" if name == "examples" else name, TITLES[name]) for name in found],
        "sections": [f"{name}.html.j2" for name in found],
    }
    return document("page.html.j2", content, plots=_has_figure(found))


def _sections(run: RunFolder, watched: monitoring.Watched | None) -> dict[str, Any]:
    test, album = tested(run), Album(run)
    spec = run.path / "spec.yaml"
    found = {
        "data": data.section(run),
        "account": account.section(run),
        "leakage": leakage.section(run, album),
        "label_noise": label_noise.section(run, album),
        "training": training.section(run),
        "evaluation": evaluation.section(run, test),
        "slices": slices.section(run),
        "errors": box_errors.section(run),
        "examples": gallery.examples(run, test, album),
        "mistakes": gallery.mistakes(run, test, album),
        "listings": listings.section(run, test, album),
        "monitoring": monitoring.section(run, watched, album),
        "cost": cost.cost(run),
        "parity": cost.parity(run),
        "lineage": cost.lineage(run),
        "spec": spec.read_text(encoding="utf-8") if spec.exists() else None,
    }
    return {name: found[name] for name in TITLES}


def _has_figure(found: dict[str, Any]) -> bool:
    sections = (found[name] for name in ("data", "training", "evaluation", "slices", "errors") if name in found)
    plots = [plot for section in sections for plot in section["figures"]]
    watched = found.get("monitoring", {"passes": (), "history": None})
    plots += [plot for one in (*watched["passes"], watched["history"]) if one for plot in one["plots"]]
    return bool(plots)
