"""Trial: hostile specs are refused at once, with a place, and without running, reading or telling anything."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from pizzeria.torture import workplace
from pizzeria.torture.bench import Bench
from pizzeria.torture.hostile_specs import CANARY, SECRET_FILE, SECRET_NAME, Hostile, draw
from pizzeria.torture.hostile_specs.kitchen import LIMIT
from pizzeria.torture.trial import Tally

PROMISE = "a spec is only data"
SECONDS = 0.2
"""Of the processor, from the command's beginning to its refusal, once the process is up."""
_BUSY = 3.0
"""Where cores are shared, processor time grows too: so many times what the good spec takes then is at once."""
_COUNT, _SHORT, _COMMANDS, _FEW = 500, 150, 20, 2
_LONGEST = 40_000
"""Characters of a refusal: what nobody reads to its end is no message."""
_CANARY = "from pathlib import Path\nPath(__file__).with_name('canary-sang').write_text('code was run')\n"


def run(bench: Bench, tally: Tally) -> None:
    """Draw hostile specs, read each in a process of its own that is watched, and some with the very command."""
    secret = f"s3cr3t-{bench.random.getrandbits(64):016x}"
    good = workplace.rows(bench.folder / "good", count=20)
    text = good.read_text()
    (bench.folder / f"{CANARY}.py").write_text(_CANARY)
    (bench.folder / SECRET_FILE).write_text(f"token: {secret}\n")
    specs = [Hostile("good", "the spec that all others come of", text.encode(), typed={"problem.owner": "torture"})]
    specs += draw(bench.random, text, _SHORT if bench.short else _COUNT)
    environment = bench.environment(bench.folder, PYTHONPATH=_path(bench), **{SECRET_NAME: secret})
    folders = [_lay(bench.folder / f"{i:03d}", spec, secret, good) for i, spec in enumerate(specs)]
    bench.say(f"{len(specs)} specs")
    seen = _read(bench.folder, folders, specs, environment)
    for folder, spec, found in zip(folders, specs, seen, strict=True):
        problem = judge(spec, found, _said(folder), secret, _limit(seen[0])) or _left(bench.folder, folder, secret)
        tally.note(f"{spec.family}: {spec.what!r} (spec {folder.name})", problem)
    measured = [one for one in seen if one]
    tally.figures["slowest refusal, s of the processor"] = round(max(one["processor"] for one in measured), 3)
    tally.figures["a good spec at that time, s of the processor"] = round(seen[0]["processor"], 3) if seen[0] else None
    tally.figures["slowest refusal, s of the clock"] = round(max(one["clock"] for one in measured), 3)
    tally.figures["most memory of a process, MiB"] = round(max(one["peak"] for one in measured))
    tally.figures["families"] = len({spec.family for spec in specs})
    few = bench.random.sample(range(1, len(specs)), _FEW if bench.short else _COMMANDS)
    for i in few:
        _command(bench, tally, specs[i], folders[i], environment, secret)


def judge(spec: Hostile, seen: dict[str, Any] | None, said: str, secret: str, seconds: float = SECONDS) -> str:
    """What is wrong with how a spec was met; empty when nothing is.

    Args:
        seen: As of `pizzeria.torture.hostile_specs.kitchen`; None when the process had to be killed.
        said: What the command printed.
        seconds: Of the processor, that it may take.
    """
    if seen is None:
        return f"no end within {LIMIT} s, or the process died: {said[-200:]}"
    if seen["did"]:
        return f"it did {', '.join(seen['did'][:3])}"
    if secret in said or secret in json.dumps(seen):
        return "the secret is told"
    if "Traceback" in said:
        return f"a traceback: {said.strip().splitlines()[-1][:200]}"
    if len(said) > _LONGEST:
        return f"a message of {len(said)} characters"
    if any(ord(sign) < 32 and sign not in "\n\t" for sign in said):
        return "a message that commands the terminal"
    if spec.typed is not None:
        if seen["code"]:
            return f"refused, though harmless: {said.strip()[:300]}"
        wrong = {path: value for path, value in spec.typed.items() if seen["values"].get(path) != value}
        return f"came out as {seen['values']!r}" if wrong else ""
    if seen["code"] != 2:
        return f"ended with {seen['code']}, not 2: {said.strip()[:300]}"
    if "fault" not in said or not ("tiny.yaml" in said or "command line" in said):
        return f"no place is told: {said.strip()[:300]}"
    if spec.line and f"tiny.yaml:{spec.line}" not in said:
        return f"line {spec.line} is not told: {said.strip()[:300]}"
    if seen["processor"] > seconds:
        return f"took {seen['processor']:.2f} s"
    return ""


