"""Requests of which something is wrong, made from good ones by a seeded generator."""

from __future__ import annotations

import io
import json
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace

from PIL import Image

BOUNDARY = "a-cut"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
_TEXTS = [
    "",
    "\x00",
    "a" * 5_000,
    "\ud800",
    "Ünï😀",
    "../../etc/passwd",
    "${jndi:ldap://x}",
    "'; DROP TABLE x;--",
    "\r\nX: y",
]
_NUMBERS = [
    "1e999",
    "-1e999",
    "NaN",
    "Infinity",
    "1" * 400,
    "-0",
    "1e-400",
    "3e38",
    "9" * 20,
    "0x10",
    "1_000",
    ".5",
    "5.",
]
_VALUES = ["null", "true", "[]", "{}", "[[[[]]]]", '""', '"\\ud800"', '"\\u0000"', "'x'", "undefined", *_NUMBERS]


@dataclass(frozen=True)
class Request:
    """One request; `head` are lines besides Host and Content-Length."""

    path: str
    content_type: str | None
    body: bytes
    head: tuple[str, ...] = ()

    def encoded(self) -> bytes:
        lines = [f"POST {self.path} HTTP/1.1", "Host: x", f"Content-Length: {len(self.body)}", *self.head]
        if self.content_type is not None:
            lines.append(f"Content-Type: {self.content_type}")
        return "\r\n".join(lines).encode("utf-8", "replace") + b"\r\n\r\n" + self.body


def photo(kind: str, size: tuple[int, int], exif: bool = False) -> bytes:
    """A small photo with some structure, maybe with EXIF data."""
    image = Image.radial_gradient("L").resize(size).convert("RGB")
    tags = Image.Exif()
    if exif:
        tags[0x0112], tags[0x010E], tags[0x8769] = 6, "a kitchen", {0x9003: "2024:05:31 12:00:00"}
    stream = io.BytesIO()
    image.save(stream, kind, exif=tags, **({"quality": 70} if kind != "PNG" else {}))
    return stream.getvalue()


PHOTOS = [
    *(photo(kind, (40, 30), exif=exif) for kind in ("JPEG", "PNG", "WEBP") for exif in (False, True)),
    photo("JPEG", (200, 150)),
]


def part(name: str, data: bytes, filename: str | None = None) -> bytes:
    file = "" if filename is None else f'; filename="{filename}"'
    line = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
    return line.encode("utf-8", "replace") + data + b"\r\n"


def flipped(chance: random.Random, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8, 64))):
        if out:
            out[chance.randrange(len(out))] ^= 1 << chance.randrange(8)
    return bytes(out)


def cut_off(chance: random.Random, data: bytes) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def spliced(chance: random.Random, data: bytes) -> bytes:
    """A piece of it twice, away, elsewhere, or of another photo."""
    a, b = sorted(chance.randrange(len(data) + 1) for _ in range(2))
    other = chance.choice(PHOTOS)
    at = chance.randrange(len(other))
    piece = chance.choice((data[a:b], b"", other[at : at + 200], bytes(chance.randrange(300)), chance.randbytes(50)))
    return data[:a] + piece + data[chance.choice((a, b)) :]


def with_odd_fields(chance: random.Random, data: bytes) -> bytes:
    """Two or four bytes near the beginning, where sizes, offsets and counts are, set to an extreme."""
    at = chance.randrange(min(len(data), 200))
    value = chance.choice((0, 1, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000))
    packed = struct.pack(chance.choice((">I", "<I")), value)[chance.choice((0, 2)) :]
    return data[:at] + packed + data[at + len(packed) :]


_BYTES: list[Callable[[random.Random, bytes], bytes]] = [flipped, cut_off, spliced, with_odd_fields]


def raw_photo(chance: random.Random) -> Request:
    data = chance.choice(PHOTOS)
    for _ in range(chance.choice((1, 1, 2))):
        data = chance.choice(_BYTES)(chance, data) or b"\xff"
    kind = chance.choice(("image/jpeg", "image/png", None, "application/octet-stream", "image/gif"))
    return Request("/predict", kind, data)


def form_of_photos(chance: random.Random) -> Request:
    """A form with something wrong in its parts, its boundaries, its headers or its nesting."""
    verify = chance.random() < 0.5
    name = "photos" if verify else "photo"
    texts = [chance.choice(_TEXTS), "a.jpg", "bed,sofa", '["bed"]', "[bed", "bed"]
    parts = [part(name, chance.choice(PHOTOS), chance.choice(texts)) for _ in range(chance.choice((0, 1, 1, 1, 2, 5)))]
    if verify or chance.random() < 0.2:
        parts.append(part("declared", chance.choice(texts).encode("utf-8", "surrogatepass")))
    if chance.random() < 0.3:
        nested = b"Content-Type: multipart/mixed; boundary=inner\r\n\r\n--inner\r\n\r\nx\r\n--inner--"
        parts.append(part(chance.choice(("listing_id", "other", *_TEXTS)), chance.choice((b"L1", b"\xff", nested))))
    chance.shuffle(parts)
    end = chance.choice((f"--{BOUNDARY}--\r\n", f"--{BOUNDARY}--", f"--{BOUNDARY}\r\n", "", "--", f"--{BOUNDARY}--x"))
    body = b"".join(parts) + end.encode()
    if chance.random() < 0.6:
        body = chance.choice(_BYTES)(chance, body or b"-")
    if chance.random() < 0.2:
        old = chance.choice((b"\r\n", b"form-data", b"--", b'"', b"name", b"Content-Disposition: "))
        new = chance.choice(
            (b"\n", b"", b"\r\n\r\n", b"Content-Transfer-Encoding: base64\r\n", b"\x00", b"=?utf-8?q?x?=")
        )
        body = body.replace(old, new, chance.choice((1, -1)))
    boundary = chance.choice((BOUNDARY,) * 5 + ("other", "", "x" * 200, '"' + BOUNDARY + '"', "a;b", "\x01"))
    return Request("/verify" if verify else "/predict", f"multipart/form-data; boundary={boundary}", body)


