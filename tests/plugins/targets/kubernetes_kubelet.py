"""A kubelet that starts the real command of a pod as a process of this machine, and runs its startup probe."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pizzeria.ports import free_port
from pizzeria_plugins.targets.container_image import inside
from pizzeria_plugins.targets.kubernetes_objects import places

from .kubernetes_controllers import Answered, Waiting

_PROBE_EVERY_S = 0.3


@dataclass
class Process:
    """A pod's container as a process."""

    process: subprocess.Popen[bytes]
    port: int
    probe: list[str]
    output: Path
    ready: bool = False
    _probing: subprocess.Popen[bytes] | None = None
    _next: float = 0

    def state(self) -> Waiting | bool:
        if self.process.poll() is not None:
            return "CrashLoopBackOff", f"it ended with {self.process.returncode}"
        if self.ready:
            return True
        if self._probing is None and time.monotonic() >= self._next:
            quiet = subprocess.DEVNULL
            self._probing = subprocess.Popen(self.probe, stdout=quiet, stderr=quiet)
        elif self._probing is not None and self._probing.poll() is not None:
            self.ready = self._probing.returncode == 0
            self._probing, self._next = None, time.monotonic() + _PROBE_EVERY_S
        return self.ready

    def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answered:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)) as connection:
            connection.request(method, target, body or None, {**headers, "Connection": "close"})
            answer = connection.getresponse()
            return answer.status, answer.read()

    def log(self) -> str:
        return self.output.read_text(errors="replace")

    def stop(self) -> None:
        if self.process.poll() is None:
            time.sleep(1)  # as preStop does, there for 5 s: requests on their way still come
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(120)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()


@dataclass
class RealKubelet:
    """What a node does, without an image: the paths of the image stand for those of this machine."""

    folder: Path
    bundles: dict[str, Path] = field(default_factory=dict)
    """The bundle in the image that was pushed, by its sha256."""
    _count: int = 0

    def start(self, template: Mapping[str, Any], settings: Mapping[str, str]) -> Process:
        container = template["spec"]["containers"][0]
        self._count += 1
        home = self.folder / f"pod-{self._count}"
        (home / "scratch").mkdir(parents=True)
        sha256 = template["metadata"]["annotations"]["pizzeria/bundle-sha256"]
        shutil.copytree(self.bundles[sha256], home / "payload" / "bundle")
        port = free_port()
        program = Path(inside.__file__).with_name("healthy.py")
        here = {
            str(places.PAYLOAD): str(home / "payload"),
            places.PYTHON: sys.executable,
            places.PROBE: str(program),
            str(places.SCRATCH): str(home / "scratch"),
            str(places.STATE): str(home / "state"),
        }

        def local(text: str) -> str:
            found = re.sub(f"({'|'.join(map(re.escape, here))})(?![\\w.-])", lambda one: here[one[1]], text)
            return found.replace("$$", "$")

        def word(text: str) -> str:
            return str(port) if text == str(places.PORT) else local(text)

        output = home / "log"
        with open(output, "wb") as stream:
            process = subprocess.Popen(
                [word(text) for text in container["command"]],
                env={"PATH": os.environ["PATH"], **{key: local(value) for key, value in settings.items()}},
                stdout=stream,
                stderr=subprocess.STDOUT,
                cwd=home / "payload",
            )
        return Process(process, port, [word(text) for text in container["startupProbe"]["exec"]["command"]], output)
