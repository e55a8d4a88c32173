"""Brings what lies at an address here, and says when it changes."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING

from pizzeria.errors import DataError
from pizzeria.fetching.address import as_path, is_remote, split_pin
from pizzeria.fetching.archive import is_archive, unpacked
from pizzeria.fetching.cache import Cache, key_of
from pizzeria.fetching.download import check, download, key
from pizzeria.fetching.store import Item, Store, UnreachableError

if TYPE_CHECKING:
    from pizzeria.contracts import Progress

OFFLINE = "PIZZERIA_OFFLINE"
"""Environment variable: set to 1, nothing is asked, and what was fetched last is used."""
SUMS = "SHA256SUMS"
_THREADS = 8
_MB = 1_000_000


def local(address: str | Path, progress: Progress | None = None) -> Path:
    """The file or folder here. A path comes back as it is, whether anything lies there or not; an archive, unpacked.

    Raises:
        DataError: nothing lies at the address, it cannot be asked, or the content is not what it should be.
        PluginError: a library for that kind of address is not installed.
    """
    text, pin = split_pin(address)
    if not is_remote(text):
        path = as_path(text if pin else address)
        packed = is_archive(path.name) and path.is_file()
        found = _sha256(path) if packed or pin else ""
        if pin is not None and found != pin:
            raise DataError(
                f"{path} is not what it should be: expected sha256 {pin}, found {found}", hint="the file changed"
            )
        return unpacked(Cache(progress), path, found, str(path), progress) if packed else path
    cache = Cache(progress)
    store, folder, items = _listed(cache, text, progress)
    contents = _contents(cache, store, folder, items, pin, progress)
    if not folder and is_archive(items[0].name):
        sha256 = contents[items[0].name]
        return unpacked(cache, cache.blob(sha256), sha256, text, progress)
    tree = cache.tree(contents)
    return tree if folder else tree / items[0].name


def state(address: str | Path) -> Path | str:
    """What a source's `inputs` return for an address: the path itself, or a text that changes whenever the data do.

    The text is a hash over the names, sizes and marks (ETag, generation, time of change) that the store tells. Where
    it tells no mark, the content is fetched and hashed.

    Raises:
        DataError: as for `local`.
        PluginError: as for `local`.
    """
    text, pin = split_pin(address)
    if not is_remote(text):
        return as_path(text if pin else address)
    if pin is not None:
        return f"sha256:{pin}"
    cache = Cache()
    store, folder, items = _listed(cache, text, None)
    if not all(item.mark for item in items):
        contents = _contents(cache, store, folder, items, None, None)
        return "content:" + key_of(*(part for pair in sorted(contents.items()) for part in pair))
    return "listing:" + key_of(*(part for item in items for part in (item.name, item.size, item.mark)))


def _listed(cache: Cache, address: str, progress: Progress | None) -> tuple[Store, bool, list[Item]]:
    store = Store.open(address)
    if os.environ.get(OFFLINE) == "1":
        kept = cache.listing(address)
        if kept is None:
            raise DataError(
                f"{address} was never fetched to this machine, and {OFFLINE} forbids to ask for it",
                hint=f"fetch it once without {OFFLINE}",
            )
        if progress is not None:
            progress.say(f"offline: {address} as it was at {_when(kept[0])}; it may have changed since")
        folder, found = kept[1]
        return store, bool(folder), [Item(*one) for one in found]
    try:
        folder, items = store.list()
    except UnreachableError as error:
        kept = cache.listing(address)
        if kept is not None:
            error.hint += f"; or set {OFFLINE}=1 to use what was fetched at {_when(kept[0])}"
        raise
    return store, folder, items


def _contents(
    cache: Cache, store: Store, folder: bool, items: Sequence[Item], pin: str | None, progress: Progress | None
) -> dict[str, str]:
    """The sha256 of each file by its name; the files lie in the cache then."""
    if folder and pin is not None:
        raise DataError(
            f"{store.address} is a folder, and #sha256= holds for one file",
            hint=f"put a file {SUMS} into the folder, as sha256sum writes it",
        )
    expected = {items[0].name: pin} if pin is not None else {}
    sums = [item for item in items if folder and item.name == SUMS]
    found: dict[str, str] = {}
    if sums:
        found = _bring(cache, store, sums, {}, None)
        expected = _sums(cache.blob(found[SUMS]).read_bytes(), store.address)
        missing = sorted(expected.keys() - {item.name for item in items})
        if missing:
            raise DataError(
                f"{store.address}/{SUMS} names {missing[0]!r}, which is not there", hint="upload it, or write it anew"
            )
    found |= _bring(cache, store, [item for item in items if item not in sums], expected, progress)
    if os.environ.get(OFFLINE) != "1":
        cache.keep_listing(store.address, [folder, [astuple(item) for item in items]])
    return found


def _bring(
    cache: Cache, store: Store, items: Sequence[Item], expected: Mapping[str, str], progress: Progress | None
) -> dict[str, str]:
    keys = {item.name: key(store, item) for item in items}
    offline = os.environ.get(OFFLINE) == "1"
    known = cache.known([keys[item.name] for item in items if item.mark or offline])
    found = {item.name: known[keys[item.name]] for item in items if keys[item.name] in known}
    for item in items:
        if item.name in found:
            check(store, item, found[item.name], expected.get(item.name))
    missing = [item for item in items if item.name not in found]
    if missing and offline:
        raise DataError(
            f"{store.address}: {missing[0].name} is not on this machine, or was damaged here, and {OFFLINE} forbids to "
            "fetch it",
            hint=f"fetch it once without {OFFLINE}",
        )
    came = _download(cache, store, missing, expected, progress)
    if not offline:
        # An object without a mark is remembered for offline use alone.
        cache.remember({keys[item.name]: came[item.name] for item in missing if not item.mark})
    if missing and progress is not None:
        size = sum(cache.blob(sha256).stat().st_size for sha256 in came.values())
        here = f"; {len(found)} were here" if found else ""
        progress.say(f"fetched {len(came)} files, {size / _MB:.1f} MB, from {store.address}{here}")
    return found | came


def _download(
    cache: Cache, store: Store, items: Sequence[Item], expected: Mapping[str, str], progress: Progress | None
) -> dict[str, str]:
    """Fetch in threads; the first failure stops the others, and what came of them is gone on with next time."""
    stop, lock, done = threading.Event(), threading.Lock(), 0
    total = sum(item.size or 0 for item in items)

    def advance(count: int) -> None:
        nonlocal done
        with lock:
            done += count

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="fetch") as threads:
        running = {
            threads.submit(download, cache, store, item, expected.get(item.name), stop, advance): item.name
            for item in items
        }
        try:
            waiting = set(running)
            while waiting:
                ended, waiting = wait(waiting, timeout=0.5, return_when=FIRST_EXCEPTION)
                for one in ended:
                    one.result()
                if progress is not None and total > _MB:
                    shown = min(done, total) // _MB
                    progress.update(f"fetching {store.address}, MB", shown, total // _MB)
        except BaseException:
            stop.set()
            threads.shutdown(wait=True, cancel_futures=True)
            raise
    return {name: one.result() for one, name in running.items()}


def _sums(data: bytes, address: str) -> dict[str, str]:
    """What `sha256sum` wrote: a hash, a blank, a blank or `*`, and a name."""
    found = {}
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        if not line.strip():
            continue
        sha256, _, name = line.partition(" ")
        if len(sha256) != hashlib.sha256().digest_size * 2 or not name:
            raise DataError(
                f"{address}/{SUMS}:{number}: {line!r} is no hash and name",
                hint="write it with: sha256sum * > SHA256SUMS",
            )
        found[name[1:].removeprefix("./")] = sha256.lower()
    return found


def _sha256(path: Path) -> str:
    if not path.is_file():
        raise DataError(f"{path} is not a file", hint="#sha256= holds for one file")
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
