"""The keeper itself: one service at a time, two while a newer one takes over.

A newer service is decided on when `deployment.json` names it. Until then it is given up when it fails, or when the
command that asked for it goes away; from then on the one before answers its last requests and ends, whoever still waits
for that.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pizzeria_plugins.targets import processes
from pizzeria_plugins.targets.local_keeper import deployment as disk
from pizzeria_plugins.targets.local_keeper.service import FailedError, Order, Service, describe_end

if TYPE_CHECKING:
    import psutil

_TRIES = 8
"""Starts in a row of a service that does not stay up, after which it is given up."""
_STAYS_S = 60.0
_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 30.0
_IDLE_S = 30.0
"""How long a keeper without a service waits for an order."""
_MAX_REQUEST = 16_000_000

Say = Callable[[dict[str, Any]], None]


class Keeper:
    """Keeps one deployment.

    Args:
        folder: The deployment's.
        token: Marks the keeper's own process.
        control: Path of the socket for commands.
        umask: Of the services' processes.
    """

    def __init__(self, folder: Path, token: str, control: Path, umask: int) -> None:
        self._folder, self._token, self._control, self._umask = folder, token, control, umask
        self._service: Service | None = None
        self._supervision: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._orders = asyncio.Lock()
        self._left = asyncio.Event()
        self._restarts = 0
        self._trouble = ""

    async def run(self) -> None:
        """Until it is told to go, or has no service to keep."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._left.set)  # first: who can reach it may end it
        server = await asyncio.start_unix_server(self._talk, self._control, limit=_MAX_REQUEST)
        idle = asyncio.create_task(self._leave_when_idle())
        try:
            await self._left.wait()
            idle.cancel()
            server.close()
            await self._end_all()
        finally:
            self._control.unlink(missing_ok=True)
            if self._control.parent != self._folder:
                with suppress(OSError):
                    self._control.parent.rmdir()

    # Commands.

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(answer: dict[str, Any]) -> None:
            if not writer.is_closing():
                writer.write(json.dumps(answer).encode() + b"\n")

        try:
            line = await reader.readline()
            if not line:
                return
            request = json.loads(line)
            if request["do"] == "status":
                say({"done": "status", **self._state()})
            else:
                # Nothing more is to come, so that the end of it means that the command is gone.
                gone = asyncio.ensure_future(reader.read(1))
                try:
                    await self._apply(Order.of(request), gone, say)
                finally:
                    gone.cancel()
            with suppress(OSError):
                await writer.drain()
        finally:
            with suppress(OSError):
                writer.close()

    async def _apply(self, order: Order, gone: asyncio.Future[bytes], say: Say) -> None:
        async with self._orders:
            now = self._service
            if now is not None and now.runs and now.is_ready and now.order.same_as(order):
                say({"done": "again", "pid": now.pid})
                return
            log = self._folder / disk.NEXT_LOG
            log.unlink(missing_ok=True)
            newer = self._make(order, log)
            try:
                await newer.come_up(gone)
                before = await self._decide(newer)
            except (FailedError, OSError) as error:
                failed = self._folder / disk.FAILED_LOG
                with suppress(FileNotFoundError):
                    log.replace(failed)
                message = f"{error}{describe_end(failed)}"
                if self._service is not None:
                    message += f"\nThe one before, {self._service.order.deployment.sha256[:12]}, goes on serving"
                say({"error": message, "hint": getattr(error, "hint", "")})
                return
            finally:
                if self._service is None:
                    self._left.set()
            say({"ready": newer.pid, "before": before is not None})
            if before is not None:
                await before.end(before.order.stop_timeout_s)
            await self._end_others()
            say({"done": "live", "pid": newer.pid})

    async def _decide(self, newer: Service) -> Service | None:
        """Let this service be the one, and return the one before; on an OSError, it is ended and nothing is changed."""
        try:
            self._save(newer)
        except OSError:
            await newer.end(newer.order.stop_timeout_s)
            raise
        if self._supervision is not None:
            self._supervision.cancel()
        before, self._service, self._restarts, self._trouble = self._service, newer, 0, ""
        with suppress(OSError):
            log = self._folder / disk.LOG
            if log.exists():
                log.replace(log.with_suffix(".log.1"))
            (self._folder / disk.NEXT_LOG).replace(log)
        self._supervision = asyncio.create_task(self._supervise())
        return before

    def _state(self) -> dict[str, Any]:
        service = self._service
        return {
            "pid": service.pid if service else 0,
            "ready": service is not None and service.runs and service.is_ready,
            "restarts": self._restarts,
            "trouble": self._trouble,
        }

    # The service.

    async def _supervise(self) -> None:
        """Start the service again when it ends, less and less often; give it up when it does not stay."""
        loop = asyncio.get_running_loop()
        tries, why = 0, "it ended"
        begun = loop.time()
        while True:
            before = self._service
            assert before is not None
            await before.exited()
            if loop.time() - begun > _STAYS_S:
                tries, why = 0, "it ended"
            # What it left would take connections; its workers answer what they have begun.
            self._later(before.end(before.order.stop_timeout_s))
            tries += 1
            if tries > _TRIES:
                break
            self._restarts += 1
            pause = min(_PAUSE_S * 2 ** (tries - 1), _LONGEST_PAUSE_S)
            self._trouble = f"{why}, and is started again in {pause:g} s"
            await asyncio.sleep(pause)
            again = self._make(before.order, self._folder / disk.LOG)
            self._service = again
            begun = loop.time()
            try:
                await again.come_up()
                self._save(again)
                self._trouble = ""
            except (FailedError, OSError) as error:
                why = str(error).splitlines()[0]
                self._trouble = f"{why}, and is started again"
                await again.end(0)
        self._give_up(f"given up after {_TRIES} starts in a row")

    def _give_up(self, why: str) -> None:
        service, self._service = self._service, None
        if service is not None:
            with suppress(OSError):
                self._save(service, why)
        self._left.set()

    def _make(self, order: Order, log: Path) -> Service:
        return Service(order, log, self._folder, self._control.parent, self._umask)

    def _save(self, service: Service, ended: str = "") -> None:
        told = replace(
            service.order.deployment,
            pid=service.pid,
            token=service.token,
            keeper=os.getpid(),
            keeper_token=self._token,
            control=str(self._control),
            protocol=disk.PROTOCOL,
            ended=ended,
        )
        disk.save(told, self._folder)

    # Ends.

    def _later(self, end: Any) -> None:
        task = asyncio.create_task(end)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _end_others(self) -> None:
        """End what else belongs to the deployment: what killed keepers left, and a keeper at another address."""
        service = self._service
        if service is None:
            return
        mine = {self._token, service.token}
        before = [token for token in service.order.before if token and token not in mine]

        def find() -> list[psutil.Process]:
            found = processes.others(self._folder, mine)
            return found + [process for token in before for process in processes.marked(token)]

        await asyncio.to_thread(processes.stop, find, service.order.stop_timeout_s)

    async def _end_all(self) -> None:
        if self._supervision is not None:
            self._supervision.cancel()
            with suppress(asyncio.CancelledError):
                await self._supervision
        service, self._service = self._service, None
        if service is not None:
            await service.end(service.order.stop_timeout_s)
        if self._ending:
            await asyncio.wait(self._ending)

    async def _leave_when_idle(self) -> None:
        await asyncio.sleep(_IDLE_S)
        while self._service is not None or self._orders.locked():
            await asyncio.sleep(_IDLE_S)
        self._left.set()
