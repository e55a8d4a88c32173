"""What maintenance has begun and not ended, so that it goes on after a kill: trained once, decided once.

`runs/.maintenance/<name>/begun.json` is there while a challenger is trained, compared or promoted, or while the former
model is put back. It goes when the decision is in the ledger; whoever finds it finishes it first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from pizzeria import atomic
from pizzeria.deployments.turn import holder
from pizzeria.loading import load_resolved
from pizzeria.runs.ledger import Entry
from pizzeria.runs.store import Store
from pizzeria.spec.spec import Spec

Phase = Literal["training", "promoting", "rolling back"]


@dataclass(frozen=True)
class Begun:
    """One challenge, or one way back.

    Attributes:
        id: Names it in the ledger.
        phase: What is at work.
        champion: sha256 of the champion when it began.
        why: For the decision that will end it.
        evidence: The same.
        spec: As YAML, resolved: what the challenger is trained by; empty on the way back.
        parts: File that says which test rows are frozen and which of the window; empty where there is none.
        run, sha256: Of the bundle that is to be live, from the phase `promoting` on.
        champion_run: Of that champion.
        meaning_changed: Whether an incident `concept` of the champion was open: then the newest labels decide alone,
            also in the pass that goes on with it.
    """

    id: str
    phase: Phase
    champion: str
    why: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    spec: str = ""
    parts: str = ""
    run: str = ""
    sha256: str = ""
    champion_run: str = ""
    meaning_changed: bool = False


def folder_of(name: str, store: Store) -> Path:
    """Where it lies."""
    return store.root / ".maintenance" / name


def save(begun: Begun, name: str, store: Store) -> Begun:
    """Write it; it is on disk when this returns."""
    folder = atomic.make_folder(folder_of(name, store))
    atomic.write_json(folder / "begun.json", asdict(begun))
    return begun


def load(name: str, store: Store) -> Begun | None:
    """What a command before this one has begun; None when there is nothing."""
    try:
        return Begun(**json.loads((folder_of(name, store) / "begun.json").read_text()))
    except FileNotFoundError:
        return None


def clear(name: str, store: Store) -> None:
    """It is decided."""
    folder = folder_of(name, store)
    if (folder / "begun.json").exists():
        (folder / "begun.json").unlink()
        atomic.sync(folder)


def cut_off(name: str, store: Store) -> str:
    """What to tell of maintenance that was killed and that nobody goes on with yet; empty where there is none."""
    begun = load(name, store)
    if begun is None or holder(name, store, of="maintain") is not None:
        return ""
    return f"`pizzeria maintain {name}` was cut off while {begun.phase}; the next one goes on with it"


def as_text(spec: Spec) -> str:
    """A spec as `Begun.spec` keeps it."""
    return yaml.safe_dump(spec.resolved(), sort_keys=False, allow_unicode=True, width=110)


def spec_of(begun: Begun, name: str, store: Store, champion: Entry) -> Spec:
    """The spec of a challenge, with the target and the log of what is live now.

    Raises:
        SpecError: a plugin that it names is gone, or takes other options now.
    """
    path = folder_of(name, store) / "spec.yaml"
    atomic.write_bytes(path, begun.spec.encode())
    return load_resolved(path, instead=champion.detail if "deployment" in champion.detail else None)
