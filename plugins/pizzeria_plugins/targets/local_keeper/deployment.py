"""What `deployment.json` holds, and the lock that makes commands queue."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from pizzeria import atomic
from pizzeria.errors import DeploymentError

PROTOCOL = 1
"""How commands and keepers talk; a keeper that talks otherwise, of another version of Pizzeria, is replaced."""
FILE = "deployment.json"
LOG = "service.log"
FAILED_LOG = "service.failed.log"
NEXT_LOG = "service.next.log"
KEEPER_LOG = "keeper.log"


@dataclass(frozen=True)
class Deployment:
    """Enough to find the service and its keeper, and to tell whether another one is the same."""

    name: str
    host: str
    port: int
    sha256: str
    argv: list[str]
    environment: dict[str, str]
    folder: str
    """Working folder of the service: where `pizzeria deploy` ran, so that ./plugins is found."""
    pid: int = 0
    token: str = ""
    """Marks the service's processes."""
    keeper: int = 0
    """The keeper's process id."""
    keeper_token: str = ""
    control: str = ""
    """Where the keeper listens for commands."""
    protocol: int = 0
    """How the keeper talks."""
    ended: str = ""
    """Why the keeper gave the service up."""

    @property
    def address(self) -> str:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - what one calls, not binds
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def same_as(self, other: Deployment) -> bool:
        """Whether both are the same command on the same bundle."""
        return (self.argv, self.environment, self.sha256) == (other.argv, other.environment, other.sha256)


def load(folder: Path) -> Deployment | None:
    """What is on disk; None where nothing is deployed.

    Raises:
        DeploymentError: the file makes no sense.
    """
    try:
        return Deployment(**json.loads((folder / FILE).read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise DeploymentError(
            f"{folder / FILE} cannot be read: {error}", hint="stop the service by hand, then remove that file"
        ) from error


def save(deployment: Deployment, folder: Path) -> None:
    """Replace it in one step. The keeper's umask makes it readable for the owner alone."""
    atomic.write_json(folder / FILE, asdict(deployment))


@contextmanager
def locked(state: Path, name: str) -> Iterator[Path]:
    """The deployment's folder, absolute, with every other command that would change it kept waiting."""
    folder = state.resolve() / name
    folder.mkdir(parents=True, exist_ok=True)
    with open(state / f".{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder.mkdir(exist_ok=True)
        yield folder
