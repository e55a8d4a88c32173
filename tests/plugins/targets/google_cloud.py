"""A Google Cloud for tests, as far as the target speaks to it: Cloud Storage, Cloud Functions, Cloud Run's policies and
Cloud Scheduler, over HTTP on this machine.

It keeps what it is told, refuses what Google refuses, and builds for real: it unpacks the object that a function names,
starts functions-framework on it, and lets the traffic go over only when that listens.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import tempfile
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from .function_places import Front, Place

_TYPE = "type.googleapis.com/google.cloud.functions.v2.Function"


class Refusal(Exception):
    """An error of Google's, with its status code and word."""

    def __init__(self, code: int, status: str, message: str) -> None:
        super().__init__(message)
        self.code, self.status = code, status


class GoogleCloud:
    """The state of it, and its server."""

    def __init__(self, buckets: tuple[str, ...] = ("pizzeria-test",), secrets: dict[str, str] | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pizzeria-google-"))
        self.objects: dict[str, dict[str, Path]] = {name: {} for name in buckets}
        self.secrets = secrets or {}
        self.functions: dict[str, dict[str, Any]] = {}
        self.operations: dict[str, dict[str, Any]] = {}
        self.policies: dict[str, dict[str, Any]] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.fronts: dict[str, Front] = {}
        self.asked: list[str] = []
        self.refuse: Refusal | None = None
        self._uploads: dict[str, tuple[str, str]] = {}
        self._lock = threading.Lock()
        cloud = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                cloud.asked.append(f"{self.command} {urlsplit(self.path).path}")
                headers = {"Content-Range": self.headers.get("Content-Range", "")}
                try:
                    if cloud.refuse is not None:
                        raise cloud.refuse
                    status, found = 200, cloud.answer(self.command, self.path, body, headers)
                except Refusal as error:
                    status = error.code
                    found = {"error": {"code": error.code, "status": error.status, "message": str(error)}}
                data = json.dumps(found).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                for name in headers.keys() & {"Location", "Range"}:
                    self.send_header(name, headers[name])
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        for front in self.fronts.values():
            front.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def answer(self, method: str, target: str, body: bytes, headers: dict[str, str]) -> Any:
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        path = parts.path
        if path.startswith(("/upload/", "/storage/")):
            return self._storage(method, path, query, body, headers)
        told = json.loads(body) if body else {}
        if found := re.fullmatch(r"/v2/(.*/services/[^:]+):(get|set)IamPolicy", path):
            if found[2] == "set":
                self.policies[found[1]] = told["policy"]
            return self.policies.get(found[1], {"etag": "ACAB"})
        if found := re.fullmatch(r"/v1/(projects/.*)/jobs(/[^/:]+)?", path):
            return self._job(method, f"{found[1]}/jobs", (found[2] or "").strip("/"), told)
        if found := re.fullmatch(r"/v2/(projects/.*/operations/[^/]+)", path):
            with self._lock:
                return dict(self.operations[found[1]])
        if found := re.fullmatch(r"/v2/(projects/[^/]+/locations/[^/]+/functions)(/[^/]+)?", path):
            return self._function(method, found[1], (found[2] or "").strip("/") or query.get("functionId", ""), told)
        raise Refusal(404, "NOT_FOUND", f"there is no {method} {path}")

    # Storage.

    def _storage(self, method: str, path: str, query: dict[str, str], body: bytes, headers: dict[str, str]) -> Any:
        if path.startswith("/upload/session/"):
            key = path.rpartition("/")[2]
            bucket, name = self._uploads[key]
            file = self.folder / key
            with open(file, "ab") as stream:
                stream.write(body)
            span = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", headers.pop("Content-Range", "")) or [""] * 4
            if span[3] and (span[3] == "*" or int(span[2]) + 1 < int(span[3])):
                headers["Range"] = f"bytes=0-{span[2]}"
                raise Refusal(308, "", "Resume Incomplete")
            self.objects[bucket][name] = file
            return self._metadata(bucket, name)
        if (bucket_alone := re.fullmatch(r"/storage/v1/b/([^/]+)", path)) and bucket_alone[1] in self.objects:
            return {"name": bucket_alone[1], "location": "EUROPE-WEST1", "projectNumber": "1"}
        found = re.fullmatch(r"(/upload)?/storage/v1/b/([^/]+)(?:/o(/.+)?)?", path)
        assert found, path
        bucket = self.objects.get(found[2])
        if bucket is None:
            raise Refusal(404, "notFound", "The specified bucket does not exist.")
        if found[1]:
            name = query["name"] if "name" in query else json.loads(body)["name"]
            if query.get("ifGenerationMatch") == "0" and name in bucket:
                raise Refusal(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")
            assert query["uploadType"] == "resumable", query
            key = str(len(self._uploads) + 1)
            self._uploads[key] = (found[2], name)
            headers["Location"] = f"{self.address}/upload/session/{key}"
            return {}
        name = unquote((found[3] or "/")[1:])
        if method == "GET" and not name:
            names = [one for one in sorted(bucket) if one.startswith(query.get("prefix", ""))]
            return {"kind": "storage#objects", "items": [self._metadata(found[2], one) for one in names]}
        if name not in bucket:
            raise Refusal(404, "notFound", f"No such object: {found[2]}/{name}")
        if method == "DELETE":
            del bucket[name]
            return {}
        return self._metadata(found[2], name)

    def _metadata(self, bucket: str, name: str) -> dict[str, Any]:
        import google_crc32c

        data = self.objects[bucket][name].read_bytes()
        crc = base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()
        return {"name": name, "bucket": bucket, "size": str(len(data)), "crc32c": crc, "generation": "1"}

    # Functions.

    def _function(self, method: str, parent: str, short: str, told: dict[str, Any]) -> Any:
        name = f"{parent}/{short}"
        present = self.functions.get(name)
        if present is None and method in ("GET", "PATCH", "DELETE"):
            raise Refusal(404, "NOT_FOUND", f"Resource '{name}' was not found")
        if method == "GET":
            return present
        if present is not None and present["state"] == "DEPLOYING":
            raise Refusal(409, "ABORTED", f"unable to queue the operation: {name} is being changed")
        if method == "POST" and present is not None:
            raise Refusal(409, "ALREADY_EXISTS", f"Could not create {name}: it exists")
        operation = f"{parent.rpartition('/')[0]}/operations/operation-{len(self.operations) + 1}"
        self.operations[operation] = {"name": operation, "done": False}
        if method == "DELETE":
            del self.functions[name]
            self.fronts.pop(name).close()
            self._done(operation, {"response": {"@type": "type.googleapis.com/google.protobuf.Empty"}})
            return self.operations[operation]
        wanted = {**(present or {}), **told, "name": name, "state": "DEPLOYING"}
        front = self.fronts.setdefault(name, Front())
        service = name.replace("/functions/", "/services/")
        wanted["serviceConfig"] = {**wanted["serviceConfig"], "uri": front.address, "service": service}
        self.functions[name] = wanted
        threading.Thread(target=self._build, args=(name, operation), daemon=True).start()
        return self.operations[operation]

    def _build(self, name: str, operation: str) -> None:
        function = self.functions[name]
        try:
            place = self._start(function)
        except Exception as error:
            function["state"] = "FAILED"
            self._done(operation, {"error": {"code": 3, "message": f"Could not create or update: {error}"}})
            return
        # Last, as then the next command comes: it may ask the function, or delete it with its front.
        self.fronts[name].switch(place)
        function["state"] = "ACTIVE"
        self._done(operation, {"response": {"@type": _TYPE, **function}})

    def _start(self, function: dict[str, Any]) -> Place:
        build, service = function["buildConfig"], function["serviceConfig"]
        source = build["source"]["storageSource"]
        data = self.objects[source["bucket"]].get(source["object"])
        if data is None:
            raise LookupError(f"there is no object {source['object']}")
        names = zipfile.ZipFile(data).namelist()
        assert "main.py" in names, names
        environment = dict(service.get("environmentVariables", {}))
        for one in service.get("secretEnvironmentVariables", []):
            if one["secret"] not in self.secrets:
                raise LookupError(f"Permission denied on secret: {one['secret']}")
            environment[one["key"]] = self.secrets[one["secret"]]
        place = Place(data, "google", environment)
        if not place.wait():
            said = place.output.read_text()
            place.stop()
            raise RuntimeError(f"Container Healthcheck failed; it said {said[-800:]}")
        return place

    def _done(self, operation: str, how: dict[str, Any]) -> None:
        with self._lock:
            self.operations[operation] = {"name": operation, "done": True, **how}

    # Scheduler.

    def _job(self, method: str, parent: str, short: str, told: dict[str, Any]) -> Any:
        if method == "POST":
            if told["name"] in self.jobs:
                raise Refusal(409, "ALREADY_EXISTS", "Job already exists")
            self.jobs[told["name"]] = told
            return told
        name = f"{parent}/{short}"
        if name not in self.jobs:
            raise Refusal(404, "NOT_FOUND", "Job not found.")
        if method == "DELETE":
            del self.jobs[name]
            return {}
        self.jobs[name] = told
        return told

    def until(self, condition: Any, timeout_s: float = 30) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.02)
