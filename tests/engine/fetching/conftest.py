"""Stores on this machine: a web server that can be as bad as they are, moto's S3, and a small Google Cloud Storage."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from pizzeria.conformance.asking import Quiet


@pytest.fixture
def progress() -> Quiet:
    return Quiet()


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PIZZERIA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("pizzeria.fetching.download._WAIT_S", 0.01)
    return tmp_path / "cache" / "fetched"


class Web:
    """Serves `files`, and keeps what it was asked.

    Attributes:
        ranges: Whether it can begin in the middle of a file.
        marks: Whether it sends ETags.
        cuts: Each is used once: after so many bytes of a body the connection is cut.
        pace: Called after each 64 KB that it sends.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.ranges = self.marks = True
        self.cuts: list[int] = []
        self.pace: Any = lambda: None
        self.asked: list[tuple[str, str, str | None]] = []
        self.sent = 0
        web = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self.answer(body=False)

            def do_GET(self) -> None:
                self.answer(body=True)

            def answer(self, *, body: bool) -> None:
                web.asked.append((self.command, self.path, self.headers["Range"]))
                data = web.files.get(unquote(urlsplit(self.path).path))
                if data is None:
                    self.send_response(404)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                tag, start = hashlib.sha1(data).hexdigest(), 0
                asked = self.headers["Range"]
                if asked and web.ranges:
                    start = int(asked.removeprefix("bytes=").split("-")[0])
                self.send_response(206 if start else 200)
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
                self.send_header("Content-Length", str(len(data) - start))
                if web.marks:
                    self.send_header("ETag", f'"{tag}"')
                if not self.path.count("."):
                    self.send_header("Content-Type", "text/html")
                self.end_headers()
                if body:
                    self.send(data[start:])

            def send(self, data: bytes) -> None:
                cut = web.cuts.pop(0) if web.cuts else None
                for at in range(0, len(data), 65536):
                    piece = data[at : at + 65536]
                    if cut is not None and at + len(piece) > cut:
                        self.wfile.write(piece[: cut - at])
                        self.wfile.flush()
                        self.connection.close()
                        self.close_connection = True
                        return
                    try:
                        self.wfile.write(piece)
                    except OSError:
                        self.close_connection = True
                        return
                    web.sent += len(piece)
                    web.pace()

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                pass  # the connection that was cut

        self._server = Server(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def bodies(self) -> list[tuple[str, str | None]]:
        """Path and range of each GET, which is what costs."""
        return [(path, asked) for method, path, asked in self.asked if method == "GET"]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def web() -> Iterator[Web]:
    one = Web()
    yield one
    one.stop()


class Bucket:
    """moto's S3 server, with the bucket `data` and what it was asked; the real protocol over a real socket."""

    def __init__(self) -> None:
        pytest.importorskip("moto", reason="moto is not installed: s3:// is NOT TESTED")
        import boto3
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import WSGIRequestHandler, make_server

        backend = DomainDispatcherApplication(create_backend_app)
        self.got: list[tuple[str, str | None]] = []

        def answer(environ: dict[str, Any], start: Any) -> Any:
            if environ["REQUEST_METHOD"] == "GET" and environ["PATH_INFO"].count("/") > 1:
                self.got.append((environ["PATH_INFO"], environ.get("HTTP_RANGE")))
            return backend(environ, start)

        class Quiet(WSGIRequestHandler):
            def log(self, *_: Any) -> None:
                pass

        self._server = make_server("127.0.0.1", 0, answer, threaded=True, request_handler=Quiet)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self.client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id="k",
            aws_secret_access_key="s",
        )

    def put(self, **files: bytes) -> None:
        for name, data in files.items():
            self.client.put_object(Bucket="data", Key=name, Body=data)

    def stop(self) -> None:
        self.client.close()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture(scope="session")
def moto() -> Iterator[Bucket]:
    one = Bucket()
    yield one
    one.stop()


@pytest.fixture
def bucket(moto, monkeypatch) -> Bucket:
    """An empty bucket `data`; the environment has its address and keys."""
    for name, value in {
        "AWS_ENDPOINT_URL": moto.endpoint,
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    with contextlib.suppress(moto.client.exceptions.NoSuchBucket):
        for one in moto.client.list_objects_v2(Bucket="data").get("Contents", ()):
            moto.client.delete_object(Bucket="data", Key=one["Key"])
    moto.client.create_bucket(Bucket="data")
    moto.got.clear()
    return moto


class Google:
    """As much of Google Cloud Storage's JSON API as reading needs."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.md5: dict[str, str] = {}
        self.got: list[str] = []
        google = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                _, _, name = parts.path.partition("/b/data/o")
                name = unquote(name.strip("/"))
                if not name:
                    prefix = query.get("prefix", "")
                    found = [google.facts(one) for one in sorted(google.objects) if one.startswith(prefix)]
                    self.say(200, json.dumps({"items": found}).encode())
                elif name not in google.objects:
                    self.say(404, b'{"error": {"message": "No such object"}}')
                elif query.get("alt") == "media":
                    google.got.append(name)
                    data, status = google.objects[name], 200
                    if asked := self.headers["Range"]:
                        first, last = asked.removeprefix("bytes=").split("-")
                        data, status = data[int(first) : int(last) + 1], 206
                    self.say(status, data)
                else:
                    self.say(200, json.dumps(google.facts(name)).encode())

            def say(self, status: int, data: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def facts(self, name: str) -> dict[str, Any]:
        data = self.objects[name]
        md5 = self.md5.get(name) or base64.b64encode(hashlib.md5(data).digest()).decode()
        generation = str(int.from_bytes(hashlib.sha1(data).digest()[:6], "big"))
        return {"name": name, "bucket": "data", "size": str(len(data)), "md5Hash": md5, "generation": generation}

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def google(monkeypatch) -> Iterator[Google]:
    one = Google()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", one.address)
    yield one
    one.stop()
