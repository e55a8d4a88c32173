"""What runs leave on disk.

    runs/
      ledger.sqlite            what happened: pizzeria.runs.ledger
      <run>/spec.yaml          the spec as resolved
      <run>/stages/<stage>     links into the cache
      <run>/report.html
      <run>/monitoring/<time>/
      .cache/<fingerprint>/    what a stage left; there only when the stage is complete
      .cache/<fingerprint>.partial/   a stage at work or cut off

A stage writes into its `.partial` folder, then its result, and the folder is renamed into place last. The result has
the hash of each file, and whoever takes files of a stage as input has them checked: pizzeria.runs.seals.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pizzeria import atomic
from pizzeria.errors import DamagedError, NotFoundError, PizzeriaError, nearest
from pizzeria.holding import take
from pizzeria.runs import seals
from pizzeria.runs.artifacts import Artifacts
from pizzeria.runs.seals import RESULT


def default_root() -> Path:
    """`$PIZZERIA_STORE`, or `runs` in the working folder."""
    return Path(os.environ.get("PIZZERIA_STORE") or "runs")


@dataclass(frozen=True)
class Result:
    """What a complete stage left.

    Attributes:
        folder: Its files.
        facts: Figures for the report and for later stages.
        seconds: How long it took.
        ingredients: What decided it: spec, code, data and inputs (see `pizzeria.fingerprint`).
        refusal: Message and hint when the stage found that the run must stop here, such as a missed criterion.
        files: sha256 of each file in the folder, by its relative path.
    """

    stage: str
    fingerprint: str
    folder: Path
    facts: Mapping[str, Any]
    seconds: float
    started: str
    ingredients: Mapping[str, Any]
    refusal: Mapping[str, str] | None
    files: Mapping[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """Check that the files are those that the stage left.

        Raises:
            DamagedError: names those that are not.
        """
        seals.check(self.folder, self.files)


@dataclass(frozen=True)
class Run:
    """One run: the folder that its report lies in."""

    folder: Path

    @property
    def id(self) -> str:
        return self.folder.name

    def stage(self, name: str) -> Path:
        """Folder of a complete stage, whose files are those that it left.

        Raises:
            NotFoundError: the run did not get so far.
            DamagedError: names the files that were changed.
        """
        folder = self.folder / "stages" / name
        if not (folder / RESULT).exists():
            raise NotFoundError(
                f"the run {self.id} has no {name}", hint="run it to its end first: pizzeria run experiment=..."
            )
        folder = folder.resolve()
        result = _result(folder, folder.name)
        if result is None:
            raise seals.damaged(folder, [f"{RESULT} has no seal; it is of an earlier Pizzeria"])
        result.check()
        return folder

    def link(self, result: Result) -> None:
        """Let `stages/<name>` of this run point at a result in the cache."""
        stages = atomic.make_folder(self.folder / "stages")
        target = os.path.relpath(result.folder, stages)
        link = stages / result.stage
        if not (link.is_symlink() and os.readlink(link) == target):  # noqa: PTH115
            atomic.replace_link(link, target)


class Store:
    """The folder of all runs.

    Args:
        root: Made when it is not there.
        artifacts: Where complete stages go to, and come from, that other machines have; None: nowhere.
    """

    def __init__(self, root: Path | None = None, artifacts: Artifacts | None = None) -> None:
        self.artifacts = artifacts
        self.root = (root or default_root()).absolute()
        self.cache = self.root / ".cache"
        atomic.make_folder(self.cache)

    def load(self, fingerprint: str) -> Result | None:
        """The result with this fingerprint, if a stage has left it; its files are not looked at.

        What an earlier Pizzeria left without a seal counts as nothing: the stage runs again.

        Raises:
            DamagedError: `result.json` was changed.
        """
        return _result(self.cache / fingerprint, fingerprint)

    @contextmanager
    def partial(self, fingerprint: str, *, keep: bool, wait: Callable[[], object] | None = None) -> Iterator[Path]:
        """The folder that a stage works in, held by this process alone.

        Whoever has waited looks whether the other left the result: then there is nothing to do any more.

        Args:
            fingerprint: Of the stage.
            keep: Whether what an earlier try left is kept, because the stage can resume from it.
            wait: Called once when another process is at work on the same stage, which is then waited for.

        Raises:
            PizzeriaError: another process is at work on the same stage, and `wait` is None.
        """
        folder = self.cache / f"{fingerprint}.partial"
        handle = _lock(folder, wait)
        try:
            if not keep:
                for path in folder.iterdir():
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            yield folder
        finally:
            with suppress(OSError):
                if _is_at(folder, handle):
                    folder.rmdir()  # nothing was written: another process had left the result
            os.close(handle)

    def commit(self, partial: Path, result: Result) -> Result:
        """Make a stage's folder complete: result last, with the hash of every file, then the rename."""
        for left in partial.rglob(".*.tmp"):  # of an earlier try that was killed; it is no part of the stage
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        plain = {name: getattr(result, name) for name in Result.__dataclass_fields__ if name != "folder"}
        seals.write(partial / RESULT, plain | {"files": seals.hashes(partial)})
        atomic.sync_all(partial)
        atomic.replace_folder(partial, self.cache / result.fingerprint)
        loaded = self.load(result.fingerprint)
        assert loaded is not None
        return loaded

    def fetch(self, fingerprint: str) -> Result | None:
        """The result with this fingerprint from where other machines leave theirs; None where it is not there.

        Raises:
            PizzeriaError: it is damaged there, or the address does not answer.
        """
        if self.artifacts is None or not self.artifacts.holds(fingerprint):
            return None
        with self.partial(f"{fingerprint}.fetched", keep=False) as folder:
            self.artifacts.fetch(fingerprint, folder)
            try:
                found = _result(folder, fingerprint)
                if found is not None:
                    found.check()
            except DamagedError:
                self.artifacts.forget(fingerprint)
                raise
            return None if found is None else self.commit(folder, found)

    def share(self, result: Result) -> int:
        """Put a result where other machines find it, if it is not there; returns the bytes that went.

        Raises:
            PizzeriaError: the address does not answer, or refuses.
        """
        if self.artifacts is None or self.artifacts.holds(result.fingerprint):
            return 0
        return self.artifacts.push(result.fingerprint, result.folder)

    def runs(self) -> list[Run]:
        """All runs, the newest last."""
        found = [path for path in self.root.iterdir() if (path / "spec.yaml").exists()]
        return [Run(path) for path in sorted(found, key=lambda path: (path / "spec.yaml").stat().st_mtime_ns)]

    def run(self, name: str) -> Run:
        """The run of this id, or of this folder, or the newest of this spec's name.

        Raises:
            NotFoundError: there is none.
        """
        as_path = Path(name)
        if (as_path / "spec.yaml").exists():
            return Run(as_path.absolute())
        if as_path.name == name and name[:1] != "." and (self.root / name / "spec.yaml").exists():
            return Run(self.root / name)  # without a look at every other run
        runs = self.runs()
        for run in reversed(runs):
            if run.id == name or run.id.rpartition("-")[0] == name:
                return run
        names = {run.id for run in runs} | {run.id.rpartition("-")[0] for run in runs}
        raise NotFoundError(f"there is no run {name!r} in {self.root}", hint=nearest(name, names))

    def open_run(self, run_id: str, spec_yaml: str) -> Run:
        """The run of this id, made when it is not there; it becomes the newest."""
        folder = self.root / run_id
        atomic.make_folder(folder)
        atomic.write_bytes(folder / "spec.yaml", seals.sealed_text(spec_yaml))
        return Run(folder)


