"""The photos of predictions: from the log, or from a folder where they lie by the name that was sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pizzeria.errors import DataError
from pizzeria.inference.photos import size_of
from pizzeria.labels.served import Served

_ENDINGS = ((b"\xff\xd8\xff", ".jpg"), (b"\x89PNG\r\n\x1a\n", ".png"), (b"RIFF", ".webp"))


@dataclass(frozen=True)
class Written:
    """A photo in the folder of a queue or an export.

    Attributes:
        name: Of the file, such as `019ab3a5-6a2e-7c41-9d3f-0b5f4c8e7a12.jpg`.
        width, height: Of the upright photo, in pixels.
    """

    name: str
    width: int
    height: int


@dataclass
class Photos:
    """Finds the photo of a prediction.

    Args:
        served: Whose log may keep it.
        folder: Where photos lie by their input id, instead of the log.

    Raises:
        DataError: there is no such folder.
    """

    served: Served
    folder: Path | None = None
    missing: int = field(default=0, init=False)
    """How many were asked for and not there."""

    def __post_init__(self) -> None:
        if self.folder is not None and not self.folder.is_dir():
            raise DataError(f"there is no folder {self.folder}", hint="give --photos the folder of the photos")

    @property
    def anywhere(self) -> bool:
        """Whether there is a place where photos could be."""
        log = self.served.spec.serving.log
        return self.served.bundle.takes_photos and (self.folder is not None or (log is not None and log.photos))

    def find(self, prediction_id: str, input_id: str) -> bytes | None:
        """The photo's bytes."""
        found = self.served.photo(prediction_id) if self.folder is None else _below(self.folder, input_id)
        self.missing += found is None
        return found

    def write(self, prediction_id: str, input_id: str, folder: Path) -> Written | None:
        """Copy the photo into a folder, as it came; None where it is not there, or cannot be decoded."""
        data = self.find(prediction_id, input_id)
        if data is None:
            return None
        name = f"{prediction_id.replace('/', '-')}{_ending(data)}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
        width, height = size_of(folder / name)
        if not width:
            (folder / name).unlink()
            self.missing += 1
            return None
        return Written(name, width, height)


def _below(folder: Path, name: str) -> bytes | None:
    """A file by the name that a client sent, which must not lead out of the folder."""
    relative = PurePosixPath(name.replace("\\", "/"))
    if not name or "\0" in name or relative.is_absolute() or ".." in relative.parts:
        return None
    for path in (folder / relative, folder / relative.name):
        try:
            if path.is_file():
                return path.read_bytes()
        except OSError:
            continue
    return None


def _ending(data: bytes) -> str:
    return next((ending for head, ending in _ENDINGS if data.startswith(head)), ".jpg")
