"""What may be done about a live model that ages: policies, which are nothing but settings of `maintenance`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pizzeria.errors import Fault, SpecError

NEVER, ON_ALERT = "never", "on_alert"
DEFAULT = (NEVER, "30d", ON_ALERT)
_PERIOD = re.compile(r"[1-9]\d{0,5}[smhd]")


@dataclass(frozen=True)
class Policy:
    """When a new model is trained.

    Attributes:
        name: `never`, `on_alert` (as the spec says), or a period such as 30d (that old, whatever monitoring says).
    """

    name: str

    @property
    def maintains(self) -> bool:
        """Whether `pizzeria maintain` runs at all."""
        return self.name != NEVER

    def maintenance(self, section: Mapping[str, Any]) -> dict[str, Any]:
        """The spec's section as this policy has it. Nobody is there to approve, so no approval is waited for.

        Example:
            >>> Policy("on_alert").maintenance({"at_most_every": "60d", "approval": True})
            {'at_most_every': '60d', 'approval': False, 'trust': {'on_turn': 'believe'}}
        """
        out = {**section, "approval": False, "trust": {**section.get("trust", {}), "on_turn": "believe"}}
        if self.name not in (NEVER, ON_ALERT):
            shortest = min((str(section.get("at_most_every", "1d")), self.name), key=seconds)
            out |= {"retrain_on": [], "retrain_every": self.name, "at_most_every": shortest}
        return out

    def __str__(self) -> str:
        return {NEVER: "never", ON_ALERT: "on alert"}.get(self.name, f"every {self.name}")


def read_policy(text: str) -> Policy:
    """A policy as typed.

    Raises:
        SpecError: it is none.

    Example:
        >>> str(read_policy("30d"))
        'every 30d'
    """
    if text not in (NEVER, ON_ALERT) and not _PERIOD.fullmatch(text):
        hint = "write never, on_alert, or a period such as 30d"
        raise SpecError([Fault("--policy", f"there is no policy {text!r}", hint, "command line")])
    return Policy(text)


def seconds(span: str) -> int:
    """A period in seconds.

    Example:
        >>> seconds("12h")
        43200
    """
    return int(span[:-1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[span[-1]]
