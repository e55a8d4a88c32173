"""An account in a line for each unit."""

from __future__ import annotations

from collections.abc import Iterator

from pizzeria.account import UNITS, Account

_SHOWN = 3


def lines(account: Account) -> Iterator[str]:
    """Such as `boxes: 5 read, 3 used, 2 set aside: 2 of class dog, which problem.classes does not name`.

    Example:
        >>> account = Account({"rows": 3})
        >>> account.set_aside("rows", "without a target", "row 2")
        >>> list(lines(account))
        ['rows: 3 read, 2 used, 1 set aside: 1 without a target']
    """
    for unit in (*UNITS, *sorted(account.read.keys() - set(UNITS))):
        if unit not in account.read:
            continue
        text = f"{unit}: {account.read[unit]:,} read, {account.used(unit):,} used"
        reasons = sorted(account.aside.get(unit, {}).items(), key=lambda pair: -pair[1].count)
        if reasons:
            text += f", {account.of_aside(unit):,} set aside: {_listed([(t.count, name) for name, t in reasons])}"
        handled = sorted(account.handled.get(unit, {}).items(), key=lambda pair: -pair[1].count)
        if handled:
            text += f"; handled: {_listed([(t.count, name) for name, t in handled])}"
        yield text


def _listed(found: list[tuple[int, str]]) -> str:
    parts = [f"{count:,} {what}" for count, what in found[:_SHOWN]]
    if len(found) > _SHOWN:
        parts.append(f"{sum(count for count, _ in found[_SHOWN:]):,} for other reasons")
    return ", ".join(parts)
