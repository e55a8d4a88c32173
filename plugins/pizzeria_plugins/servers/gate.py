"""What protects a worker: a bounded number of requests at work, bounded bodies, bounded time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Executor
from typing import Any, TypeVar

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
T = TypeVar("T")


class DisconnectedError(Exception):
    """The client went away before its request was whole."""


class TooLargeError(Exception):
    """The body is longer than it may be."""


class TooSlowError(Exception):
    """The body was not whole, or the answer not ready, in time."""


class BusyError(Exception):
    """There is no place for one more request, or no room for its body."""


class Gate:
    """Lets a bounded number of requests in; one more is told to come again.

    A request enters when its body is whole, so that clients who send theirs slowly take no place from others. One that
    is given up leaves only when the thread that computes it is done, so that slow work cannot pile up.

    Example:
        >>> gate = Gate(1)
        >>> gate.enter(), gate.full, gate.enter()
        (True, True, False)
    """

    def __init__(self, places: int) -> None:
        self.places = places
        self.taken = 0

    @property
    def full(self) -> bool:
        """Whether no place is free."""
        return self.taken >= self.places

    def enter(self) -> bool:
        """Take a place, where one is free."""
        if self.full:
            return False
        self.taken += 1
        return True

    def leave(self) -> None:
        """Give the place back."""
        self.taken -= 1


class Bodies:
    """Bounds the bytes of all bodies that are in memory at once.

    Args:
        most: Bytes.

    Example:
        >>> bodies = Bodies(10)
        >>> with bodies.room() as room:
        ...     room.take(8)
        ...     bodies.held
        8
        >>> bodies.held
        0
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.held = 0

    def room(self) -> Room:
        """Room for one body, given back at the end of the `with`."""
        return Room(self)


class Room:
    """What one body takes of `Bodies`."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self._size = 0

    def take(self, size: int) -> None:
        """Take room for `size` more bytes.

        Raises:
            BusyError: there is none.
        """
        if self._bodies.held + size > self._bodies.most:
            raise BusyError
        self._bodies.held += size
        self._size += size

    def __enter__(self) -> Room:
        return self

    def __exit__(self, *_: object) -> None:
        self._bodies.held -= self._size
        self._size = 0


async def read_body(receive: Receive, limit: int, timeout_s: float, room: Room) -> bytes:
    """The whole body, of which never more than `limit` bytes and one network buffer are held.

    Raises:
        TooLargeError: it is longer than `limit`.
        TooSlowError: it was not whole in time.
        BusyError: too many bodies are in memory.
        DisconnectedError: the client went away.
    """
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise DisconnectedError
                part = message.get("body", b"")
                size += len(part)
                if size > limit:
                    raise TooLargeError
                room.take(len(part))
                parts.append(part)
                if not message.get("more_body", False):
                    return b"".join(parts)
    except TimeoutError:
        raise TooSlowError from None


async def drain(receive: Receive, timeout_s: float = 2) -> None:
    """Read on and forget: a client that is still sending would see its connection reset, and never the refusal."""
    try:
        async with asyncio.timeout(timeout_s):
            while (message := await receive())["type"] == "http.request" and message.get("more_body", False):
                pass
    except TimeoutError:
        pass


async def compute(pool: Executor, work: Callable[[], T], timeout_s: float, done: Callable[[], None]) -> T:
    """Run `work` in the pool; `done` is called in the event loop when its thread is free again.

    Raises:
        TooSlowError: it took longer than `timeout_s`.
    """
    loop = asyncio.get_running_loop()
    task = pool.submit(work)
    task.add_done_callback(lambda _: loop.call_soon_threadsafe(done))  # first, so that the place is free by the answer
    waiting = asyncio.wrap_future(task, loop=loop)
    finished, _ = await asyncio.wait({waiting}, timeout=timeout_s)
    if not finished:
        task.cancel()  # works only for one that has not begun
        waiting.add_done_callback(lambda future: future.cancelled() or future.exception())  # nobody asks any more
        raise TooSlowError
    return waiting.result()
