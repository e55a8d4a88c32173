"""Owns a port and passes each connection on to the service that a file names, so that services can take turns.

python -I front.py HOST PORT FILE

FILE holds HOST:PORT and is replaced in one step. Every new connection reads it: connections that are open go on with
the service that they have. On SIGTERM it takes no new connection, and ends when the open ones have, or after a while.
"""

import asyncio
import contextlib
import signal
import sys
from pathlib import Path

_CHUNK = 1 << 16
_PATIENCE_S = 10.0
"""How long a connection waits for a service that does not listen, such as one that is being started again."""
_LAST_S = 30.0


class Front:
    """Passes connections on."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.open: set[asyncio.Future[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, to its end."""
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.open.add(over)
        try:
            behind = await self._connect()
            if behind is not None:
                await asyncio.gather(_pass(reader, behind[1]), _pass(behind[0], writer))
                await _close(behind[1])
        finally:
            await _close(writer)
            over.set_result(None)
            self.open.discard(over)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        until = asyncio.get_running_loop().time() + _PATIENCE_S
        while True:
            with contextlib.suppress(OSError, ValueError):
                host, port = self._file.read_text().strip().rsplit(":", 1)
                return await asyncio.open_connection(host, int(port), limit=_CHUNK)
            if asyncio.get_running_loop().time() > until:
                return None
            await asyncio.sleep(0.1)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until the one side says that it is done, which the other is told; a reset ends both."""
    try:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        writer.close()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def main(host: str, port: int, file: Path) -> None:
    """Until SIGTERM."""
    over = asyncio.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(one, over.set)
    front = Front(file)
    server = await asyncio.start_server(front.serve, host, port, limit=_CHUNK, backlog=2048)
    print(f"listening on {host}:{port}", flush=True)
    await over.wait()
    server.close()
    if front.open:
        await asyncio.wait(set(front.open), timeout=_LAST_S)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))