def _path(bench: Bench) -> str:
    import os

    return os.pathsep.join(filter(None, (str(bench.folder), os.environ.get("PYTHONPATH"))))


def _lay(folder: Path, spec: Hostile, secret: str, good: Path) -> Path:
    folder.mkdir()
    (folder / "tiny.yaml").write_bytes(spec.content)
    (folder / SECRET_FILE).write_text(f"token: {secret}\n")
    (folder / "rows.csv").write_bytes((good.parent / "rows.csv").read_bytes())
    return folder


def _read(
    place: Path, folders: list[Path], specs: list[Hostile], environment: dict[str, str]
) -> list[dict[str, Any] | None]:
    """What became of each, in a child of one warm process; slow ones are tried twice more."""
    cases = [
        {"folder": str(folder), "arguments": ["tiny.yaml", *spec.arguments], "paths": list(spec.typed or ())}
        for folder, spec in zip(folders, specs, strict=True)
    ]
    _kitchen(place, cases, environment)
    for _ in range(2):
        slow = [case for case, folder in zip(cases, folders, strict=True) if _slow(_seen(folder))]
        if slow:
            _kitchen(place, [cases[0], *slow], environment)
    return [_seen(folder) for folder in folders]


def _kitchen(place: Path, cases: list[dict[str, Any]], environment: dict[str, str]) -> None:
    (place / "cases.json").write_text(json.dumps(cases))
    command = [sys.executable, "-m", "pizzeria.torture.hostile_specs.kitchen", str(place / "cases.json")]
    done = subprocess.run(
        command, env=environment, cwd=place, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"the process that reads specs ended with {done.returncode}: {done.stderr[-500:]}")


def _seen(folder: Path) -> dict[str, Any] | None:
    path = folder / "seen.json"
    found: dict[str, Any] | None = json.loads(path.read_text()) if path.exists() else None
    return found


def _slow(seen: dict[str, Any] | None) -> bool:
    return seen is not None and seen["processor"] > SECONDS


def _limit(good: dict[str, Any] | None) -> float:
    return max(SECONDS, _BUSY * good["processor"]) if good else SECONDS


def _said(folder: Path) -> str:
    path = folder / "said.txt"
    return path.read_text(errors="replace") if path.exists() else ""


def _left(place: Path, folder: Path, secret: str) -> str:
    """What reading a spec has left behind: nothing, but for what the trial itself wrote."""
    own = {"tiny.yaml", "rows.csv", SECRET_FILE, "seen.json", "said.txt"}
    if (place / "canary-sang").exists():
        return "code of the canary was run"
    more = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.name not in own)
    if more:
        return f"it wrote {', '.join(more)}"
    return "the spec's file was changed" if secret in (folder / "tiny.yaml").read_text(errors="replace") else ""


def _command(bench: Bench, tally: Tally, spec: Hostile, folder: Path, environment: dict[str, str], secret: str) -> None:
    """The same with `pizzeria validate` itself, cold: all but the time holds."""
    if any("\0" in argument for argument in spec.arguments):
        return
    done = bench.pizzeria(folder, "validate", "tiny.yaml", *spec.arguments, timeout=120, env=environment)
    seen = {"code": done.returncode, "did": [], "values": spec.typed or {}, "processor": 0.0}
    tally.note(
        f"pizzeria validate, {spec.family}: {spec.what!r} (spec {folder.name})",
        judge(replace(spec), seen, done.stdout + done.stderr, secret) or _left(bench.folder, folder, secret),
    )
