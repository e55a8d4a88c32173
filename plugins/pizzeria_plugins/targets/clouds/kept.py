"""What a target remembers of a deployment, in `<state>/<name>/deployment.json`; and one command at a time on it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from pizzeria.atomic import write_json
from pizzeria.errors import DeploymentError
from pizzeria.holding import in_turn


@dataclass(frozen=True)
class Kept:
    """Enough to ask the function how it is."""

    address: str
    sha256: str
    """Of the bundle."""
    package: str
    """Name of the zip, in the bucket or container."""
    before: str = ""
    """Name of the zip that served before."""


@contextmanager
def held(state: Path, name: str) -> Iterator[Path]:
    """The deployment's folder, with every other command that would change it kept waiting."""
    state.mkdir(parents=True, exist_ok=True)
    with in_turn(state / f".{name}.lock"):
        folder = state / name
        folder.mkdir(exist_ok=True)
        yield folder


def load(folder: Path) -> Kept | None:
    """What was remembered; None where nothing was.

    Raises:
        DeploymentError: the file is damaged.
    """
    path = folder / "deployment.json"
    try:
        return Kept(**json.loads(path.read_text()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, TypeError) as error:
        raise DeploymentError(
            f"{path} cannot be read: {error}", hint="remove that file and deploy again; the function itself is not lost"
        ) from error


def save(folder: Path, kept: Kept) -> None:
    """Remember, whole or not at all."""
    write_json(folder / "deployment.json", asdict(kept))


def forget(folder: Path) -> None:
    """Remember nothing of it."""
    shutil.rmtree(folder, ignore_errors=True)
