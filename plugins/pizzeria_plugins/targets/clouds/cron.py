"""A schedule's interval as a time table, in UTC. Runs of a day or more are at three in the night."""

from __future__ import annotations

from pizzeria.spec.deployment import Interval


def cron(interval: Interval) -> str:
    """Five fields: minute, hour, day, month, weekday.

    Example:
        >>> cron("15m"), cron("6h"), cron("1d"), cron("7d")
        ('*/15 * * * *', '0 */6 * * *', '0 3 * * *', '0 3 * * 1')
    """
    count, unit = interval[:-1], interval[-1]
    if unit == "m":
        return f"*/{count} * * * *"
    if unit == "h":
        return "0 * * * *" if count == "1" else f"0 */{count} * * *"
    return "0 3 * * *" if count == "1" else "0 3 * * 1"


def ncrontab(interval: Interval) -> str:
    """Six fields, seconds first, as timers of Azure Functions are told.

    Example:
        >>> ncrontab("1h")
        '0 0 * * * *'
    """
    return f"0 {cron(interval)}"
