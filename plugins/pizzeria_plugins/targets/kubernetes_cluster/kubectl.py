"""The cluster by kubectl: `kubectl apply --server-side` for what is made, `kubectl proxy` for what is asked.

The proxy listens on a socket in a folder that only this user can enter, and ends with this process.
"""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from pizzeria.errors import DeploymentError
from pizzeria_plugins.targets.kubernetes_cluster.api import Answer, Cluster, Unreachable, refusal
from pizzeria_plugins.targets.kubernetes_objects.identity import MANAGER
from pizzeria_plugins.targets.kubernetes_objects.options import Options
from pizzeria_plugins.targets.kubernetes_objects.workload import Object

_START_S = 60
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def words(options: Options) -> list[str]:
    """`kubectl` with the cluster that the options name."""
    chosen = [("--kubeconfig", options.kubeconfig), ("--context", options.context)]
    return ["kubectl", *(f"{flag}={value}" for flag, value in chosen if value is not None)]


def apply_words(options: Options, force: bool) -> list[str]:
    """The command that applies, without what it applies."""
    conflicts = ["--force-conflicts"] if force else []
    return [*words(options), "apply", "--server-side", f"--field-manager={MANAGER}", *conflicts]


class KubectlCluster(Cluster):
    """Requests through `kubectl proxy`, which knows every way to log in that kubectl knows."""

    def __init__(self, options: Options) -> None:
        super().__init__(options.namespace)
        self._options = options
        self._folder = Path(tempfile.mkdtemp(prefix="pizzeria-kubectl-"))  # mode 0700
        self._socket = self._folder / "api"
        self._errors = self._folder / "errors"
        try:
            self._proxy = self._start()
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    def _start(self) -> subprocess.Popen[bytes]:
        with open(self._errors, "wb") as errors:
            process = subprocess.Popen(
                [*words(self._options), "proxy", f"--unix-socket={self._socket}"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                preexec_fn=partial(_die_with_parent, os.getpid()) if sys.platform == "linux" else None,
            )
        begun = time.monotonic()
        while not self._socket.exists():
            if process.poll() is not None or time.monotonic() - begun > _START_S:
                process.kill()
                process.wait()
                raise DeploymentError(
                    f"kubectl cannot be used: {self._errors.read_text(errors='replace').strip() or 'it says nothing'}",
                    hint="kubectl config get-contexts lists what is there; deployment.context=... names one",
                )
            time.sleep(0.01)
        return process

    def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None, timeout_s: float = 15
    ) -> Answer:
        connection = _SocketConnection(self._socket, timeout_s)
        with contextlib.closing(connection):
            try:
                connection.request(method, path, body or None, dict(headers or {}))
                answer = connection.getresponse()
                found = Answer(answer.status, answer.read())
            except (OSError, http.client.HTTPException) as error:
                raise _unreachable(str(error) or type(error).__name__) from error
        # The proxy's own words are no JSON; an answer of the service behind the API may be none either.
        if found.status in (500, 502) and not found.json() and "/proxy/" not in path:
            raise _unreachable(found.message)
        return found

    def apply(self, objects: Sequence[Object], *, force: bool) -> None:
        """As `Cluster.apply`, by kubectl itself; the objects go in by its standard input, since one may be a secret."""
        if not objects:
            return
        text = "\n".join(json.dumps(self.placed(each)) for each in objects)
        done = subprocess.run(
            [*apply_words(self._options, force), "-f", "-"],
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
        )
        if done.returncode == 0:
            return
        said = done.stderr.strip() or done.stdout.strip()
        what = f"{len(objects)} objects" if len(objects) > 1 else objects[0]["kind"]
        if "onnection refused" in said or "no such host" in said or "i/o timeout" in said:
            raise _unreachable(said)
        if "forbidden" in said:
            raise DeploymentError(
                f"the cluster does not allow it: {said}",
                hint="docs/deployment/kubernetes.md has the Role that deploying needs",
            )
        status = 404 if "not found" in said or "no matches for kind" in said else 0
        raise refusal(what, status, said)

    def close(self) -> None:
        self._proxy.terminate()
        try:
            self._proxy.wait(5)
        except subprocess.TimeoutExpired:
            self._proxy.kill()
            self._proxy.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


class _SocketConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _unreachable(why: str) -> Unreachable:
    return Unreachable(
        f"the Kubernetes API cannot be reached: {why}",
        hint="kubectl cluster-info; deployment.context and deployment.kubeconfig name another cluster",
    )


def _die_with_parent(parent: int) -> None:
    """Runs in the child: a deploy that is killed must leave no open way into the cluster behind."""
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGTERM)
    if os.getppid() != parent:  # it was killed before this was asked for
        os._exit(1)
