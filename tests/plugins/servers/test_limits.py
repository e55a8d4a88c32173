"""Each limit of a service, tried on a running one.

| limit | answer | tried in |
|---|---|---|
| bytes of a body, told or chunked | 413 before it is in memory | here, and in `test_bentoml.py` |
| pixels, from the header of the file | 413 before it is decoded | here |
| formats of photos (`serving.formats`) | 415 | here |
| forms that are damaged | 400 | here; `test_contract.py` of inference has more of them |
| wrong types and shapes of rows | 422 with the path of the field | here |
| NaN, Infinity and numbers out of reach | 422 | here |
| rows, photos and parts of a request | 413 | here |
| requests at work | 429 with Retry-After | here under load, and in `test_bentoml.py` |
| time of a request, and of its body | 504 and 408 | `test_bentoml.py` |
| bytes of all bodies that are in memory | 429 | here |
| slow bodies | take no place from others | here |
| half-open heads | others are served | here |
| heads, trailers, pipelines, connections, unread answers | 431, 400, 408, 503 or closed | `test_protocol.py` |
| keys, other sites | 401 or kept out | `test_access.py` |
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import struct
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from pizzeria_plugins.servers.gate import Bodies, BusyError, TooLargeError, TooSlowError, read_body

pytestmark = pytest.mark.slow
JPEG = {"content-type": "image/jpeg"}
JSON = {"content-type": "application/json"}
FORM = {"content-type": "multipart/form-data; boundary=cut"}


def picture(kind: str = "JPEG", size: tuple[int, int] = (64, 48)) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, "white").save(stream, kind)
    return stream.getvalue()


def png_that_claims(width: int, height: int) -> bytes:
    """A few bytes whose header says that they are a huge picture."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def part(name: str, data: bytes, filename: str | None = None) -> bytes:
    file = "" if filename is None else f'; filename="{filename}"'
    return f'--cut\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + data + b"\r\n"


def refused(answer: httpx.Response, status: int, code: str) -> str:
    """The message of a refusal."""
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code), error
    assert error["message"]
    return str(error["message"])


def test_a_chunked_body_is_refused_before_it_is_in_memory(service: Any) -> None:
    """Twenty at once, of 30 MB each, where 0.2 MB are allowed."""

    def flood() -> None:
        with service.connect() as connection, contextlib.suppress(OSError):
            connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(300):
                connection.sendall(b"186a0\r\n" + bytes(100_000) + b"\r\n")

    before = service.worker.memory_info().rss
    threads = [threading.Thread(target=flood) for _ in range(20)]
    for thread in threads:
        thread.start()
    most = 0
    while any(thread.is_alive() for thread in threads):
        most = max(most, service.worker.memory_info().rss)
        time.sleep(0.01)
    assert most - before < 60_000_000
    with service.client as client:
        assert client.post("/predict", content=picture(), headers=JPEG).status_code == 200


def test_lengths_that_lie(service: Any) -> None:
    """Told more than comes: 400 or the connection ends; told less: what is over is no part of the photo."""
    data = picture()
    with service.connect() as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (len(data) + 9) + data)
        connection.shutdown(1)
        assert not connection.recv(100).startswith(b"HTTP/1.1 200")
    with service.connect() as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n" + data)
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
    with service.client as client:
        assert client.post("/predict", content=data, headers=JPEG).status_code == 200


@pytest.mark.parametrize("side", [60_000, 1_001, 2_147_483_647])
def test_pixels_are_counted_in_the_header(service: Any, side: int) -> None:
    before = service.worker.memory_info().rss
    with service.client as client:
        message = refused(client.post("/predict", content=png_that_claims(side, side)), 413, "too_many_pixels")
    assert str(side) in message
    assert service.worker.memory_info().rss - before < 50_000_000


