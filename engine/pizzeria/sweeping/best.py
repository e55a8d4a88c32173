"""The best member as a spec of its own, whole and resolved, that `pizzeria run` takes at once."""

from __future__ import annotations

from pathlib import Path

import yaml

from pizzeria import atomic
from pizzeria.spec.compose import standing_choices
from pizzeria.sweeping.comparing import Comparison
from pizzeria.sweeping.records import Member


def write_best(comparison: Comparison, path: Path) -> Path | None:
    """Write the spec of the best member; None, and nothing written, where no member was measured.

    All stages that the member left stand for this spec too, so that a run of it begins where the member ended.
    """
    best = comparison.best
    if best is None:
        path.unlink(missing_ok=True)  # of an earlier comparison
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(path, _text(comparison, best).encode())
    return path


def _text(comparison: Comparison, best: Member) -> str:
    varied = " ".join(f"{key}={value}" for key, value in best.settings.items())
    head = [
        f"# The best of {comparison.title}: member {best.number + 1}, {varied or 'nothing varied'}",
        f"# {comparison.metric} on the validation split: {comparison.value(best):.6g}",
    ]
    if best.state == "missed":
        head.append("# It misses a success criterion, as all members do: a run stops at the gate.")
    # The file says everything, so no choice of a config group shall add to it.
    groups = [{f"override /{name}": None} for name in standing_choices()]
    defaults = yaml.safe_dump({"defaults": groups}, sort_keys=False)
    spec = yaml.safe_dump(dict(best.spec), sort_keys=False, allow_unicode=True, width=110)
    return "\n".join([*head, defaults + spec])
