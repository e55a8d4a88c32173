"""No secrets, no calls home: a whole life cycle in an empty network, with planted secrets, and a search of all that
it left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pizzeria.torture import workplace
from pizzeria.torture.bench import Bench
from pizzeria.torture.secrecy.life import Life
from pizzeria.torture.secrecy.network import cut_off, departures, watched
from pizzeria.torture.secrecy.planted import found_in, leaks, plant
from pizzeria.torture.trial import Tally
from pizzeria.torture.warm import warm

PROMISE = "A whole life cycle tells no secret, and calls nobody"


def run(bench: Bench, tally: Tally) -> None:
    folder = bench.folder
    variables, planted = plant(bench.random)
    trace = folder.with_name(f"{folder.name}.trace")  # not among what the life cycle leaves
    trace.touch()
    try:
        with _life(bench, variables, trace, tally) as life:
            for spec in _specs(bench):
                bench.say(f"the life of {spec.stem}")
                life.whole(spec, briefly=bench.short)
            bench.say("commands that fail")
            life.troubles(briefly=bench.short)
        for failed in life.failed:
            tally.note("a command of the life cycle", failed)
        if watched(trace):
            _note_departures(trace.read_text(errors="replace"), tally)
    finally:
        trace.unlink(missing_ok=True)
    bench.say("searching all that was left and told")
    _note_secrets(folder, life.arguments, planted, tally)


def _specs(bench: Bench) -> Iterator[Path]:
    yield workplace.rows(bench.folder, name="shop")
    if not bench.short:
        yield workplace.photos(bench.folder, name="flat")


@contextmanager
def _life(bench: Bench, variables: Mapping[str, str], trace: Path, tally: Tally) -> Iterator[Life]:
    folder = bench.folder
    places = {
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "XDG_CACHE_HOME": str(folder / "home" / ".cache"),
    }
    for place in places.values():
        Path(place).mkdir(parents=True, exist_ok=True)
    within = [*watched(trace), *cut_off()]
    if not cut_off():
        tally.leave_out("an empty network", "unshare -n needs root, or user namespaces")
    if not watched(trace):
        tally.leave_out("who wanted to connect to whom", "strace is not installed, or may not trace")
    environment = {**bench.environment(folder), **variables, **places}
    with warm(environment, within) as process:
        life = Life(process, folder, environment)
        try:
            yield life
        finally:
            life.end()


def _note_departures(trace: str, tally: Tally) -> None:
    gone = list(departures(trace))
    for one in sorted(set(gone)):
        tally.note("calls to the network", one)
    if not gone:
        tally.note(f"{len(trace.splitlines())} calls to the network, none of which left this machine")
    tally.figures["calls to the network that were watched"] = len(trace.splitlines())


def _note_secrets(folder: Path, arguments: list[bytes], planted: Mapping[str, str], tally: Tally) -> None:
    for one in arguments:
        names = found_in(one, planted)
        tally.note("arguments of a process", (names and f"{', '.join(names)} in {one[:200]!r}") or "")
    files = size = 0
    for name, names in leaks(folder, planted):
        files, size = files + 1, size + (folder / name).stat().st_size
        tally.note(f"read {name}", f"it holds {', '.join(names)}" if names else "")
    tally.figures |= {"files searched": files, "searched, MB": round(size / 1e6, 1), "secrets planted": len(planted)}
    at_home = {path.relative_to(folder).parts[:4] for path in (folder / "home").rglob("*") if path.is_file()}
    tally.figures["written at home"] = sorted("/".join(parts) for parts in at_home)