def test_formats_that_are_not_listed_are_refused(start: Any, detection_bundle: Path) -> None:
    service = start(detection_bundle, formats=["jpeg"])
    with service.client as client:
        assert client.post("/predict", content=picture(), headers=JPEG).status_code == 200
        for kind in ("PNG", "WEBP"):
            answer = client.post("/predict", content=picture(kind), headers=JPEG)
            assert kind in refused(answer, 415, "format_not_allowed").upper()
        form = part("photos", picture("PNG"), "a.png") + part("declared", b"bed") + b"--cut--\r\n"
        refused(client.post("/verify", content=form, headers=FORM), 415, "format_not_allowed")
        content = client.get("/openapi.json").json()["paths"]["/predict"]["post"]["requestBody"]["content"]
        assert set(content) == {"image/jpeg", "multipart/form-data"}


@pytest.mark.parametrize(
    ("form", "status", "code"),
    [
        (part("photo", picture(), "a.jpg"), 400, "bad_multipart"),
        (b"--cut\r\nContent-Disposition: form-data\r\n\r\nx\r\n--cut--\r\n", 400, "bad_multipart"),
        (b"--other\r\n\r\nx\r\n--other--\r\n", 400, "bad_multipart"),
        (b"--cut--\r\n", 422, "one_photo"),
        (part("photo", picture(), "a.jpg") * 2 + b"--cut--\r\n", 422, "one_photo"),
        (part("photo", b"x", "a.jpg") * 257 + b"--cut--\r\n", 413, "too_many_parts"),
        (part("photo", b"", "a.jpg") + b"--cut--\r\n", 400, "empty_body"),
        (part("x" * 1_000, b"") + b"--cut--\r\n", 422, "unknown_field"),
        (part("x" * 10_000, b"") + b"--cut--\r\n", 400, "bad_multipart"),
        (b"--cut\r\nContent-Disposition: form-data; name=photo\r\nX: " + b"y" * 50_000, 400, "bad_multipart"),
    ],
)
def test_damaged_forms(service: Any, form: bytes, status: int, code: str) -> None:
    with service.client as client:
        refused(client.post("/predict", content=form, headers=FORM), status, code)


def test_more_photos_than_a_listing_may_have(service: Any) -> None:
    form = part("photos", picture(), "a.jpg") * 65 + part("declared", b"bed") + b"--cut--\r\n"
    with service.client as client:
        refused(client.post("/verify", content=form, headers=FORM), 413, "too_many_photos")


@pytest.mark.parametrize(
    ("rows", "status", "code", "told"),
    [
        (b'[{"rooms": 1, "beds": "two"}]', 422, "wrong_rows", "rows[0].beds"),
        (b'[{"rooms": 1, "beds": 2}, {"rooms": [], "beds": 2}]', 422, "wrong_rows", "rows[1].rooms"),
        (b'[{"rooms": 1, "beds": 2, "row_id": {}}]', 422, "wrong_rows", "rows[0].row_id"),
        (b'[{"rooms": 1}]', 422, "wrong_rows", "rows[0].beds"),
        (b'[{"rooms": 1, "beds": 2, "price": 3}]', 422, "wrong_rows", "rows[0].price"),
        (b'[{"rooms": 1, "beds": 2, "bed": 3}]', 422, "wrong_rows", "rows[0].bed"),
        (b"[1]", 422, "wrong_rows", "rows[0]"),
        (b'{"row": []}', 422, "wrong_rows", "row"),
        (b'"rows"', 422, "wrong_rows", "list"),
        (b'[{"rooms": NaN, "beds": 2}]', 422, "not_finite", "NaN"),
        (b'[{"rooms": Infinity, "beds": 2}]', 422, "not_finite", "Infinity"),
        (b'[{"rooms": -Infinity, "beds": 2}]', 422, "not_finite", "-Infinity"),
        (b'[{"rooms": 1e999, "beds": 2}]', 422, "wrong_rows", "rows[0].rooms"),
        (b'[{"rooms": 1e300, "beds": 2}]', 422, "wrong_rows", "rows[0].rooms"),
        (b'[{"rooms": 3e38, "beds": 3e38}]', 422, "out_of_reach", "rows[0]"),
        (b'[{"rooms": 1, "beds": 2}]' + b" " * 20_000 + b"x", 400, "not_json", "JSON"),
        (json.dumps([{"rooms": 1, "beds": 2}] * 51).encode(), 413, "too_many_rows", "51 rows"),
    ],
)
def test_rows_of_wrong_types_and_shapes(tabular_service: Any, rows: bytes, status: int, code: str, told: str) -> None:
    with tabular_service.client as client:
        assert told in refused(client.post("/predict", content=rows, headers=JSON), status, code)


