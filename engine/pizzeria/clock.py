"""What time it is: the machine's, or the one that a simulation is at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

_simulated: datetime | None = None


def utcnow() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC) if _simulated is None else _simulated


def now() -> str:
    """The same as text: ISO 8601, to the millisecond."""
    return utcnow().isoformat(timespec="milliseconds")


@contextmanager
def at(moment: datetime) -> Iterator[None]:
    """Let it be that moment, for this process: what `pizzeria simulate` replays is decided as it would have been then.

    Args:
        moment: With a time zone.

    Example:
        >>> with at(datetime(1998, 5, 1, tzinfo=UTC)):
        ...     now()
        '1998-05-01T00:00:00.000+00:00'
    """
    global _simulated
    before, _simulated = _simulated, moment.astimezone(UTC)
    try:
        yield
    finally:
        _simulated = before
