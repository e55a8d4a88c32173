"""What the target keeps of a deployment on the machine that runs it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from pizzeria import atomic
from pizzeria.errors import DeploymentError
from pizzeria.holding import in_turn

_FILE = "container.json"


@dataclass(frozen=True)
class Kept:
    """One deployment that is live."""

    name: str
    runner: str
    """docker or podman."""
    sha256: str
    image: str
    container: str
    host: str
    port: int
    front: str
    """Container that owns the port; empty: the service's own does."""
    content: str
    """sha256 of what was built and of how it is run."""

    @property
    def address(self) -> str:
        return f"http://{'127.0.0.1' if self.host == '0.0.0.0' else self.host}:{self.port}"  # noqa: S104 - what one calls, not binds


def load(folder: Path) -> Kept | None:
    """What `save` wrote; None where there is nothing.

    Raises:
        DeploymentError: the file is damaged.
    """
    try:
        return Kept(**json.loads((folder / _FILE).read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise DeploymentError(
            f"{folder / _FILE} cannot be read: {error}",
            hint=f"remove the containers by hand, which {label_of(folder.parent, folder.name)} marks; then that file",
        ) from error


def save(kept: Kept, folder: Path) -> None:
    """Whole or not at all."""
    atomic.write_json(folder / _FILE, asdict(kept))


def label_of(state: Path, name: str) -> str:
    """Marks the containers of one deployment of one workspace: names are not unique on a machine.

    Example:
        >>> label_of(Path("/a"), "rooms") == label_of(Path("/b"), "rooms")
        False
    """
    return f"{name}.{hashlib.sha256(str(state.absolute()).encode()).hexdigest()[:12]}"


@contextmanager
def locked(state: Path, name: str) -> Iterator[Path]:
    """The deployment's folder, with every other command that would change it kept waiting."""
    folder = state / name
    state.mkdir(parents=True, exist_ok=True)
    with in_turn(state / f".{name}.lock"):
        folder.mkdir(exist_ok=True)
        yield folder
