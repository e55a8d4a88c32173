"""Changes bytes of everything that Pizzeria keeps, one place at a time, and looks whether whoever takes it up notices.

A bit is flipped; or a file is cut off, a part of it zeroed, or the content of another file of its kind put in its
place. It is taken up by a process that has not seen it before, by the code by which a command does. That it is refused
with its name and with what to do is what must come; where a format has bytes that mean nothing, such as the free pages
of SQLite, all that is read must be as before.
"""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext

from pizzeria.torture.bench import Bench
from pizzeria.torture.flipping.damage import damaged, kept_as_it_is
from pizzeria.torture.flipping.kept import Kept, kept_by, kept_in_files
from pizzeria.torture.flipping.live import commands
from pizzeria.torture.flipping.looking import look
from pizzeria.torture.trial import Tally

PROMISE = "A changed byte of anything that is kept is found when it is taken up, and told by the name of its file"
TRIES, SHORT_TRIES = 1000, 120


def run(bench: Bench, tally: Tally) -> None:
    """Try all kinds in turn, so that each gets as many; then commands as a user gives them."""
    with commands(bench) as at_work:
        shelf = [one for case in at_work for one in kept_by(case.store(case.RUN), bench.folder / case.spec.stem)]
        shelf += kept_in_files(bench.folder / "files")
        flip(shelf, SHORT_TRIES if bench.short else TRIES, bench, tally)
        for case in at_work:
            case.torture(tally, 1 if bench.short else 4)
    tally.leave_out("prediction log `lines`", "it lies in the log of a platform, which may write a line anew")
    tally.leave_out("prediction log `postgresql`", "PostgreSQL has checksums of its own: initdb --data-checksums")
    tally.leave_out("headers and footers of the prediction log `parquet`", "its checksums are of the data pages alone")
    tally.leave_out("cache of photos", "a pack that does not fit its checksum is made again, as tests show")
    tally.leave_out("readings of the monitor", "their rows have sums as the history's have, as tests show")


def flip(shelf: list[Kept], tries: int, bench: Bench, tally: Tally) -> None:
    """Damage one file after the other, each time of the next kind."""
    said: Counter[str] = Counter()
    before = {one.kind: look(one.take_up) for one in shelf}
    for one in shelf:
        if before[one.kind].refused:
            tally.note(f"take up {one.kind} as it is", before[one.kind].refused)
    for i in range(tries):
        one = shelf[i % len(shelf)]
        path = bench.random.choice(one.files())
        put_back = kept_as_it_is(one.place) if one.changes else nullcontext()
        with put_back, damaged(path, one.files(), one.place, bench.random) as what:
            found = look(one.take_up)
        problem, harmless = found.judged(before[one.kind], one.names(path), harmless=one.harmless)
        tally.note(f"{one.kind}: {what}", problem)
        said[f"{one.kind}: harmless" if harmless else f"{one.kind}: {'broken' if problem else 'refused by name'}"] += 1
        if problem or i % 100 == 99:
            bench.say(f"{i + 1} of {tries}: {what}: {problem or 'held'}")
    tally.figures |= dict(sorted(said.items()))
