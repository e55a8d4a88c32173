"""Prediction records as lines of text that come unharmed through a platform's log, and out of what it makes of them.

A line is ASCII and one JSON object that begins with `{"pizzeria":`, `record`, `photo` or `label`. One that is longer
than a platform lets an entry be is cut into lines of `part`, which are put together again.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from uuid import uuid4

from pizzeria.inference.truth import Label
from pizzeria_plugins.prediction_logs.rows import COLUMNS, Row
from pizzeria_plugins.prediction_logs.truth import LABEL_COLUMNS, as_label, as_values

LONGEST = 200_000
"""Bytes of a line. AWS cut entries of 256 kB once, Google cuts them there still."""
_MARK = '{"pizzeria":'
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")


class Entry(NamedTuple):
    """One record, one photo or one label that was found.

    Attributes:
        timestamp: Of the prediction, or when the label came.
        prediction_id: Of it; empty for a label.
        record: All of the record but the photo; None for anything else.
        photo: In base64; None for anything else.
        label: None for anything else.
    """

    timestamp: str
    prediction_id: str
    record: dict[str, Any] | None = None
    photo: str | None = None
    label: Label | None = None


def to_lines(row: Row) -> Iterator[str]:
    """The lines of one record and, before it, of its photo, each with its end."""
    if row.photo is not None:
        photo = base64.b64encode(row.photo).decode()
        head = {"timestamp": row.timestamp, "prediction_id": row.prediction_id}
        yield from _cut(f'{_MARK}"photo",{json.dumps(head)[1:-1]},"photo":"{photo}"}}')
    fixed = json.dumps(dict(zip(COLUMNS, row.fixed, strict=True)))[1:-1]
    rest = row.rest if row.rest.isascii() else _NOT_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], row.rest)
    yield from _cut(f'{_MARK}"record",{fixed},"rest":{rest}}}')


def label_lines(label: Label, received: str) -> Iterator[str]:
    """The lines of one label.

    Args:
        received: When it came, ISO 8601.
    """
    fixed = json.dumps(dict(zip(LABEL_COLUMNS, as_values(label, received), strict=True)))[1:-1]
    yield from _cut(f'{_MARK}"label",{fixed}}}')


def entries(lines: Iterable[str]) -> Iterator[Entry | None]:
    """What lines hold, in their order; None for one that is Pizzeria's and was cut off by somebody.

    Lines may have something before and after what was written, or hold it as a JSON object or text in one of their own,
    as exports of platforms do.
    """
    parts: dict[str, dict[int, str]] = {}
    for line in lines:
        if "pizzeria" not in line:
            continue
        found = _find(line)
        if found is None:
            if '"pizzeria' in line:
                yield None
            continue
        if found.get("pizzeria") == "part":
            own = parts.setdefault(found["of"], {})
            own[found["number"]] = found["text"]
            if len(own) < found["count"]:
                continue
            whole = "".join(own[number] for number in sorted(parts.pop(found["of"])))
            found = _find(whole) or {}
        entry = _entry(found)
        if entry is not None:
            yield entry
    for _ in parts:
        yield None


def _cut(line: str) -> Iterator[str]:
    if len(line) <= LONGEST:
        yield line + "\n"
        return
    of = uuid4().hex
    step = LONGEST // 2  # quotes in it take two bytes each
    texts = [line[at : at + step] for at in range(0, len(line), step)]
    for number, text in enumerate(texts):
        yield f'{_MARK}"part","of":"{of}","number":{number},"count":{len(texts)},"text":{json.dumps(text)}}}\n'


def _find(line: str) -> dict[str, Any] | None:
    """Our object in a line: as it was written, or in an object of a platform's."""
    at = line.find(_MARK)
    try:
        if at >= 0:
            found, _ = json.JSONDecoder().raw_decode(line, at)
            return found if isinstance(found, dict) else None
        return _inside(json.loads(line))
    except ValueError:
        return None


def _inside(value: Any) -> dict[str, Any] | None:
    """Ours is an object with the key `pizzeria`, or a text that holds one, at most two levels down."""
    for level in ([value], value.values() if isinstance(value, Mapping) else ()):
        for one in level:
            if isinstance(one, str) and _MARK in one:
                return _find(one)
            if isinstance(one, Mapping):
                if "pizzeria" in one:
                    return dict(one)
                for text in one.values():
                    if isinstance(text, str) and _MARK in text:
                        return _find(text)
    return None


def _entry(found: Mapping[str, Any]) -> Entry | None:
    match found:
        case {"pizzeria": "photo", "timestamp": str(at), "prediction_id": str(name), "photo": str(photo)}:
            return Entry(at, name, photo=photo)
        case {"pizzeria": "record", "timestamp": str(at), "prediction_id": str(name), "rest": dict(rest)}:
            return Entry(at, name, {**{key: found.get(key) for key in COLUMNS}, **rest})
        case {"pizzeria": "label", "received": str(at)}:
            values = [found.get(name) for name in LABEL_COLUMNS[1:]]
            if all(isinstance(value, str) for value in values):
                return Entry(at, "", label=as_label(*map(str, values)))
    return None
