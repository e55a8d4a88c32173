"""One service of a deployment, as its keeper sees it: started, ready, ended."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pizzeria_plugins.targets import processes
from pizzeria_plugins.targets.local_keeper.deployment import Deployment

LISTENER = 3
"""The file descriptor of the listening socket, in the keeper and in each service."""


class FailedError(Exception):
    """A service that did not come up.

    Attributes:
        hint: What to do about it.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True)
class Order:
    """What a command asks for: a service, and what it may take."""

    deployment: Deployment
    environment: dict[str, str] = field(repr=False)
    """All of it; it may hold secrets, and is nowhere but in memory."""
    secrets: Sequence[str]
    """Names of the variables among them whose values matter to the service."""
    ready_timeout_s: float
    stop_timeout_s: float
    before: Sequence[str]
    """Tokens of what served before, under whatever name the deployment's folder had then."""

    @staticmethod
    def of(request: Mapping[str, Any]) -> Order:
        return Order(
            Deployment(**request["deployment"]),
            dict(request["environment"]),
            list(request["secrets"]),
            float(request["ready_timeout_s"]),
            float(request["stop_timeout_s"]),
            list(request["before"]),
        )

    def same_as(self, other: Order) -> bool:
        """Whether both ask for the same service with the same secrets."""
        return self.deployment.same_as(other.deployment) and self._values() == other._values()

    def _values(self) -> dict[str, str | None]:
        return {name: self.environment.get(name) for name in self.secrets}


class Service:
    """A service on the keeper's socket.

    Args:
        log: Gets its output.
        home: The deployment's folder.
        room: Folder for a socket, with a short path.
        umask: Of its process.
    """

    def __init__(self, order: Order, log: Path, home: Path, room: Path, umask: int) -> None:
        self.order = order
        self.token = uuid.uuid4().hex
        self.is_ready = False
        self._log, self._home, self._umask = log, home, umask
        self._notices = room / f"ready-{self.token[:8]}.sock"
        self._said: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._process: asyncio.subprocess.Process | None = None
        self._exit: asyncio.Task[int] | None = None

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    @property
    def runs(self) -> bool:
        return self._exit is not None and not self._exit.done()

    async def start(self) -> None:
        """Start its processes.

        Raises:
            FailedError: the program cannot be run.
        """
        deployment = self.order.deployment
        environment = {
            **self.order.environment,
            **deployment.environment,
            **processes.marks(self.token, self._home),
            "LISTEN_FDS": "1",
            "NOTIFY_SOCKET": str(self._notices),
        }
        environment.pop("LISTEN_PID", None)
        try:
            with open(self._log, "ab") as stream:
                self._process = await asyncio.create_subprocess_exec(
                    *deployment.argv,
                    env=environment,
                    cwd=deployment.folder,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=stream,
                    stderr=stream,
                    start_new_session=True,
                    pass_fds=(LISTENER,),
                    umask=self._umask,
                )
        except OSError as error:
            raise FailedError(f"the service {deployment.name} cannot be started: {error}") from error
        self._exit = asyncio.create_task(self._process.wait())

    async def come_up(self, given_up: asyncio.Future[Any] | None = None) -> None:
        """Start it, and return once it is ready with the bundle that it is to serve.

        Args:
            given_up: Done when nobody waits for it any more.

        Raises:
            FailedError: it does not come up; its processes are gone then.
        """
        try:
            with self._listening():
                await self.start()
                await self._until_ready(given_up)
            self.is_ready = True
        except BaseException:
            # Of several workers, one may be answering already.
            await asyncio.shield(self.end(self.order.stop_timeout_s))
            raise

    async def exited(self) -> None:
        """Return when its first process is gone."""
        if self._exit is not None:
            await asyncio.shield(self._exit)

    async def end(self, patience_s: float) -> None:
        """Let it answer its last requests, and go; killed after so many seconds."""
        await asyncio.to_thread(processes.stop, lambda: processes.marked(self.token), patience_s)

    async def _until_ready(self, given_up: asyncio.Future[Any] | None) -> None:
        wanted, limit_s = self.order.deployment, self.order.ready_timeout_s
        assert self._exit is not None
        awaited: set[asyncio.Future[Any]] = {self._said, self._exit}
        if given_up is not None:
            awaited.add(given_up)
        await asyncio.wait(awaited, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        if given_up is not None and given_up.done():
            raise FailedError("the command that asked for it is gone")
        if self._exit.done():
            raise FailedError(f"the service {wanted.name} ended before it was ready")
        if not self._said.done():
            hint = "give it longer with deployment.ready_timeout_s=..."
            raise FailedError(f"the service {wanted.name} was not ready after {limit_s:g} s", hint)
        found = self._said.result()
        if found not in ("", wanted.sha256):
            raise FailedError(f"it answers with bundle {found[:12]}, and {wanted.sha256[:12]} was deployed")

    @contextlib.contextmanager
    def _listening(self) -> Any:
        """Hear what the service says of itself."""
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
            notices.setblocking(False)
            notices.bind(str(self._notices))
            loop.add_reader(notices, self._hear, notices)
            try:
                yield
            finally:
                loop.remove_reader(notices)
                self._notices.unlink(missing_ok=True)

    def _hear(self, notices: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            lines = notices.recv(8192).decode(errors="replace").splitlines()
            said = dict(line.split("=", 1) for line in lines if "=" in line)
            if said.get("READY") == "1" and not self._said.done():
                self._said.set_result(said.get("X_SHA256", ""))


def describe_end(log: Path, lines: int = 20) -> str:
    """The end of a log, to go behind a message."""
    with contextlib.suppress(OSError):
        found = log.read_text(errors="replace").splitlines()[-lines:]
        if found:
            return "\n".join([f"; the end of {log}:", *(f"    {line}" for line in found)])
    return f"; {log} is empty"
