"""Every error that Pizzeria raises on purpose.

    PizzeriaError                exit code 1, and the root of all
    ├── SpecError                2   a spec has one or more faults; nothing was run
    ├── PluginError              2   a plugin is unknown, named twice, or breaks its contract
    ├── NotFoundError            2   a run, bundle or deployment that was named does not exist
    ├── GateError                3   the model misses a success criterion
    ├── ParityError              3   the exported model does not answer as the trained one does
    ├── DataError                4   data cannot be read or make no sense
    │   ├── ExpectationError     4   data were read, and an expectation failed or was undecided
    │   ├── LeakageError         4   what the model is judged on leaks into what it learns from
    │   ├── LackError            4   there are too few labels to learn from
    │   └── PoisonError          4   the labels look as if somebody meant to spoil the model, or mistook its classes
    ├── BundleError              5   a bundle is damaged, or not what it says it is
    │   └── SignatureError       5   a bundle is not signed by a key that is trusted, or a key cannot be used
    ├── DamagedError             5   what Pizzeria keeps on disk is not what it wrote: a byte was changed
    ├── DeploymentError          6   a service did not come up, or is not the one that was asked for
    │   └── RolloutError         6   a new model was sent back while it took over in steps
    ├── TrainingError            7   training cannot go on
    ├── BusyError                8   another command is at work on it, and this one was not to wait
    ├── StorageError             9   a disk is full, read-only or broken, or a file is closed to us
    └── RequestError             -   bad input to a service: a 4xx with code, message and hint

A command that ends with one of them prints its message and hint, no traceback, and exits with its code. SIGTERM is no
error but a kind of Ctrl-C: `Terminated`, with which a command exits with 143.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches

from pizzeria.hiding import hidden

UNSEEN = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u202a-\\u202e\\u2066-\\u2069\\ud800-\\udfff]")
"""Characters that are not seen and change what is: a terminal's commands, and those that turn letters round."""
_LONGEST_NAME = 100


class PizzeriaError(Exception):
    """What went wrong, and what to do about it.

    Args:
        message: What was found, and where.
        hint: What to write or do instead; may be empty.

    Example:
        >>> str(PizzeriaError("no photo in ./photos", hint="put at least one JPEG there"))
        'no photo in ./photos'
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        message, hint = hidden(plain(message)), hidden(plain(hint))
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True)
class Fault:
    """One fault in a spec: where it is, what was found there, and what to write instead."""

    path: str
    """YAML path, such as ``training.max_epochs``; empty for the whole spec."""
    message: str
    """What was found and why it is refused."""
    hint: str = ""
    """The nearest right name, or what to write instead."""
    file: str = ""
    """The file that set the value, or ``command line``."""
    line: int = 0
    """1-based line in that file; 0 when there is none."""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        head = ": ".join(part for part in (where, self.path) if part)
        text = f"{head}: {self.message}" if head else self.message
        return f"{text}\n    {self.hint}" if self.hint else text


class SpecError(PizzeriaError):
    """A spec has faults, all of which are listed at once.

    Example:
        >>> print(SpecError([Fault("training.max_epoch", "unknown key", "did you mean max_epochs?")]))
        1 fault in the spec; nothing was run
        training.max_epoch: unknown key
            did you mean max_epochs?
    """

    exit_code = 2

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        count = f"{len(faults)} fault{'s' if len(faults) != 1 else ''}"
        super().__init__("\n".join([f"{count} in the spec; nothing was run", *map(str, faults)]))


class PluginError(PizzeriaError):
    """A plugin is unknown, named twice, or does not keep its kind's contract."""

    exit_code = 2


class NotFoundError(PizzeriaError):
    """A run, a bundle or a deployment that was named does not exist."""

    exit_code = 2


class GateError(PizzeriaError):
    """The model misses at least one success criterion, so it is not packaged."""

    exit_code = 3


class ParityError(PizzeriaError):
    """The exported model does not answer as the trained model does."""

    exit_code = 3


class DataError(PizzeriaError):
    """Data cannot be read, or make no sense for the task."""

    exit_code = 4


class ExpectationError(DataError):
    """An expectation on the data failed, or nothing could be evaluated."""


class LeakageError(DataError):
    """What the model is judged on leaks into what it learns from, so that it would be judged too well."""


class LackError(DataError):
    """There are too few new labels, or none that a model can learn from.

    Args:
        evidence: Figures for the ledger.
    """

    def __init__(self, message: str, *, hint: str = "", evidence: Mapping[str, object] | None = None) -> None:
        super().__init__(message, hint=hint)
        self.evidence = dict(evidence or {})


