"""nginx before the two slots: which of them gets the traffic, and in what shares."""

from __future__ import annotations

import contextlib
import hashlib
import time
from pathlib import Path
from typing import Any

from .conversation import Conversation, Failure
from .files import clear, text_of, write
from .probing import ask, readiness
from .supervision import must, run

FRONT = "/.pizzeria/front"
"""Path at which nginx itself says which configuration it has taken up."""
_SERVERS, _GENERATION, _LOG = "@SERVERS@", "@GENERATION@", "@LOG@"
_SURE = 5


def fill(template: str, shares: list[tuple[int, int]], log: str = "") -> str:
    """The configuration for shares of (port, weight).

    Args:
        log: File that notes what a canary answers; none without it.

    Example:
        >>> fill("@SERVERS@\\n@LOG@\\n@GENERATION@", [(8101, 95), (8102, 5)]).splitlines()[0]
        '    server 127.0.0.1:8101 weight=95 max_fails=0;'
    """
    servers = [f"    server 127.0.0.1:{port} weight={weight} max_fails=0;" for port, weight in shares if weight]
    noted = f"    access_log {log} @NAME@;" if log else "    # no canary is at work"
    text = template.replace(_SERVERS, "\n".join(servers)).replace(_LOG, noted.replace("@NAME@", _format(template)))
    return text.replace(_GENERATION, hashlib.sha256(text.encode()).hexdigest()[:16])


def _format(template: str) -> str:
    """The name of the log's format, which the template defines."""
    for line in template.splitlines():
        if line.startswith("log_format "):
            return line.split()[1]
    return "combined"


_WORKER = b"nginx: worker process"


def _workers() -> set[str]:
    """nginx's workers of whatever configuration that accept connections; those that are about to go say so."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes().rstrip(b"\0 ") == _WORKER:
                found.add(path.parent.name)
    return found


def _still_accepting(before: set[str], worker: str) -> bool:
    """Whether a sister of a worker, started before it, goes on accepting connections with the older configuration."""
    if not before or not worker.strip().isdigit():
        return False
    master = _parent(worker.strip())
    return any(_parent(one) == master for one in before & _workers())


def _parent(process: str) -> str:
    with contextlib.suppress(OSError, IndexError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1]
    return ""


class Front:
    """The configuration file of one deployment."""

    def __init__(self, settings: dict[str, Any], conversation: Conversation) -> None:
        self.path = Path(settings["nginx_folder"]) / f"pizzeria-{settings['name']}.conf"
        self.address: dict[str, Any] = settings["front"]
        self._conversation = conversation
        self._wait_s = float(settings["ready_timeout_s"])
        prefix, config = settings.get("nginx_prefix"), settings.get("nginx_config")
        self._argv = (
            settings.get("nginx_program") or "nginx",
            *(("-p", prefix) if prefix else ()),
            *(("-c", config) if config else ()),
        )

    def take_up(self, text: str) -> None:
        """Let nginx work by this text; by the one before, if it will not.

        Raises:
            Failure: nginx refuses it, or does not take it up.
        """
        before = text_of(self.path)
        write(self.path, text)
        tested = run(*self._argv, "-t", "-q")
        if tested.returncode:
            self.put_back(before)
            raise Failure(
                f"nginx refuses its configuration: {tested.stdout.strip()}",
                "where the deployment is not named there, it was broken before: nginx -t on the machine says so too",
            )
        workers = _workers()
        self._reload()
        generation = text.split(f"location = {FRONT} ", 1)[1].split('return 200 "', 1)[1].split(" ", 1)[0]
        sure, deadline = 0, time.monotonic() + self._wait_s
        while sure < _SURE:
            status, body = ask(self.address, FRONT, wait_s=2)
            said, _, worker = body.decode("latin-1").partition(" ")
            taken_up = status == 200 and said == generation and not _still_accepting(workers, worker)
            sure = sure + 1 if taken_up else 0
            if sure:
                continue
            if time.monotonic() > deadline:
                self.put_back(before)
                self._reload()
                raise Failure(
                    f"nginx does not take its new configuration up at {self.address['host']}:{self.address['port']}",
                    f"does {self.path.parent} belong to the folders that its http block includes, is the address free?",
                )
            time.sleep(0.05)

    def put_back(self, text: str | None) -> None:
        """The file as it was."""
        if text is None:
            clear(self.path)
        else:
            write(self.path, text)

    def drop(self) -> None:
        """Take the deployment out of nginx."""
        if self.path.exists():
            clear(self.path)
            if not run(*self._argv, "-t", "-q").returncode:
                self._reload()

    def says(self) -> dict[str, Any]:
        """What `/readyz` says through nginx."""
        return readiness(self.address)

    def _reload(self) -> None:
        if run(*self._argv, "-s", "reload").returncode:  # it does not run yet
            if Path("/run/systemd/system").is_dir() and len(self._argv) == 1:
                must("systemctl", "enable", "--now", "nginx")
            else:
                must(*self._argv)