def test_half_open_heads_keep_nobody_out(service: Any) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(service.connect()).sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nX-A: ")
        with service.client as client:
            assert client.get("/healthz").status_code == 200
            assert client.post("/predict", content=picture(), headers=JPEG).status_code == 200


def test_slow_bodies_take_no_place(start: Any, detection_bundle: Path) -> None:
    """Forty bodies that come byte by byte, where four requests may be at work: others are served, and they get 408."""
    service = start(detection_bundle, max_concurrency=4, timeout_s=10)
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(service.connect()) for _ in range(40)]
        for one in slow:
            one.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n\xff\xd8\xff")
        with service.client as client:
            for one in slow[:10]:
                one.sendall(b"\xdb")
                assert client.post("/predict", content=picture(), headers=JPEG).status_code == 200
        for one in slow:
            assert one.recv(100).startswith(b"HTTP/1.1 408 ")


def test_overload_is_answered_with_200_and_429_alone(start: Any, slow_bundle: Path) -> None:
    service = start(slow_bundle, max_concurrency=4)
    statuses: Counter[int] = Counter()
    healthy: list[int] = []

    async def drive() -> None:
        limits = httpx.Limits(max_connections=80)
        async with httpx.AsyncClient(base_url=service.url, timeout=120, trust_env=False, limits=limits) as client:
            until = time.monotonic() + 3

            async def ask() -> None:
                while time.monotonic() < until:
                    answer = await client.post("/predict", content=picture(), headers=JPEG)
                    statuses[answer.status_code] += 1
                    if answer.status_code == 429:
                        assert answer.headers["retry-after"] == "1"
                        await asyncio.sleep(0.02)

            async def look() -> None:
                while time.monotonic() < until:
                    healthy.append((await client.get("/healthz")).status_code)
                    await asyncio.sleep(0.1)

            await asyncio.gather(look(), *(ask() for _ in range(64)))

    worker = service.worker.pid
    asyncio.run(drive())
    assert set(statuses) == {200, 429}
    assert set(healthy) == {200}
    with service.client as client:
        assert client.post("/predict", content=picture(), headers=JPEG).status_code == 200
    assert service.worker.pid == worker


class Body:
    """What uvicorn would bring of a body."""

    def __init__(self, *parts: bytes) -> None:
        self._parts = list(parts)

    async def __call__(self) -> dict[str, Any]:
        if not self._parts:
            await asyncio.sleep(60)
        return {"type": "http.request", "body": self._parts.pop(0), "more_body": True}


def test_bodies_share_their_memory() -> None:
    bodies = Bodies(25)

    async def read(*parts: bytes) -> bytes:
        with bodies.room() as room:
            return await read_body(Body(*parts), limit=20, timeout_s=0.05, room=room)

    async def three() -> list[Any]:
        return await asyncio.gather(*(read(b"x" * 10) for _ in range(3)), return_exceptions=True)

    assert [type(one) for one in asyncio.run(three())] == [TooSlowError, TooSlowError, BusyError]
    with pytest.raises(TooLargeError):
        asyncio.run(read(b"x" * 15, b"x" * 15))
    assert bodies.held == 0


@pytest.fixture(scope="module", autouse=True)
def whole_at_the_end(request: pytest.FixtureRequest) -> Iterator[None]:
    """No test of this file may have left a traceback or another worker behind."""
    services = [request.getfixturevalue(name) for name in ("service", "tabular_service")]
    workers = [service.worker.pid for service in services]
    yield
    assert [service.worker.pid for service in services] == workers
    for service in services:
        assert "Traceback" not in service.output.read_text()
