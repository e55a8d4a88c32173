"""Runs trials one after the other, and keeps what each found."""

from __future__ import annotations

import random
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from pizzeria.errors import NotFoundError, nearest
from pizzeria.torture import TRIALS
from pizzeria.torture.bench import Bench
from pizzeria.torture.trial import Tally, Trial


@dataclass(frozen=True)
class Tried:
    """One promise, and how it went."""

    name: str
    promise: str
    tally: Tally
    seconds: float

    @property
    def verdict(self) -> Literal["held", "broken", "undecided"]:
        """`undecided` when nothing was tried: a trial does not pass on nothing either."""
        if self.tally.broken:
            return "broken"
        return "held" if self.tally.tried else "undecided"

    def plain(self) -> dict[str, Any]:
        """As data for JSON."""
        facts = {"name": self.name, "promise": self.promise, "verdict": self.verdict, "seconds": round(self.seconds, 1)}
        return facts | asdict(self.tally)


def find(names: Sequence[str]) -> list[tuple[str, Trial]]:
    """Trials by name, in the order in which they run; all of them when no name is given.

    Raises:
        NotFoundError: there is none of this name.
    """
    for name in names:
        if name not in TRIALS:
            raise NotFoundError(f"there is no trial {name!r}", hint=nearest(name, TRIALS))
    chosen = [name for name in TRIALS if not names or name in names]
    return [(name, import_module(f"pizzeria.torture.{name}")) for name in chosen]


def torture(
    names: Sequence[str],
    *,
    short: bool,
    seed: int,
    say: Callable[[str], object],
    folder: Path | None = None,
) -> list[Tried]:
    """Run trials.

    Args:
        names: Of `TRIALS`; all when there is none.
        short: Whether each does little.
        seed: Of all chance.
        say: Told how far it is.
        folder: Where what trials leave is kept; a temporary one that is removed when it is None.

    Raises:
        NotFoundError: there is no trial of this name.
    """
    return [_tried(name, trial, short, seed, say, folder) for name, trial in find(names)]


def _tried(name: str, trial: Trial, short: bool, seed: int, say: Callable[[str], object], kept: Path | None) -> Tried:
    tally, started = Tally(), time.perf_counter()
    folder = Path(tempfile.mkdtemp(prefix=f"torture-{name}-")) if kept is None else kept.absolute() / name
    folder.mkdir(parents=True, exist_ok=True)
    say(f"{name}: {trial.PROMISE}")
    bench = Bench(folder, short, random.Random(f"{seed}:{name}"), lambda text: say(f"{name}: {text}"))
    try:
        trial.run(bench, tally)
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        tally.note("the trial itself", f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})")
    finally:
        if kept is None:
            shutil.rmtree(folder, ignore_errors=True)
    return Tried(name, trial.PROMISE, tally, time.perf_counter() - started)
