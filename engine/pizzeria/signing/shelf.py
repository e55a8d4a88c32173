"""Where signatures lie: by the sha256 of their bundle in a folder of the store, and where other machines find them.

    <store>/.signatures/<sha256>.sig      one for each bundle; signing again replaces it
    <artifacts>/signatures/<sha256>.sig   the same, where `PIZZERIA_ARTIFACTS` says
    <bundle>.sig                          beside a bundle that was carried somewhere

A bundle stays as it is, and so does its sha256, whoever signs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pizzeria import atomic
from pizzeria.signing.envelope import MOST_BYTES

if TYPE_CHECKING:
    from pizzeria.fetching.place import Place

FOLDER = ".signatures"


@dataclass(frozen=True)
class Shelf:
    """Signatures of the bundles of one store.

    Attributes:
        folder: Made when the first is put there.
        place: Where other machines find them; None: nowhere.
    """

    folder: Path
    place: Place | None = None

    def put(self, sha256: str, signature: bytes) -> Path:
        """Keep the signature of a bundle, in place of an earlier one; returns where.

        Raises:
            PizzeriaError: the address of other machines does not answer; the signature is kept here.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{sha256}.sig"
        atomic.write_bytes(path, signature)
        if self.place is not None:
            self.place.write(f"signatures/{path.name}", signature)
        return path

    def fetch(self, sha256: str) -> None:
        """Bring the signature that another machine left, in place of what is here.

        Raises:
            PizzeriaError: the address does not answer.
        """
        name = f"signatures/{sha256}.sig"
        size = None if self.place is None else self.place.size(name)
        if self.place is not None and size is not None and size <= MOST_BYTES:
            self.folder.mkdir(parents=True, exist_ok=True)
            atomic.write_bytes(self.folder / f"{sha256}.sig", self.place.read(name))


def signatures_of(bundle: Path, sha256: str, folder: Path | None) -> Iterator[Path]:
    """Signatures that there are of a bundle: on the shelf (`folder`), and beside it."""
    kept = [] if folder is None else [folder / f"{sha256}.sig"]
    for path in (*kept, beside(bundle)):
        if path.is_file():
            yield path


def beside(bundle: Path) -> Path:
    """Where the signature of a bundle lies that was carried somewhere.

    Example:
        >>> beside(Path("/mnt/rooms.zip")).name
        'rooms.zip.sig'
    """
    return bundle.with_name(f"{bundle.name}.sig")
