"""Complete stages at an address, for other machines: what one has run, another fetches.

    <address>/stages/<fingerprint>.json   names, hashes and sizes of the stage's files, sealed; written last
    <address>/files/<ab>/<sha256>         their contents, each once, however many stages have it

A stage is there when its list is. Whoever fetches it checks every hash; what is damaged is removed, and run again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pizzeria.errors import DamagedError
from pizzeria.fetching.names import safe
from pizzeria.fetching.place import Place
from pizzeria.runs.seals import seal_of

VARIABLE = "PIZZERIA_ARTIFACTS"
_AT_ONCE = 8
_HINT = "it was removed there; the same `pizzeria run` makes it anew, and leaves it there again"


@dataclass(frozen=True)
class Artifacts:
    """Stages at an address."""

    place: Place

    @classmethod
    def of_environment(cls) -> Artifacts | None:
        """Those at `$PIZZERIA_ARTIFACTS`; None where it is not set.

        Raises:
            PizzeriaError: it is no address that can be written to.
        """
        address = os.environ.get(VARIABLE)
        return cls(Place.open(address)) if address else None

    def holds(self, fingerprint: str) -> bool:
        """Whether the stage is there."""
        return self.place.size(_list_name(fingerprint)) is not None

    def push(self, fingerprint: str, folder: Path) -> int:
        """Put a complete stage there, or nothing; returns the bytes that had to go.

        Args:
            folder: The stage's; it does not change any more.
        """
        paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        files = {path.relative_to(folder).as_posix(): (_sha256(path), path.stat().st_size) for path in paths}
        new = {sha: folder / name for name, (sha, size) in files.items() if self.place.size(_file_name(sha)) != size}
        _in_parallel(lambda one: self.place.upload(one[1], _file_name(one[0])), new.items())
        told = {"files": {name: {"sha256": sha, "bytes": size} for name, (sha, size) in files.items()}}
        self.place.write(_list_name(fingerprint), _bytes(told | {"seal": seal_of(told)}))
        return sum(path.stat().st_size for path in new.values())

    def forget(self, fingerprint: str) -> None:
        """Remove a stage's list, so that it is run again."""
        self.place.remove(_list_name(fingerprint))

    def fetch(self, fingerprint: str, folder: Path) -> int:
        """Bring a stage that is there into an empty folder; returns its bytes.

        Raises:
            DamagedError: a file is missing, or another one than was put there. It has been removed from the address.
        """
        try:
            files = _read(self.place.read(_list_name(fingerprint)))
            wanted = {safe(name, self.place.address): (one["sha256"], one["bytes"]) for name, one in files.items()}
        except (ValueError, KeyError, TypeError) as error:
            self.place.remove(_list_name(fingerprint))
            text = f"{self.place.address}: the list of {fingerprint} is damaged: {error}"
            raise DamagedError(text, hint=_HINT) from error

        def bring(one: tuple[str, tuple[str, int]]) -> None:
            name, (sha, size) = one
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            held = self.place.size(_file_name(sha))
            if held is not None:
                self.place.download(_file_name(sha), path)
            if held != size or _sha256(path) != sha:
                self.place.remove(_list_name(fingerprint))
                self.place.remove(_file_name(sha))
                raise DamagedError(f"{self.place.address}: {name} of {fingerprint} is damaged", hint=_HINT)

        _in_parallel(bring, wanted.items())
        return sum(size for _, size in wanted.values())


def _bytes(plain: dict[str, Any]) -> bytes:
    return json.dumps(plain, indent=1).encode()


def _read(text: bytes) -> dict[str, Any]:
    """The files of a list.

    Raises:
        ValueError, KeyError, TypeError: it is not as it was written.
    """
    plain = json.loads(text)
    told = {"files": plain["files"]}
    earlier = plain == told  # by a Pizzeria that sealed no list
    if text != _bytes(plain) or not (earlier or plain == told | {"seal": seal_of(told)}):
        raise ValueError("its seal does not fit what it says")
    return dict(plain["files"])


def _in_parallel(work: Callable[[Any], object], items: Iterable[Any]) -> None:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for done in [pool.submit(work, item) for item in items]:
            done.result()


def _list_name(fingerprint: str) -> str:
    return f"stages/{fingerprint}.json"


def _file_name(sha256: str) -> str:
    return f"files/{sha256[:2]}/{sha256}"


def _sha256(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
