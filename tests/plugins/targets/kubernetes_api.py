"""A small Kubernetes API over HTTP, in memory: what kubectl and the Python client need of it to deploy for real."""

from __future__ import annotations

import itertools
import json
import re
import socketserver
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

from .kubernetes_controllers import Answered, Controller, Kubelet, Pod
from .kubernetes_discovery import RESOURCES, discovery
from .kubernetes_store import Refused, Store
from .kubernetes_tls import with_tls

TOKEN, WEAK_TOKEN = "a-token-of-the-test", "a-token-that-may-only-read"
_OBJECT = re.compile(r"/(?:api/(?P<core>v1)|apis/(?P<group>[^/]+/[^/]+))/namespaces/(?P<ns>[^/]+)/(?P<rest>.+)")
_PROXY = re.compile(r"(?P<what>services|pods)/(?P<name>[^/:]+):(?P<port>\d+)/proxy(?P<target>/.*)?")


class Api:
    """The API, its store and its controller; a kubeconfig leads to it."""

    def __init__(self, folder: Path, kubelet: Any | None = None) -> None:
        self.store = Store()
        self.kubelet = kubelet or Kubelet()
        self.controller = Controller(self.store, self.kubelet)
        self.namespaces = {"default", "kitchen"}
        self.seen: list[tuple[str, str]] = []
        self.out_of_breath = 0
        """So many requests to come are answered with 503."""
        self._turn = itertools.count()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._certificate = folder / "api.pem"
        self._server.socket = with_tls(self._server.socket, self._certificate)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.port = self._server.server_address[1]
        self.kubeconfig = self._write_kubeconfig(folder / "kubeconfig", TOKEN)
        self.weak_kubeconfig = self._write_kubeconfig(folder / "weak", WEAK_TOKEN)

    def __enter__(self) -> Api:
        self.controller.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.controller.stop()
        self._server.shutdown()
        self._server.server_close()

    def _write_kubeconfig(self, path: Path, token: str) -> str:
        # kubectl sends no token where there is no TLS.
        cluster = {"server": f"https://127.0.0.1:{self.port}", "certificate-authority": str(self._certificate)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "small",
            "clusters": [{"name": "small", "cluster": cluster}],
            "users": [{"name": "me", "user": {"token": token}}],
            "contexts": [{"name": "small", "context": {"cluster": "small", "user": "me"}}],
        }
        path.write_text(yaml.safe_dump(config))
        return str(path)

    def answer(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """One request, whoever sent it."""
        split = urlsplit(url)
        query = {key: values[0] for key, values in parse_qs(split.query).items()}
        self.seen.append((method, split.path))
        try:
            if self.out_of_breath > 0:
                self.out_of_breath -= 1
                raise Refused(503, "ServiceUnavailable", "the server is currently unable to handle the request")
            self._check_user(method, headers.get("authorization", ""), split.path)
            discovered = discovery(split.path)
            if discovered is not None:
                return 200, json.dumps(discovered).encode()
            found = _OBJECT.fullmatch(split.path)
            if found is None:
                raise Refused(404, "NotFound", "the server could not find the requested resource")
            namespace, rest = unquote(found["ns"]), unquote(found["rest"])
            proxied = _PROXY.fullmatch(rest)
            if proxied is not None:
                target = (proxied["target"] or "/") + (f"?{split.query}" if split.query else "")
                return self._pass_on(namespace, proxied["what"], proxied["name"], method, target, headers, body)
            return self._on_object(method, namespace, found["core"] or found["group"], rest.split("/"), query, body)
        except Refused as refused:
            return refused.status, json.dumps(refused.body).encode()

    def _check_user(self, method: str, authorization: str, path: str) -> None:
        token = authorization.removeprefix("Bearer ")
        if token not in (TOKEN, WEAK_TOKEN):
            raise Refused(401, "Unauthorized", "Unauthorized")
        if token == WEAK_TOKEN and method != "GET":
            what = path.rsplit("/", 2)[-2]
            raise Refused(403, "Forbidden", f'{what} is forbidden: User "me" cannot patch resource "{what}"')

    def _on_object(
        self, method: str, namespace: str, version: str, rest: list[str], query: Mapping[str, str], body: bytes
    ) -> tuple[int, bytes]:
        plural, name = rest[0], rest[1] if len(rest) > 1 else ""
        kind = RESOURCES.get(version, {}).get(plural)
        if kind is None:
            raise Refused(404, "NotFound", "the server could not find the requested resource")
        if rest[2:] == ["log"]:
            return 200, self.controller.pods[name].log().encode()
        if method == "GET" and name:
            return 200, json.dumps(self.store.get(plural, namespace, name)).encode()
        if method == "GET":
            wanted = dict(pair.split("=", 1) for pair in query.get("labelSelector", "").split(",") if pair)
            items = self.store.list(plural, namespace, wanted)
            named = query.get("fieldSelector", "").partition("metadata.name=")[2]
            items = [each for each in items if not named or each["metadata"]["name"] == named]
            return 200, json.dumps(
                {"kind": f"{kind}List", "apiVersion": version, "metadata": {}, "items": items}
            ).encode()
        if method == "DELETE":
            self.store.delete(plural, namespace, name)
            return 200, json.dumps({"kind": "Status", "apiVersion": "v1", "status": "Success"}).encode()
        if method == "PATCH":
            if namespace not in self.namespaces:
                raise Refused(404, "NotFound", f'namespaces "{namespace}" not found')
            document = yaml.safe_load(body)
            force = query.get("force") == "true"
            each, new = self.store.apply(plural, namespace, name, document, query["fieldManager"], force)
            return 201 if new else 200, json.dumps(each).encode()
        raise Refused(405, "MethodNotAllowed", f"{method} is not supported")

    def _pass_on(
        self, namespace: str, what: str, name: str, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Answered:
        # As the real one, the API keeps the credentials of its own to itself.
        passed = {key: value for key, value in headers.items() if key not in ("authorization", "host")}
        pod = self.controller.pods[name] if what == "pods" else self.pod_of(namespace, name)
        return pod.send(method, target, passed, body)

    def pod_of(self, namespace: str, service: str) -> Pod:
        """A ready pod behind a Service, each in turn."""
        if service.endswith("-predictor"):
            isvc = self.store.get("inferenceservices", namespace, service.removesuffix("-predictor"))
            selector = isvc["spec"]["predictor"]["labels"]
        else:
            selector = self.store.get("services", namespace, service)["spec"]["selector"]
        ready = self.controller.ready(namespace, selector)
        if not ready:
            raise Refused(503, "ServiceUnavailable", f'no endpoints available for service "{service}"')
        return ready[next(self._turn) % len(ready)]

    def through_gateway(
        self, namespace: str, route: str, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Answered:
        """A client's request, split by the weights of a route."""
        backends = self.store.get("httproutes", namespace, route)["spec"]["rules"][0]["backendRefs"]
        place = next(self._turn) * 37 % sum(each["weight"] for each in backends)
        for each in backends:
            place -= each["weight"]
            if place < 0:
                return self.pod_of(namespace, each["name"]).send(method, target, headers, body)
        raise AssertionError(backends)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed says no good-bye."""


def _handler(api: Api) -> type[socketserver.BaseRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 16  # head and body in one packet

        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if "watch=true" in self.path or "watch=1" in self.path:
                self._watch()
                return
            headers = {key.lower(): value for key, value in self.headers.items()}
            status, content = api.answer(self.command, self.path, headers, body)
            self.send_response(status)
            kind = "application/json" if content[:1] == b"{" else "text/plain"
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _watch(self) -> None:
            """Each object as it is, and again whenever it has changed, until the client goes."""
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Connection", "close")
            self.end_headers()
            seen: dict[str, str] = {}
            self.close_connection = True
            url = re.sub(r"&?watch=(true|1)", "", self.path)
            while api.controller.running:
                _, content = api.answer("GET", url, {key.lower(): value for key, value in self.headers.items()}, b"")
                listed = json.loads(content)
                for each in listed.get("items", []):
                    each |= {"kind": listed["kind"].removesuffix("List"), "apiVersion": listed["apiVersion"]}
                    name, text = each["metadata"]["name"], json.dumps(each)
                    if seen.get(name) != text:
                        event = {"type": "MODIFIED" if name in seen else "ADDED", "object": each}
                        self.wfile.write(json.dumps(event).encode() + b"\n")
                        self.wfile.flush()
                        seen[name] = text
                time.sleep(0.05)

        do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = _do

        def log_message(self, *_: Any) -> None: ...

    return Handler


def until(condition: Any, timeout_s: float = 120) -> None:
    """Wait for something that happens by itself."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
