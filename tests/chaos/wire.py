"""The line between one operator and the API server, to be cut or to go dead.

Bytes pass through as they are; TLS is between the two ends. When a dead line is healed, its connections are gone with
all that was under way on them.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import Future
from typing import Any
from urllib.parse import urlsplit

LOOPBACK = "127.0.0.1"


class Wire:
    """Listens on a port of its own as long as it is open; works in a thread of its own."""

    def __init__(self, server: str) -> None:
        target = urlsplit(server)
        self._target = str(target.hostname), int(target.port or 443)
        self._alive = asyncio.Event()
        self._alive.set()
        self.passed = 0
        """Bytes so far, both ways."""
        self._ends: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="wire", daemon=True)
        self._thread.start()
        self.server = f"https://{LOOPBACK}:{self._call(self._listen())}"

    def cut(self) -> None:
        """End every connection now; new ones are made as they come."""
        self._call(self._cut())

    def die(self) -> None:
        """From now on nothing passes, and nobody is told."""
        self._call(self._set(alive=False))

    def heal(self) -> None:
        self._call(self._set(alive=True))
        self.cut()

    def close(self) -> None:
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def _call(self, what: Any) -> Any:
        future: Future[Any] = asyncio.run_coroutine_threadsafe(what, self._loop)
        return future.result(10)

    async def _listen(self) -> int:
        server = await asyncio.start_server(self._connected, LOOPBACK, 0)
        return int(server.sockets[0].getsockname()[1])

    async def _set(self, *, alive: bool) -> None:
        self._alive.set() if alive else self._alive.clear()

    async def _cut(self) -> None:
        for writer in list(self._ends):
            writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._ends.add(writer)
        try:
            await self._alive.wait()
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            self._ends.discard(writer)
            writer.transport.abort()
            return
        self._ends.add(far_writer)
        both = [
            asyncio.create_task(self._pump(reader, far_writer)),
            asyncio.create_task(self._pump(far_reader, writer)),
        ]
        self._tasks.update(both)
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for end in (writer, far_writer):
            end.close() if self._alive.is_set() else end.transport.abort()
            self._ends.discard(end)
        for task in both:
            task.cancel()
            self._tasks.discard(task)

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(1 << 16):
                if not self._alive.is_set():
                    await self._alive.wait()
                    return  # what came while the line was dead is lost, and so is the connection
                self.passed += len(data)
                target.write(data)
                await target.drain()
