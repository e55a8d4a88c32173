"""Commands on what was damaged: they are refused as in a user's hands, and go on when what they say has been done."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pizzeria.errors import DamagedError
from pizzeria.ports import free_port
from pizzeria.runs.store import Run, Store
from pizzeria.torture import workplace
from pizzeria.torture.bench import Bench
from pizzeria.torture.commands import Case
from pizzeria.torture.flipping.damage import damaged
from pizzeria.torture.trial import Tally
from pizzeria.torture.warm import warm

_REMOVE = re.compile(r"rm -r ([^\s)]+)")


@dataclass(frozen=True)
class Commands(Case):
    """A spec whose bundle is packed."""

    RUN: ClassVar[str] = "kept"

    @property
    def own(self) -> Run:
        return Store(self.store(self.RUN)).runs()[0]

    def torture(self, tally: Tally, tries: int) -> None:
        """Commands that take damaged things up: deploy, serve, verify-artifacts; and a mended run."""
        bundle = (self.own.folder / "stages" / "package").resolve()
        for _ in range(tries):
            self._refused(tally, bundle, "bundle/*", ("run", self.spec.name))
            self._refused(tally, bundle, "bundle/*", ("serve", self.own.id, "--port", str(free_port())))
            self._refused(tally, bundle, "result.json", ("deploy", self.own.id))
            for stage in ("train", "features"):
                folder = (self.own.folder / "stages" / stage).resolve()
                self._refused(tally, folder, "*.*", ("verify-artifacts", self.own.id), code=1)
            self._mended(tally)

    def _refused(self, tally: Tally, folder: Path, pattern: str, arguments: Sequence[str], code: int = 0) -> None:
        """A command on a damaged file of a stage.

        Args:
            code: That it must end with; by default that of the error.
        """
        code = code or DamagedError.exit_code
        files = [path for path in sorted(folder.glob(pattern)) if path.is_file()]
        path = self.bench.random.choice(files)
        since = self._size()
        with damaged(path, files, folder, self.bench.random) as what:
            ended = self.run(self.RUN, *arguments)
        said = self.log(self.RUN).read_bytes()[since:].decode(errors="replace")
        problem = ""
        if "Traceback" in said:
            problem = f"a traceback: {said[-300:]}"
        elif ended != code or path.name not in said.replace("\n", ""):
            problem = f"ended with {ended}: {said[-300:]}"
        tally.note(f"pizzeria {' '.join(arguments[:1])}: {what}", problem)

    def _mended(self, tally: Tally) -> None:
        """What the refusal says is to be done makes a run whole again."""
        at = {stage: (self.own.folder / "stages" / stage).resolve() for stage in ("split", "evaluate")}
        path = next(at["split"].glob("*.parquet"))
        path.write_bytes(path.read_bytes()[:-1])
        shutil.rmtree(at["evaluate"])
        shutil.rmtree((self.own.folder / "stages" / "features").resolve())
        since = self._size()
        run = ("run", self.spec.name, "--until", "package")
        refused = self.run(self.RUN, *run)
        said = self.log(self.RUN).read_bytes()[since:].decode(errors="replace")
        told = _REMOVE.search(said)
        if refused != DamagedError.exit_code or told is None:
            tally.note("mend a run as it is told", f"ended with {refused}: {said[-300:]}")
            return
        shutil.rmtree(told[1])
        ended = [self.run(self.RUN, *run), self.run(self.RUN, "verify-artifacts", self.own.id)]
        tally.note("mend a run as it is told", "" if ended == [0, 0] else f"ended with {ended}: {self.said(self.RUN)}")

    def _size(self) -> int:
        return self.log(self.RUN).stat().st_size


@contextmanager
def commands(bench: Bench) -> Iterator[list[Commands]]:
    """Specs whose bundles are packed: one of rows; when there is time, one of photos too."""
    with warm(bench.environment(bench.folder)) as forks:
        found = []
        for kind in ("rows",) if bench.short else ("rows", "photos"):
            spec = getattr(workplace, kind)(bench.folder / "work" / kind)
            case = Commands(bench, forks, spec, bench.folder / "work" / f"{kind}.places", until="package")
            arguments = ("run", spec.name, "--until", "package")
            ended = forks.learn(spec.parent, arguments, case.environment(case.RUN), case.log(case.RUN))
            if ended:
                raise RuntimeError(f"the run that was to be damaged ended with {ended}: {case.said(case.RUN)}")
            found.append(case)
        yield found
