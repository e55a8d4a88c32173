"""A Lambda of one's own: the runtime API on this machine, and AWS's own bootstrap (awslambdaric) that runs an unzipped
function against it, with nothing importable but what AWS brings and what the zip holds.

What is real: the zip, the bootstrap, the events. What is not: AWS's machines, their limits and their freezing.
"""

from __future__ import annotations

import atexit
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

_API = "/2018-06-01/runtime"
_BOOTSTRAP = """
import sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
sys.argv = ["bootstrap", "lambda_function.handler"]
from awslambdaric.__main__ import main
main(sys.argv)
"""


def bootstrap_folder(folder: Path) -> Path:
    """What AWS's runtime of Python brings along, and nothing else of this environment."""
    if find_spec("awslambdaric") is None:
        pytest.skip("awslambdaric is not installed: functions of AWS Lambda are NOT TESTED")
    if not folder.is_dir():
        folder.mkdir(parents=True)
        for name in ("awslambdaric", "snapshot_restore_py", "simplejson"):
            for file in distribution(name).files or ():
                top = file.parts[0]
                if not top.startswith(("..", "__pycache__")) and not (folder / top).exists():
                    (folder / top).symlink_to(Path(str(distribution(name).locate_file(top))))
    return folder


@cache
def kept_packages() -> Path:
    """Installed packages and zips of functions, for all tests of this process: a folder for `<state>/.functions`."""
    folder = Path(tempfile.mkdtemp(prefix="pizzeria-functions-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A function that was stopped hangs up."""


class Instance:
    """One process of a function, which answers one event after the other.

    Args:
        task: Folder of the unzipped function.
        bootstrap: From `bootstrap_folder`.
        environment: Its variables.
        python: The interpreter.
        command: What runs instead of the bootstrap, as in an image with an entry point of its own.

    Attributes:
        log: What it wrote.
    """

    def __init__(
        self,
        task: Path,
        bootstrap: Path,
        environment: dict[str, str] | None = None,
        python: str = sys.executable,
        command: list[str] | None = None,
    ) -> None:
        self._events: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self._answers: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.log = task.parent / f"{task.name}-{uuid.uuid4().hex[:6]}.log"
        variables = {
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._server.server_port}",
            "LAMBDA_TASK_ROOT": str(task),
            "AWS_LAMBDA_FUNCTION_NAME": "amenities",
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
            "AWS_REGION": "eu-west-1",
            "PATH": "/usr/bin:/bin",
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            **(environment or {}),
        }
        self.begun = time.perf_counter()
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                command or [python, "-I", "-S", "-B", "-c", _BOOTSTRAP, str(bootstrap), str(task)],
                env=variables,
                cwd=task,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def invoke(self, event: Any, timeout_s: float = 60) -> tuple[str, Any]:
        """Send an event; `response`, `error` or `init`, and what was answered."""
        with self._lock:
            name = str(uuid.uuid4())
            self._events.put((name, json.dumps(event).encode()))
            until = time.monotonic() + timeout_s
            while True:
                try:
                    kind, body = self._answers.get(timeout=0.2)
                    return kind, json.loads(body)
                except queue.Empty:
                    if self.process.poll() is not None and self._answers.empty():
                        return "init", {"errorType": "Runtime.ExitError", "errorMessage": self.log.read_text()[-2000:]}
                    assert time.monotonic() < until, self.log.read_text()

    def stop(self) -> None:
        """As AWS does: without a word."""
        self.process.kill()
        self.process.wait()
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        instance = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 1 << 16  # head and body in one packet, or each answer waits 40 ms for its other half
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                assert self.path == f"{_API}/invocation/next"
                name, event = instance._events.get()
                self._send(200, event, {"Lambda-Runtime-Aws-Request-Id": name})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                kind = self.path.rpartition("/")[2]
                instance._answers.put(("init" if "/init/" in self.path else kind, body))
                self._send(202, b"{}", {})

            def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                deadline = str(int(1000 * (time.time() + 60)))
                arn = "arn:aws:lambda:eu-west-1:123456789012:function:amenities"
                common = {"Lambda-Runtime-Deadline-Ms": deadline, "Lambda-Runtime-Invoked-Function-Arn": arn}
                for key, value in {**common, **headers, "Content-Length": str(len(body))}.items():
                    self.send_header(key, value)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


def versions_here() -> str:
    """Version of this Python, as Lambda names it."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def quiet_environment() -> dict[str, str]:
    """Credentials that no cloud knows."""
    return {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
