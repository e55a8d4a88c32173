"""`state.json`: what is where on this machine. It is the truth of a deployment, whoever asks and from wherever."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .conversation import Failure
from .files import text_of, write

SLOTS = ("a", "b")


class Record:
    """The state of one deployment.

    Attributes:
        live: Slot that the traffic goes to; None before the first one is live.
        staged: Slot of a canary.
        percent: Share of the traffic that the canary gets.
        switching: Whether nginx was about to be told something; after a crash it is told again what is said here.
        front: Template of nginx's configuration.
        slots: `content`, `environment`, `sha256`, `definition` of what is installed in each slot.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        text = text_of(path)
        try:
            found: dict[str, Any] = json.loads(text) if text is not None else {}
            self.live: str | None = found.get("live")
            self.staged: str | None = found.get("staged")
            self.percent = int(found.get("percent", 0))
            self.switching = bool(found.get("switching", False))
            self.front = str(found.get("front", ""))
            self.next_front = str(found.get("next_front", ""))
            self.keys_from = str(found.get("keys_from", ""))
            self.address = str(found.get("address", ""))
            self.slots: dict[str, dict[str, str]] = dict(found.get("slots", {}))
            self.ports: dict[str, int] = dict(found.get("ports", {}))
            self.tools: list[str] = list(found.get("tools", []))
        except (ValueError, TypeError, AttributeError) as error:
            raise Failure(
                f"{path} on the machine cannot be read: {error}",
                "remove the deployment's folder there, and deploy again",
            ) from None

    @property
    def exists(self) -> bool:
        """Whether the file is there."""
        return self._path.exists()

    @property
    def shares(self) -> list[tuple[int, int]]:
        """(port, weight) of who gets the traffic."""
        if self.live is None:
            return []
        if self.staged is None or not self.percent:
            return [(self.ports[self.live], 1)]
        return [(self.ports[self.live], 100 - self.percent), (self.ports[self.staged], self.percent)]

    def save(self) -> None:
        """Write it, whole or not at all."""
        values = {key: value for key, value in vars(self).items() if not key.startswith("_")}
        write(self._path, json.dumps({"format": 1, **values}, indent=1) + "\n", 0o600)