def _result(folder: Path, fingerprint: str) -> Result | None:
    try:
        plain = seals.read(folder / RESULT)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise seals.damaged(folder, [f"{RESULT} cannot be read: {error.strerror}"]) from error
    if plain is None:
        return None
    if plain["fingerprint"] != fingerprint:
        raise seals.damaged(folder, [f"{RESULT} is that of another stage, {plain['fingerprint']}"])
    names = ("facts", "seconds", "started", "ingredients", "refusal", "files")
    return Result(plain["stage"], fingerprint, folder, *(plain[name] for name in names))


def _lock(folder: Path, wait: Callable[[], object] | None) -> int:
    """A handle that holds the lock, which is on the folder itself, so that a killed process leaves none behind."""
    while True:
        with suppress(FileExistsError):  # of another process, which may have removed it again by now
            folder.mkdir()
        try:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        if not take(handle):
            if wait is None:
                os.close(handle)
                raise PizzeriaError(
                    "another process is working on the same stage of the same spec", hint="wait for it, or stop it"
                )
            wait()
            fcntl.flock(handle, fcntl.LOCK_EX)
        # Who held the lock before may have renamed the folder: then it is a complete stage's, and not this one.
        if _is_at(folder, handle):
            return handle
        os.close(handle)


def _is_at(folder: Path, handle: int) -> bool:
    try:
        return folder.stat().st_ino == os.fstat(handle).st_ino
    except FileNotFoundError:
        return False
