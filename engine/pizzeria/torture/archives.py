"""Trial: hostile archives, photos and data are refused plainly, within bounds, and nothing is written elsewhere."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from pizzeria.torture.bench import Bench
from pizzeria.torture.hostile_archives import Attack, attacks
from pizzeria.torture.hostile_archives.kitchen import LIMIT
from pizzeria.torture.hostile_archives.service import serve
from pizzeria.torture.trial import Tally

PROMISE = "archives, photos and labels of strangers stay in their folder"
MOST_GROWN = 1024
"""MiB that a process may grow by: a photo of 100 megapixels takes 300, and 400 while it is turned."""


def run(bench: Bench, tally: Tally) -> None:
    """Make each attack, let it in by its door in a process of its own, and look at what came of it."""
    tried = [attack for attack in attacks() if not (bench.short and attack.heavy)]
    place = bench.folder / "tried"
    beside = bench.folder / "beside.txt"
    beside.parent.mkdir(parents=True, exist_ok=True)
    beside.write_text("not to be touched")
    bench.say(f"{len(tried)} attacks")
    cases = [_case(place, i, attack) for i, attack in enumerate(tried)]
    _kitchen(bench, cases)
    seen = [_seen(case) for case in cases]
    for attack, found in zip(tried, seen, strict=True):
        tally.note(f"{attack.door}: {attack.what}", judge(attack, found))
    others = sorted(
        path.name for path in bench.folder.iterdir() if path.name not in ("tried", "beside.txt", "cases.json")
    )
    untouched = beside.read_text() == "not to be touched" and not others
    tally.note("what lies beside", "" if untouched else f"it was changed, or these came: {others}")
    measured = [found for found in seen if found]
    tally.figures["longest, s of the clock"] = round(max(found["seconds"] for found in measured), 2)
    tally.figures["most that a process grew by, MiB"] = round(max(found["grown"] for found in measured))
    if bench.short:
        tally.leave_out("the same photos and a bundle at a running service", "a long trial")
    else:
        serve(bench, tally, place / "served")


def judge(attack: Attack, seen: dict[str, Any] | None) -> str:
    """What is wrong with how an attack was met; empty when nothing is.

    Args:
        seen: As of `pizzeria.torture.hostile_archives.kitchen`; None when the process had to be killed.
    """
    if seen is None:
        return f"no end within {LIMIT} s, or the process died"
    if seen["wrote"]:
        return f"it wrote to {', '.join(seen['wrote'][:3])}"
    if seen["end"] not in ("", "refused"):
        return f"it fell over: {seen['end']}: {seen['message'][:200]}"
    if not seen["end"] and not attack.taken:
        return "it was taken"
    if "root:" in seen["message"]:
        return "the refusal tells what is in /etc/passwd"
    if seen["grown"] > MOST_GROWN:
        return f"the process grew by {seen['grown']:.0f} MiB"
    return ""


def _case(place: Path, number: int, attack: Attack) -> dict[str, str]:
    folder = place / f"{number:03d}"
    folder.mkdir(parents=True)
    given = attack.make(folder)
    return {"door": attack.door, "given": str(given), "allowed": str(place), "seen": str(folder / "seen.json")}


def _kitchen(bench: Bench, cases: list[dict[str, str]]) -> None:
    listed = bench.folder / "cases.json"
    listed.write_text(json.dumps(cases))
    done = subprocess.run(
        [sys.executable, "-m", "pizzeria.torture.hostile_archives.kitchen", str(listed)],
        env=bench.environment(bench.folder, PIZZERIA_CACHE=str(bench.folder / "tried" / "cache")),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the process that lets them in ended with {done.returncode}: {done.stderr[-500:]}")


def _seen(case: dict[str, str]) -> dict[str, Any] | None:
    path = Path(case["seen"])
    found: dict[str, Any] | None = json.loads(path.read_text()) if path.exists() else None
    return found
