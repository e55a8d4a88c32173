"""One file, brought into the cache: gone on with where it was cut off, and checked."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from typing import IO

from pizzeria.errors import DataError
from pizzeria.fetching.cache import Cache, key_of
from pizzeria.fetching.store import CHUNK, Changed, Item, Store, asked

_TRIES = 5
"""How often in a row nothing may come before it is given up."""
_WAIT_S = 1.0
"""Before the second try; twice as long before each further one."""


class _MismatchError(DataError):
    """The content is not what it should be."""


class Stopped(Exception):
    """Another download failed, so this one is not gone on with."""


def key(store: Store, item: Item) -> str:
    """What the content of an object is remembered under."""
    return key_of(store.files.unstrip_protocol(item.path), item.size, item.mark)


def download(
    cache: Cache,
    store: Store,
    item: Item,
    expected: str | None,
    stop: threading.Event,
    advance: Callable[[int], None],
) -> str:
    """Bring a file into the cache.

    Args:
        expected: Its sha256, where somebody says what it should be.
        stop: Set when it shall give up.
        advance: Told of every so many bytes that came.

    Returns:
        Its sha256.

    Raises:
        DataError: it cannot be had, or is not what it should be; then nothing of it stays.
        UnreachableError: the store does not answer; what came stays, and is gone on with next time.
        Stopped: `stop` was set.
    """
    name = key(store, item)
    with cache.partial(name) as stream:
        if item.mark:
            found = cache.known([name]).get(name)  # by another process, which had the lock
            if found is not None:
                cache.discard(name)
                check(store, item, found, expected)
                return found
        if not item.mark or item.size is None:
            stream.truncate(0)  # nothing says that it is the beginning of the same content
        here = stream.seek(0, 2)
        resumed = here > 0
        advance(here)
        while True:
            pieces = _fill(store, item, stream, stop, advance)
            try:
                return _settle(cache, store, item, stream, name, expected, recheck=resumed or pieces > 1)
            except _MismatchError:
                if not resumed:
                    cache.discard(name)
                    raise
                advance(-stream.seek(0, 2))
                stream.truncate(0)  # perhaps what lay here was at fault
                resumed = False


def check(store: Store, item: Item, found: str, expected: str | None) -> None:
    """Hold a sha256 against the one that is expected.

    Raises:
        DataError: names the address and both.
    """
    if expected is not None and found != expected:
        raise _mismatch(store, item, "sha256", expected, found)


def _mismatch(store: Store, item: Item, kind: str, expected: str, found: str) -> _MismatchError:
    where = store.files.unstrip_protocol(item.path)
    return _MismatchError(
        f"{where} is not what it should be: expected {kind} {expected}, found {found}",
        hint="the file changed, or was damaged on its way; nothing of it was kept",
    )


def _fill(store: Store, item: Item, stream: IO[bytes], stop: threading.Event, advance: Callable[[int], None]) -> int:
    """Append until all of it is there; returns in how many pieces of `CHUNK` bytes or fewer it came."""
    failures = pieces = 0
    furthest = stream.seek(0, 2)
    while True:
        at = stream.seek(0, 2)
        if at and at == item.size:
            return pieces
        if item.size is None or at > item.size:
            stream.truncate(0)
            advance(-at)
            at = 0
        try:
            with asked(store.address):
                for offset, data in store.read(item, at):
                    if stop.is_set():
                        raise Stopped
                    if offset != at:  # the server begins at the beginning again
                        stream.truncate(offset)
                        advance(offset - at)
                        at = offset
                    stream.write(data)
                    at += len(data)
                    advance(len(data))
                if item.size is not None and at != item.size:
                    raise OSError(f"{item.name} ended at byte {at} of {item.size}")
            return pieces + max(1, at // CHUNK)
        except Stopped:
            raise
        except DataError as error:
            stream.flush()
            pieces += 1
            if isinstance(error.__cause__, Changed):
                stream.truncate(0)
                advance(-at)
            # A server that cannot go on in the middle makes no headway by beginning anew.
            failures = 0 if at > furthest else failures + 1
            furthest = max(furthest, at)
            if type(error) is DataError or failures >= _TRIES or stop.wait(_WAIT_S * 2 ** (failures - 1)):
                raise


def _settle(
    cache: Cache, store: Store, item: Item, stream: IO[bytes], name: str, expected: str | None, *, recheck: bool
) -> str:
    stream.flush()
    stream.seek(0)
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    while data := stream.read(2**20):
        sha256.update(data)
        md5.update(data)
    found = sha256.hexdigest()
    check(store, item, found, expected)
    with asked(store.address):
        if item.md5 is not None and md5.hexdigest() != item.md5 and store.md5_holds(item):
            raise _mismatch(store, item, "md5", item.md5, md5.hexdigest())
        if recheck and item.mark and not store.unchanged(item):
            raise _mismatch(store, item, "the same content to the end", item.mark, "another one")
    if item.mark:  # first: whoever comes once the file has gone from `partial` waits for nobody, and looks here
        cache.remember({name: found})
    cache.store(stream, name, found)
    return found