class PoisonError(DataError):
    """The new labels cannot be trusted: one source contradicts what is known, say, or says the same of everything.

    Args:
        evidence: Figures for the ledger.
    """

    def __init__(self, message: str, *, hint: str = "", evidence: Mapping[str, object] | None = None) -> None:
        super().__init__(message, hint=hint)
        self.evidence = dict(evidence or {})


class BundleError(PizzeriaError):
    """A bundle is damaged, or is not the one that it says it is."""

    exit_code = 5


class DamagedError(PizzeriaError):
    """What Pizzeria keeps on disk is not what it wrote; the message names the file, the hint how it is made anew."""

    exit_code = 5


class SignatureError(BundleError):
    """A bundle is unsigned, signed by a key that is not trusted, or not the one that was signed; or a key is none."""


class DeploymentError(PizzeriaError):
    """A service did not come up, or answers with another model than the one deployed."""

    exit_code = 6


class RolloutError(DeploymentError):
    """A new model did worse than it may while it took over in steps, or nothing of it was seen; it was sent back."""


class TrainingError(PizzeriaError):
    """Training cannot go on: a NaN loss, say."""

    exit_code = 7


class BusyError(PizzeriaError):
    """Another command is at work on the same deployment, and this one does not wait."""

    exit_code = 8


class StorageError(PizzeriaError):
    """A disk is full, read-only or broken, or a file may not be read or written by this user."""

    exit_code = 9


class Terminated(KeyboardInterrupt):
    """The process was told to end by SIGTERM; whatever lets Ctrl-C pass lets this pass too."""


def said_of_interruption(error: KeyboardInterrupt) -> str:
    """Who ended it.

    Example:
        >>> said_of_interruption(Terminated())
        'told to end by SIGTERM'
    """
    return "told to end by SIGTERM" if isinstance(error, Terminated) else "interrupted by the user"


@contextmanager
def interruptions_pass() -> Iterator[None]:
    """Let Ctrl-C leave the block as itself, also where a library's clean-up fails on its way and hides it.

    Example:
        >>> try:
        ...     with interruptions_pass():
        ...         try:
        ...             raise KeyboardInterrupt
        ...         finally:
        ...             None.close()
        ... except KeyboardInterrupt:
        ...     print("interrupted")
        interrupted
    """
    try:
        yield
    except Exception as error:
        behind: BaseException | None = error
        while behind is not None and not isinstance(behind, KeyboardInterrupt):
            behind = behind.__cause__ or behind.__context__
        if behind is None:
            raise
        raise behind from None


class RequestError(PizzeriaError):
    """A request that a service refuses, as the 4xx that it answers; in a client, whatever answer is no success.

    Args:
        status: HTTP status, 400 to 599.
        code: A short name that programs can test, such as ``too_large``.
        message: What was found.
        hint: What to send instead.
    """

    def __init__(self, status: int, code: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.code = code


def plain(text: str) -> str:
    """A text with what would move a terminal's cursor or turn its letters round written out: it may be a stranger's.

    Example:
        >>> plain("bed\\x1b[2J")
        'bed\\\\x1b[2J'
    """
    return UNSEEN.sub(lambda match: match.group().encode("unicode_escape").decode("ascii"), text)


def nearest(name: str, names: Iterable[object], lead: str = "did you mean") -> str:
    """`did you mean sofa?`, or the list of what there is.

    Example:
        >>> nearest("max_epoch", ["max_epochs", "precision"])
        'did you mean max_epochs?'
    """
    there = sorted(map(str, names))
    close = get_close_matches(str(name)[:_LONGEST_NAME], there, n=3, cutoff=0.6)
    if close:
        return f"{lead} {' or '.join(close)}?"
    return f"there is {', '.join(there)}" if there else "there is none"


def require_known(wanted: Iterable[str], known: Sequence[str], *, what: str, where: str) -> None:
    """Check that all wanted names are among the known ones.

    Args:
        what: What the names are, such as `class`.
        where: What has the known ones.

    Raises:
        DataError: names every unknown one and the nearest known one.

    Example:
        >>> require_known(["bed", "sofa"], ["bed", "sofa", "tv"], what="class", where="rooms")
    """
    unknown = [name for name in wanted if name not in set(known)]
    if not unknown:
        return
    near = [(name, get_close_matches(name, known, n=1)) for name in unknown]
    hints = [f"did you mean {match[0]!r} for {name!r}?" for name, match in near if match]
    hints.append(f"there are: {', '.join(map(str, known)) or 'none'}")
    raise DataError(f"no {what} {', '.join(map(repr, unknown))} in {where}", hint="; ".join(hints))
