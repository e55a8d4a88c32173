"""From a path to a spec that validates and runs."""

from __future__ import annotations

import getpass
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pizzeria import atomic, registry
from pizzeria.contracts import Progress, Recognised
from pizzeria.errors import DataError
from pizzeria.loading import load_spec
from pizzeria.proposal import splitting
from pizzeria.proposal.baseline import baseline, criteria
from pizzeria.proposal.columns import Column, look
from pizzeria.proposal.framing import Framing, check_task, frame_photos, frame_rows
from pizzeria.proposal.machine import MINUTES, choose, this_machine
from pizzeria.proposal.recognition import recognise
from pizzeria.proposal.trial import Trial, try_out
from pizzeria.proposal.yaml_text import spec_text
from pizzeria.spec.compose import shipped_conf
from pizzeria.tables import Tables, read_tables

_ORDER = ("name", "problem", "data", "features", "model", "training", "monitoring")
_PLAIN = (
    "expect_column_values_to_not_be_null",
    "expect_column_values_to_be_in_set",
    "expect_column_values_to_be_between",
    "expect_column_values_to_be_unique",
)
_MOST_EXPECTATIONS = 40
_NEED = "State here which need of the business this model serves."
_TASKS = {
    "object_detection": ("One photo.", "A box and a calibrated confidence for each thing in it."),
    "image_classification": ("One photo.", "The probability of each class."),
    "multilabel_classification": ("One photo.", "For each class, the probability that it is there."),
    "tabular_classification": ("One row of the table.", "The probability of each class."),
    "tabular_regression": ("One row of the table.", "A number."),
}


@dataclass(frozen=True)
class Wishes:
    """What the user said besides the path; None where nothing was said."""

    name: str | None = None
    task: str | None = None
    target: str | None = None
    source: str | None = None
    weights: str | None = None
    minutes: float = MINUTES


@dataclass(frozen=True)
class Proposed:
    """A spec, written.

    Attributes:
        found: What was found, in lines for the user.
        remarks: What the trial could not mend.
    """

    path: Path
    name: str
    found: tuple[str, ...]
    remarks: tuple[str, ...] = ()


@dataclass
class _Draft:
    """The sections as they grow, and why each key is so."""

    defaults: dict[str, str]
    spec: dict[str, Any]
    why: dict[str, str] = field(default_factory=dict)
    after: dict[str, list[str]] = field(default_factory=dict)

    def text(self, header: list[str]) -> str:
        spec = {name: self.spec[name] for name in _ORDER if name in self.spec}
        return spec_text(header, self.defaults, spec, self.why, self.after)


def propose(address: str, wishes: Wishes, progress: Progress, *, force: bool = False) -> Proposed:
    """Write `conf/experiment/<name>.yaml` in the working folder.

    Args:
        address: A folder or file, or an address that fsspec knows.
        force: Replace a spec of that name.

    Raises:
        DataError: the data are not recognised, cannot be read or hold nothing to learn; or the spec exists.
    """
    check_task(wishes.task)
    name = wishes.name or _name_of(address)
    path = Path("conf") / "experiment" / f"{name}.yaml"
    if path.exists() and not force:
        raise DataError(f"{path} exists", hint="--force replaces it, --name writes another one")
    source, known = recognise(address, wishes.source, progress)
    progress.say(f"{known.format}, read by the source {source}")
    with tempfile.TemporaryDirectory(prefix="pizzeria-init-") as scratch:
        tables = _read(source, known, wishes, Path(scratch), progress)
        draft, framing = _drafted(name, source, known, tables, wishes)
        header = _header(address, known, tables, framing)
        trial = try_out(draft.spec, draft.why, lambda: draft.text(header), Path(scratch), progress)
        _judge(draft, trial)
        text = draft.text(header)
        (Path(scratch) / f"{name}.yaml").write_text(text)
        load_spec([str(Path(scratch) / f"{name}.yaml")])
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(path, text.encode())
    return Proposed(path, name, tuple(header[1:]), trial.remarks)


