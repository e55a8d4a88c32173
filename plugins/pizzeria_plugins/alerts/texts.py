"""What a notice says, in a few words and made safe: whatever a column is called, it is one printable line."""

from __future__ import annotations

from typing import Any

from pizzeria.contracts import Alarm, Notice

SHOWN = 50
"""Alarms that a message shows; it says how many more there are."""
_ONE = {"firing": "alert", "resolved": "over", "decided": "maintenance"}
_AFTER = {"firing": "", "resolved": " are over", "decided": " and maintenance"}


def clean(text: str, most: int = 1000) -> str:
    """One line of printable characters, cut to `most`.

    Example:
        >>> clean("f1 fell\\r\\nBcc: all@example.org"), clean("a" * 9, most=8)
        ('f1 fell Bcc: all@example.org', 'aaaa ...')
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * most]).split())
    return line if len(line) <= most else f"{line[: most - 4]} ..."


def title(notice: Notice) -> str:
    """A headline.

    Example:
        >>> title(Notice("k", "firing", "amenities", "2026-11-26T09:00:00.000+00:00", "f1 fell"))
        'amenities: alert'
    """
    count = len(notice.alarms)
    what = f"{count} alerts{_AFTER[notice.state]}" if count > 1 else _ONE[notice.state]
    return clean(f"{notice.name}: {what}")


def sentences(notice: Notice) -> list[str]:
    """What each alarm says, with its likely causes; or, without alarms, what the notice says."""
    if not notice.alarms:
        return [clean(notice.text, 2000)]
    said = [sentence(alarm) for alarm in notice.alarms[:SHOWN]]
    more = len(notice.alarms) - SHOWN
    return [*said, f"and {more} more"] if more > 0 else said


def sentence(alarm: Alarm) -> str:
    """What an alarm says, with the likely causes that it does not name itself.

    Example:
        >>> sentence(Alarm("drift", "columns", "7", "", "", "hue drifted in chunk 7", ("hue", "contrast")))
        'hue drifted in chunk 7. Likely behind it: contrast.'
    """
    text = clean(alarm.text)
    causes = [cause for cause in (clean(one, 80) for one in alarm.causes[:5]) if cause not in text]
    return f"{text.rstrip('.')}. Likely behind it: {', '.join(causes)}." if causes else text


def plain_alarm(alarm: Alarm) -> dict[str, Any]:
    """An alarm for JSON."""
    return {
        "kind": alarm.kind,
        "subject": clean(alarm.subject, 300),
        "chunk": clean(alarm.chunk, 100),
        "start": alarm.start,
        "end": alarm.end,
        "text": clean(alarm.text),
        "causes": [clean(one, 300) for one in alarm.causes[:20]],
        "examples": [clean(one, 300) for one in alarm.examples[:20]],
        "usual": [clean(one, 300) for one in alarm.usual[:20]],
    }
