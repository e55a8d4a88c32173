"""AWS for tests: moto's server for Lambda, IAM, S3, CloudWatch and EventBridge, where what is invoked really runs.

moto keeps functions, versions and aliases, and runs no code. So `Invoke` is answered here: the zip of the version is
unzipped, and AWS's own bootstrap runs it (`lambda_runtime`). An alias with weights sends its requests in turn.
"""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import threading
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from .lambda_runtime import Instance, bootstrap_folder

_INVOKE = re.compile(r"^/2015-03-31/functions/([^/]+)/invocations$")
ACCOUNT = "123456789012"
REGION = "eu-west-1"


class Cloud:
    """Runs in this process; `address` is for AWS_ENDPOINT_URL.

    Attributes:
        invoked: Versions that were asked, in order.
        refuse: Called with method, path and body of each request; a (status, code, message) that it returns is AWS's
            answer.
    """

    def __init__(self, folder: Path) -> None:
        moto = pytest.importorskip("moto", reason="moto is not installed: aws_lambda is NOT TESTED against AWS's API")
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import WSGIRequestHandler, make_server

        assert moto
        self._folder = folder
        self._bootstrap = bootstrap_folder(folder / "bootstrap")
        self._backend = DomainDispatcherApplication(create_backend_app)
        self._instances: dict[tuple[str, str], Instance] = {}
        self._lock = threading.Lock()
        self._turn = 0.0
        self.invoked: list[str] = []
        self.refuse: Any = lambda method, path, body: None
        self.calls: list[tuple[str, str]] = []

        class Quiet(WSGIRequestHandler):
            def log(self, *_: Any) -> None:
                pass

        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=Quiet)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        for one in self._instances.values():
            one.stop()
        self._server.shutdown()
        self._server.server_close()

    def reset(self) -> None:
        """Forget everything."""
        from moto.backends import get_backend

        for one in self._instances.values():
            one.stop()
        self._instances.clear()
        self.invoked.clear()
        self.calls.clear()
        self.refuse = lambda method, path, body: None
        for service in ("lambda", "iam", "s3", "logs", "events", "cloudwatch"):
            for accounts in get_backend(service).values():
                for backend in accounts.values():
                    backend.reset()

    def functions(self) -> Any:
        """moto's own of Lambda."""
        from moto.awslambda.utils import get_backend

        return get_backend(ACCOUNT, REGION)

    def _answer(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        self.calls.append((method, path))
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length)
        environ["wsgi.input"] = io.BytesIO(body)
        refused = self.refuse(method, path, body)
        if refused is not None:
            status, code, message = refused
            text = json.dumps({"__type": code, "Message": message, "message": message}).encode()
            headers = [("Content-Type", "application/json"), ("x-amzn-ErrorType", code)]
            start(f"{status} {code}", [*headers, ("Content-Length", str(len(text)))])
            return [text]
        found = _INVOKE.match(path)
        if found is None:
            result: Iterable[bytes] = self._backend(environ, start)
            return result
        return self._invoke(found[1], parse_qs(environ["QUERY_STRING"])["Qualifier"][0], json.loads(body), start)

    def _invoke(self, name: str, qualifier: str, event: Any, start: Any) -> Iterable[bytes]:
        try:
            version = self._version(name, qualifier)
            function = self.functions().get_function(name, version)
        except Exception:
            start(
                "404 Not Found",
                [("Content-Type", "application/json"), ("x-amzn-ErrorType", "ResourceNotFoundException")],
            )
            return [b'{"Type":"User","Message":"Function not found"}']
        self.invoked.append(version)
        with self._lock:
            key = (name, f"{version}-{function.code_sha_256[:12].replace('/', '_')}")
            instance = self._instances.get(key)
            if instance is None or instance.process.poll() is not None:
                task = self._folder / f"{name}-{key[1]}"
                if not task.is_dir():
                    with zipfile.ZipFile(io.BytesIO(function.code_bytes)) as archive:
                        archive.extractall(task)
                instance = self._instances[key] = Instance(task, self._bootstrap, dict(function.environment_vars))
        kind, answer = instance.invoke(event)
        body = json.dumps(answer).encode()
        tail = base64.b64encode(instance.log.read_bytes()[-4000:]).decode()
        headers = [("Content-Type", "application/json"), ("X-Amz-Log-Result", tail), ("Content-Length", str(len(body)))]
        if kind != "response":
            headers.append(("X-Amz-Function-Error", "Unhandled"))
        start("200 OK", headers)
        return [body]

    def _version(self, name: str, qualifier: str) -> str:
        if qualifier.isdigit() or qualifier == "$LATEST":
            return qualifier
        alias = self.functions().get_alias(qualifier, name)
        weights = (alias.routing_config or {}).get("AdditionalVersionWeights") or {}
        for version, share in weights.items():
            self._turn += float(share)
            if self._turn >= 1:
                self._turn -= 1
                return str(version)
        return str(alias.function_version)


def forget(folder: Path) -> None:
    """Delete what a cloud unzipped."""
    shutil.rmtree(folder, ignore_errors=True)