def rows(chance: random.Random) -> Request:
    """Rows as text, so that what JSON cannot say can be sent too."""

    def row() -> str:
        keys = ["rooms", "beds", *chance.choices(("row_id", "rooms", "price", "Rooms", "", "\\ud800", "x" * 300), k=1)]
        values = [chance.choice((str(chance.randrange(9)), "null", chance.choice(_VALUES))) for _ in keys]
        pairs = [f'"{key}": {value}' for key, value in zip(keys, values, strict=True)]
        return "{" + ", ".join(pairs[: chance.choice((1, 2, 2, 2, 3))]) + "}"

    listed = "[" + ", ".join(row() for _ in range(chance.choice((0, 1, 1, 2, 5, 60)))) + "]"
    text = chance.choice(
        (listed, '{"rows": ' + listed + "}", '{"rows": ' + listed + ', "x": 1}', chance.choice(_VALUES))
    )
    if chance.random() < 0.1:
        depth = chance.choice((50, 5_000, 50_000))
        text = chance.choice(("[" * depth, '{"rows":' * depth, "[" * depth + "]" * depth))
    body = text.encode("utf-8", "surrogatepass")
    if chance.random() < 0.1:
        body = text.encode(chance.choice(("utf-16", "utf-32", "utf-8-sig")), "surrogatepass")
    if chance.random() < 0.4:
        body = chance.choice((flipped, cut_off, spliced))(chance, body or b"[")
    return Request("/predict", chance.choice(("application/json",) * 5 + ("text/plain", None)), body)


def labels(chance: random.Random, photos: bool) -> Request:
    """Labels as text, nearly right, and then with a value or a key that is not."""
    name = '"019ab3a5-6a2e-7c41-9d3f-0b5f4c8e7a12' + ('"' if photos else f'/{chance.randrange(3)}"')
    box = ['"class": "bed"', '"x_min": 1', '"y_min": 2', '"x_max": 30', '"y_max": 40']
    if chance.random() < 0.5:
        place = chance.randrange(len(box))
        box[place] = f"{box[place].partition(':')[0]}: {chance.choice(_VALUES)}"
    boxes = "[" + ", ".join(["{" + ", ".join(box) + "}"] * chance.choice((0, 1, 2))) + "]"
    truths = [
        f'"boxes": {boxes}',
        '"classes": ["bed"]',
        '"value": 3.5',
        f'"value": {chance.choice(_VALUES)}',
        '"classes": {}',
    ]
    truth = chance.choice(truths if photos else truths[2:])
    by = [
        f'"prediction_id": {name}',
        f'"input_id": {chance.choice(_VALUES)}',
        f'"prediction_id": {chance.choice(_VALUES)}',
    ]
    more = [
        f'"at": {chance.choice(_VALUES)}',
        '"at": "2026-05-01T12:00:00Z"',
        f'"source": {chance.choice(_VALUES)}',
        '"x": 1',
    ]
    keys = [chance.choice((*by[:1] * 3, *by[1:])), truth, *chance.sample(more, chance.choice((0, 0, 0, 1, 2)))]
    label = "{" + ", ".join(keys[: chance.choice((1, 2, 3, 3, 3))]) + "}"
    count = chance.choice((1, 1, 1, 2, 1001))
    text = chance.choice((label, "[" + ", ".join([label] * count) + "]", '{"labels": [' + label + "]}"))
    body = text.encode("utf-8", "surrogatepass")
    if chance.random() < 0.3:
        body = chance.choice((flipped, cut_off, spliced))(chance, body)
    return Request("/feedback", chance.choice(("application/json",) * 5 + ("text/plain", None)), body)


def with_odd_target(chance: random.Random, request: Request) -> Request:
    """Another query or header than good clients send; what is no HTTP at all is test_protocol.py's."""
    keys = ["input_id", "listing_id", "explain", "min_confidence", "x", "%00", "a" * 300, "input_id[]", ""]
    values = ["", "1", "true", "nan", "-1", "2", "%", "%zz", "%F0%9F%98%80", "%ED%A0%80", "a" * 3_000, "%00", "+"]
    count = chance.choice((1, 1, 2, 30))
    query = "&".join(f"{chance.choice(keys)}={chance.choice(values)}" for _ in range(count))
    lines = [
        "X: y",
        "Accept: text/html",
        "Range: bytes=0-1",
        "X-Forwarded-For: ::1",
        "Content-Encoding: gzip",
        "Cookie: a=b",
    ]
    return replace(request, path=f"{request.path}?{query}", head=tuple(chance.sample(lines, chance.randrange(3))))


def mutated(chance: random.Random, photos: bool) -> Request:
    """One request for a service of photos, or of rows."""
    if chance.random() < 0.1:
        request = labels(chance, photos)
    else:
        request = chance.choice((raw_photo, form_of_photos))(chance) if photos else rows(chance)
    return with_odd_target(chance, request) if chance.random() < 0.15 else request


def good(photos: bool) -> Request:
    """One that is answered."""
    if photos:
        return Request("/predict", "image/jpeg", PHOTOS[0])
    return Request("/predict", "application/json", json.dumps([{"rooms": 1, "beds": 2}]).encode())
