"""Looks at every photo once, and says of each what later stages need to know; what they cannot take is converted."""

from __future__ import annotations

import io
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pizzeria.account import Account
from pizzeria.contracts import Progress
from pizzeria.intake.inspection import MEASURES, SERVED, Inspection, decoded, inspect
from pizzeria.intake.remembered import Remembered

if TYPE_CHECKING:
    import pandas as pd

CONVERTED = "converted"
"""Folder of the photos that were converted."""
COLUMNS = (
    *("sha256", "bytes", "width", "height", "readable", "problem", "format", "mode", "frames", "orientation"),
    *(*MEASURES, "dark_share", "bright_share", "phash", "dhash"),
)
"""What `look_at` adds to the images table, behind `image_id` and `path`."""
_WAITING = 64
"""Photos that are on their way for each thread."""


def look_at(
    images: pd.DataFrame, folder: Path, account: Account, max_megapixels: float, progress: Progress
) -> pd.DataFrame:
    """The table with what was seen of each photo, and with the paths of those that were converted.

    Args:
        images: `image_id`, `path` (absolute or relative to `folder`) and the source's own columns; one that is named
            as those of `COLUMNS` is kept as `own_<name>`.
        folder: Where to write the converted photos, in `CONVERTED`.
        account: Told what was done about photos that are not as they should be.
        max_megapixels: A photo of more million pixels is not readable.
    """
    import pandas as pd

    images = images.rename(columns={name: f"own_{name}" for name in COLUMNS if name in images})
    paths = [folder / path for path in images["path"]]
    seen = inspect_all(paths, max_megapixels, progress)
    converted = _convert(paths, seen, folder, progress)
    for path, one in zip(images["path"], seen, strict=True):
        for what in handled(one):
            account.handle("images", what, str(path))
    images["path"] = [converted.get(path, given) for path, given in zip(paths, images["path"], strict=True)]
    found = pd.DataFrame([_row(one) for one in seen], columns=list(COLUMNS), index=images.index)
    first = ["image_id", "path"]
    return pd.concat([images[first], found, images.drop(columns=first)], axis=1)


def inspect_all(paths: Sequence[Path], max_megapixels: float, progress: Progress) -> list[Inspection]:
    """Inspect all files, in threads; the answers come in the order of `paths`. What is known by content is not
    decoded again."""
    out: list[Inspection] = []
    with Remembered() as remembered:

        def one(path: Path) -> tuple[Inspection, bool]:
            try:
                data = path.read_bytes()
            except OSError as error:
                return Inspection(problem=f"cannot be opened: {error.strerror or error}"), False
            digest = sha256(data).hexdigest()
            known = remembered.find(digest, max_megapixels)
            return (known, False) if known is not None else (inspect(data, digest, max_megapixels), True)

        for inspection, new in _in_threads(one, paths, "looking at photos", progress):
            if new:
                remembered.add(inspection)
            out.append(inspection)
    return out


def _convert(paths: Sequence[Path], seen: Sequence[Inspection], folder: Path, progress: Progress) -> dict[Path, str]:
    """Write what cannot be served as PNG; returns the new file of each path, relative to `folder`."""
    wanted = {one.sha256: path for path, one in zip(paths, seen, strict=True) if _is_converted(one)}
    if not wanted:
        return {}
    (folder / CONVERTED).mkdir(exist_ok=True)

    def one(digest: str) -> None:
        stream = io.BytesIO()
        decoded(wanted[digest]).save(stream, "PNG", compress_level=3)
        (folder / CONVERTED / f"{digest}.png").write_bytes(stream.getvalue())

    for _ in _in_threads(one, list(wanted), "converting photos", progress):
        pass
    return {
        path: f"{CONVERTED}/{found.sha256}.png" for path, found in zip(paths, seen, strict=True) if _is_converted(found)
    }


def _is_converted(seen: Inspection) -> bool:
    return not seen.problem and seen.format not in SERVED


def _in_threads(work: Callable[[Any], Any], items: Sequence[Any], label: str, progress: Progress) -> Iterator[Any]:
    """What comes of each item, in their order. Pillow and hashing free the interpreter, so that threads do."""
    workers = min(16, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        try:
            for answer in progress.track(_Ahead(pool, work, items, workers * _WAITING), label):
                yield answer.result()
        except BaseException:  # Ctrl-C: do not look at the rest first
            pool.shutdown(cancel_futures=True)
            raise


class _Ahead(Sequence[Any]):
    """Futures of some work, of which only so many are begun before they are asked for: a million need no memory."""

    def __init__(self, pool: ThreadPoolExecutor, work: Any, items: Sequence[Any], ahead: int) -> None:
        self._pool, self._work, self._items, self._ahead = pool, work, items, ahead

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, place: Any) -> Any:
        raise TypeError("it is read once, from the first to the last")

    def __iter__(self) -> Iterator[Future[Any]]:
        waiting: deque[Future[Any]] = deque()
        rest = iter(self._items)
        for item in rest:
            waiting.append(self._pool.submit(self._work, item))
            if len(waiting) >= self._ahead:
                break
        while waiting:
            yield waiting.popleft()
            for item in rest:
                waiting.append(self._pool.submit(self._work, item))
                break


def handled(seen: Inspection) -> Iterator[str]:
    """What is done about a readable photo that is not as it should be, in words.

    Example:
        >>> list(handled(Inspection(format="GIF", mode="P", frames=3)))
        ['converted from GIF to PNG', 'of a palette, made RGB', 'of several frames, of which the first is taken']
    """
    if seen.problem:
        return
    if seen.format not in SERVED:
        yield f"converted from {seen.format} to PNG"
    if seen.orientation != 1:
        yield "turned upright, as EXIF says"
    if seen.depth > 8:
        yield "of 16 bits for each colour, made 8"
    if seen.transparent:
        yield "transparent, laid over white"
    elif seen.mode == "CMYK":
        yield "of CMYK, made RGB"
    elif seen.mode == "P":
        yield "of a palette, made RGB"
    elif seen.mode in ("1", "L") or seen.mode.startswith("I"):
        yield "grey, made RGB"
    elif seen.mode not in ("RGB", "RGBA", "RGBX"):
        yield f"of {seen.mode}, made RGB"
    if seen.frames > 1:
        yield "of several frames, of which the first is taken"


def _row(seen: Inspection) -> list[Any]:
    own = [seen.sha256, seen.bytes, seen.width, seen.height, not seen.problem, seen.problem]
    own += [seen.format, seen.mode, seen.frames, seen.orientation]
    measured = [seen.measures.get(name) for name in (*MEASURES, "dark_share", "bright_share")]
    return [*own, *measured, seen.phash or None, seen.dhash or None]
