"""An Azure for tests, as far as the target speaks to it.

Blob Storage is the real Azurite. The resource manager is a small server behind TLS that keeps the settings of one
function app and does what Azure does when they change: it fetches the package that they name, unpacks it, and lets
Azure's worker library serve it (`azure_host.py`). Tokens come from a managed identity's address on this machine, as in
App Service, so that azure-identity itself gets them.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import certifi
import pytest

from pizzeria.ports import free_port

from .function_places import CACHE, Front, Place
from .kubernetes_tls import with_tls

SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
GROUP, APP, CONTAINER = "kitchen", "kitchen-models", "packages"
_AZURITE = "azurite@3"
_ACCOUNT = "devstoreaccount1"
# The key that every Azurite has, and that its documentation tells.
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_TOKEN = "token-of-the-test"
_CACHE = CACHE / "azurite"


def azurite() -> Path:
    """Azurite's program; installed once with npm, outside the repository."""
    program = _CACHE / "node_modules" / ".bin" / "azurite-blob"
    _CACHE.mkdir(parents=True, exist_ok=True)
    with open(_CACHE / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # this user may test twice at once
        if program.exists():
            return program
        if shutil.which("npm") is None:
            pytest.skip("npm is not installed, so Azurite (Azure's Blob Storage for tests) cannot be had")
        (_CACHE / "package.json").write_text('{"private": true}')
        command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", _AZURITE]
        ran = subprocess.run(command, cwd=_CACHE, capture_output=True, text=True, check=False, timeout=300)
        if ran.returncode or not program.exists():
            pytest.skip(f"npm cannot install Azurite: {ran.stderr[-300:]}")
        return program


class AzureCloud:
    """The state of it, and its servers."""

    def __init__(self) -> None:
        program = azurite()
        self.folder = Path(tempfile.mkdtemp(prefix="pizzeria-azure-"))
        self.settings: dict[str, str] = {"FUNCTIONS_WORKER_RUNTIME": "python", "MINE": "kept"}
        self.secrets = {"kitchen/keys": "a-key-of-sixteen-signs"}
        self.there = True
        self.refuse: tuple[int, str, str] | None = None
        self.asked: list[str] = []
        self.started: list[str] = []
        self.front = Front()
        self._starting = threading.Lock()
        port = free_port()
        self.storage = f"http://127.0.0.1:{port}/{_ACCOUNT}"
        with open(self.folder / "azurite.log", "wb") as log:
            self._azurite = subprocess.Popen(
                [
                    *(str(program), "--blobHost", "127.0.0.1", "--blobPort", str(port), "--silent"),
                    *("--skipApiVersionCheck", "--disableTelemetry", "--location", str(self.folder / "blobs")),
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        handler = self._handler()
        self._manager = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._manager.socket = with_tls(self._manager.socket, self.folder / "tls.pem")
        self._identity = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        for server in (self._manager, self._identity):
            threading.Thread(target=server.serve_forever, daemon=True).start()
        self.address = f"https://127.0.0.1:{self._manager.server_address[1]}"
        # pip and everything else that is started here must go on trusting what it trusted.
        trusted = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("PIP_CERT") or certifi.where()
        bundle = self.folder / "trusted.pem"
        bundle.write_text(Path(trusted).read_text() + (self.folder / "tls.pem").read_text())
        self._environment = mock.patch.dict(
            os.environ,
            {
                "IDENTITY_ENDPOINT": f"http://127.0.0.1:{self._identity.server_address[1]}/token",
                "IDENTITY_HEADER": "of-the-test",
                "REQUESTS_CA_BUNDLE": str(bundle),
                "AZURE_STORAGE_KEY": _KEY,
                "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential",
            },
        )
        self._environment.start()
        deadline = time.monotonic() + 240
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert self._azurite.poll() is None, (self.folder / "azurite.log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)

    def close(self) -> None:
        self._environment.stop()
        self.front.close()
        for server in (self._manager, self._identity):
            server.shutdown()
            server.server_close()
        self._azurite.terminate()
        self._azurite.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def options(self) -> dict[str, Any]:
        """Options of the target that name this place."""
        return {
            "subscription": SUBSCRIPTION,
            "resource_group": GROUP,
            "function_app": APP,
            "storage_account": _ACCOUNT,
            "container": CONTAINER,
            "url": self.front.address,
            "management_url": self.address,
            "storage_url": self.storage,
        }

    def blobs(self) -> list[str]:
        """Names of the packages."""
        return sorted(self._container().list_blob_names())

    def _container(self) -> Any:
        from azure.storage.blob import BlobServiceClient

        credential = {"account_name": _ACCOUNT, "account_key": _KEY}
        return BlobServiceClient(self.storage, credential=credential).get_container_client(CONTAINER)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        cloud = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                path = urlsplit(self.path).path
                status, found = cloud.answer(self.command, path, json.loads(body or b"{}"), self.headers)
                data = b"" if found is None else json.dumps(found).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_DELETE = _answer

        return Handler

    def answer(self, method: str, path: str, told: dict[str, Any], headers: Any) -> tuple[int, Any]:
        if path == "/token":
            assert headers["X-IDENTITY-HEADER"] == "of-the-test"
            return 200, {"access_token": _TOKEN, "expires_on": str(int(time.time()) + 3600), "token_type": "Bearer"}
        self.asked.append(f"{method} {path}")
        if headers.get("Authorization") != f"Bearer {_TOKEN}":
            return _error(401, "InvalidAuthenticationToken", "The access token is invalid.")
        if self.refuse is not None:
            return _error(*self.refuse)
        if path.startswith(f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.App/jobs/"):
            self.started.append(path.split("/")[-2])
            return 200, {}
        site = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.Web/sites/{APP}"
        if not path.startswith(site) or not self.there:
            return _error(404, "ResourceNotFound", f"The Resource 'Microsoft.Web/sites/{APP}' was not found.")
        what = (method, path.removeprefix(site))
        if what == ("GET", ""):
            properties = {"defaultHostName": f"{APP}.azurewebsites.net", "state": "Running"}
            return 200, {"id": site, "name": APP, "location": "West Europe", "properties": properties}
        if what == ("POST", "/config/appsettings/list"):
            return 200, {"name": "appsettings", "properties": self.settings}
        if what == ("PUT", "/config/appsettings"):
            changed, self.settings = told["properties"] != self.settings, dict(told["properties"])
            if changed:
                self._start()
            return 200, {"name": "appsettings", "properties": self.settings}
        if what == ("POST", "/restart"):
            return 200, None
        if what == ("POST", "/syncfunctiontriggers"):
            if self.front.broken:
                return _error(400, "BadRequest", "Encountered an error (ServiceUnavailable) from host runtime.")
            return 204, None
        if what == ("POST", "/host/default/listkeys"):
            return 200, {"masterKey": "master", "functionKeys": {"default": "azure-key"}, "systemKeys": {}}
        return _error(404, "NotFound", f"there is no {what}")

    def _start(self) -> None:
        """Run the package that the settings name, instead of the one that runs; requests wait meanwhile."""
        with self._starting:
            self.front.broken = False
            self.front.switch(None)
            package = self.settings.get("WEBSITE_RUN_FROM_PACKAGE")
            if package is None:
                self.front.broken = True
                return
            file = self.folder / "package.zip"
            with open(file, "wb") as stream:
                name = package.removeprefix(f"{self.storage}/{CONTAINER}/")
                self._container().download_blob(name).readinto(stream)
            own = {name: os.environ[name] for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER")}
            own["SSL_CERT_FILE"] = str(self.folder / "tls.pem")
            settings = {name: self._value(value) for name, value in self.settings.items()}
            place = Place(file, "azure", {**settings, **own})
            file.unlink()
            if place.wait():
                self.front.switch(place)
            else:
                self.said = place.output.read_text()
                place.stop()
                self.front.broken = True

    def _value(self, setting: str) -> str:
        if not setting.startswith("@Microsoft.KeyVault("):
            return setting
        parts = dict(one.split("=", 1) for one in setting[len("@Microsoft.KeyVault(") : -1].split(";"))
        return self.secrets[f"{parts['VaultName']}/{parts['SecretName']}"]


def _error(code: int, word: str, message: str) -> tuple[int, Any]:
    return code, {"error": {"code": word, "message": message}}