def _name_of(address: str) -> str:
    """A name for a spec from the last part of an address that says something.

    Example:
        >>> _name_of("../data/My Photos/"), _name_of("s3://bucket/2026 rooms.csv.gz"), _name_of("42")
        ('my_photos', 'rooms', 'data_42')
    """
    parts = [part for part in address.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    last = parts[-1] if parts else Path.cwd().name
    plain = re.sub(r"[^a-z0-9]+", "_", last.split(".")[0].lower()).strip("_")
    return (re.sub(r"^[0-9_]+(?=[a-z])", "", plain) if not plain.isdigit() else f"data_{plain}")[:60] or "data"


def _read(source: str, known: Recognised, wishes: Wishes, scratch: Path, progress: Progress) -> Tables:
    """The tables as the source brings them, with all their classes."""
    from pizzeria.spec.problem import Problem

    plugin = registry.load("sources", source)
    options = plugin.Options.model_validate(dict(known.options))
    task = wishes.task or known.task or _first_task(plugin.TASKS)
    folder = scratch / "read"
    folder.mkdir()
    problem = Problem.model_construct(task=task, classes=(), target=wishes.target)
    tables: Tables = plugin.collect(options, problem, folder, progress)
    return tables


def _first_task(tasks: frozenset[str]) -> str:
    """The task that asks most of a source: what it brings for that serves the others too."""
    order = ("object_detection", "multilabel_classification", "image_classification", "tabular_regression")
    return next((name for name in order if name in tasks), min(tasks))


def _drafted(name: str, source: str, known: Recognised, tables: Tables, wishes: Wishes) -> tuple[_Draft, Framing]:
    columns = look(tables) if tables.images is None else []
    framing = (
        frame_rows(columns, wishes.task, wishes.target)
        if tables.images is None
        else frame_photos(tables, wishes.task or known.task)
    )
    split, why_split = (
        splitting.of_rows(columns, framing)
        if tables.images is None
        else splitting.of_photos(tables.images, framing, known.split)
    )
    count = round(0.7 * (len(tables.images) if tables.images is not None else columns[0].rows))
    machine = this_machine()
    choice = choose(framing, max(count, 1), machine, wishes.weights, wishes.minutes)
    data: dict[str, Any] = {**known.options}
    why: dict[str, str] = {}
    if split:
        data["split"] = split
        why["data.split"] = why_split
    defaults = {"data": source, "features": choice.features, "model": choice.model}
    if not (shipped_conf() / "data" / f"{source}.yaml").exists():
        data = {"use": source, **data}
        del defaults["data"]
    asked, answered = _TASKS[framing.task]
    problem: dict[str, Any] = {"need": _NEED, "owner": _owner(), "task": framing.task, "input": asked}
    problem["output"] = answered
    if framing.counts:
        problem["classes"] = sorted(framing.counts)
    if framing.target:
        problem["target"] = framing.target
        if framing.why:
            why["problem.target"] = framing.why
    problem["success"] = [_placeholder(framing)]
    spec: dict[str, Any] = {"name": name, "problem": problem, "data": data}
    dropped = {
        column.name: "names its row" for column in columns if column.identifies and _free(column, framing, split)
    }
    if dropped:
        spec["features"] = {"drop": list(dropped)}
        why["features.drop"] = "; ".join(f"{column} {reason}" for column, reason in dropped.items())
    if choice.model_options:
        spec["model"] = dict(choice.model_options)
        why["model"] = choice.why
    spec["training"] = dict(choice.training)
    if not choice.model_options:
        why["training"] = choice.why
    spec["monitoring"] = {"chunk": {"size": _chunk(count)}}
    draft = _Draft(defaults, spec, why)
    if framing.rare:
        listed = ", ".join(f"{name} ({count})" for name, count in framing.rare.items())
        draft.after["problem"] = [f"Left out, with fewer than 10 {framing.unit} each: {listed}"]
    return draft, framing


def _free(column: Column, framing: Framing, split: Mapping[str, Any]) -> bool:
    return column.name != framing.target and column.name not in split.values()


def _placeholder(framing: Framing) -> dict[str, Any]:
    """A criterion for the draft; the trivial model decides the real ones."""
    if framing.task == "tabular_regression":
        return {"metric": "mae", "at_most": 1.0}
    metric = {"object_detection": "map_50", "multilabel_classification": "average_precision"}.get(
        framing.task, "accuracy"
    )
    return {"metric": metric, "at_least": 0.5}


def _judge(draft: _Draft, trial: Trial) -> None:
    """Success criteria from the trivial model, and expectations from what the data are like."""
    tables = read_tables(trial.collected)
    spec = load_spec([str(trial.spec)])
    problem = spec.problem
    validator = registry.load("validators", spec.data.validator)
    if hasattr(validator, "profile"):
        draft.spec["data"]["expectations"] = _plainest(validator.profile(tables, problem))
        draft.why["data.expectations"] = "what holds for these data; `pizzeria data profile` learns more"
    if trial.splits is not None:
        found = criteria(problem, baseline(problem, tables, trial.splits))
        draft.spec["problem"]["success"] = [criterion for criterion, _ in found]
        draft.why |= {f"problem.success.{i}": why for i, (_, why) in enumerate(found)}


def _plainest(learnt: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, list[Any]]:
    """Of what was learnt, what a person would write: which values a column may have, and whether it may lack them."""
    found = {
        table: [dict(entry) for entry in entries if next(iter(entry)) in _PLAIN][:_MOST_EXPECTATIONS]
        for table, entries in learnt.items()
    }
    return {table: entries for table, entries in found.items() if entries}


def _header(address: str, known: Recognised, tables: Tables, framing: Framing) -> list[str]:
    """What was found, for the top of the file."""
    counts = tables.counts()
    parts = [f"{count:,} {'photos' if name == 'images' else name}" for name, count in counts.items() if count]
    lines = [
        f"Written by `pizzeria init --data {address}`; it is yours to change.",
        f"Found: {known.format}; {', '.join(parts)}.",
    ]
    if framing.counts:
        shown = list(framing.counts.items())
        listed = ", ".join(f"{name} {count:,}" for name, count in shown[:12])
        more = f", and {len(shown) - 12} more" if len(shown) > 12 else ""
        lines.append(f"Classes by {framing.unit}: {listed}{more}.")
    return lines


def _chunk(count: int) -> int:
    """Predictions in a monitored chunk: as many as tell something, and not more than come in a while."""
    return min(1000, max(50, round(count / 10 / 10) * 10))


def _owner() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no login name, as in a container
        return "me"
