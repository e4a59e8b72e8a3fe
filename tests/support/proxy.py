"""A TCP proxy between two services, as the network that can be cut, stalled and delayed."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Self

_PIECE = 1 << 16


class Proxy:
    """Listens on a free port of loopback, in a thread of its own, and forwards to `target`.

    target: a host and a port, or the path of a unix socket.
    """

    def __init__(self, target: tuple[str, int] | Path) -> None:
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._delay = 0.0
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def heal(self) -> None:
        """Forward everything at once: what was stalled goes on, and who was cut off may connect again."""
        self._run(self._set(flowing=True, delay=0.0))

    def cut(self) -> None:
        """End all connections as an RST does, and refuse new ones."""
        self._run(self._cut())

    def reset(self) -> None:
        """End all connections as an RST does; new ones are welcome."""
        self._run(self._abort())

    def stall(self) -> None:
        """Forward nothing; connections stay open, and new ones are accepted."""
        self._run(self._set(flowing=False, delay=0.0))

    def delay(self, seconds: float) -> None:
        """Forward each piece so many seconds later, in both directions."""
        self._run(self._set(flowing=True, delay=seconds))

    def _run(self, what: Coroutine[None, None, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _set(self, *, flowing: bool, delay: float) -> None:
        self._delay = delay
        if flowing:
            self._flowing.set()
        else:
            self._flowing.clear()
        if self._server is None:
            await self._listen()

    async def _cut(self) -> None:
        if self._server:
            self._server.close()
            self._server = None
        await self._abort()

    async def _abort(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def _close(self) -> None:
        await self._cut()
        tasks = asyncio.all_tasks(self._loop) - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            self._open.add(writer)
            try:
                await self._flowing.wait()
                there_reader, there = await self._connect()
            except OSError:
                writer.transport.abort()
                return
            finally:
                self._open.discard(writer)
            self._open |= {writer, there}
            try:
                await asyncio.gather(self._forward(reader, there), self._forward(there_reader, writer))
            finally:
                self._open -= {writer, there}
                writer.transport.abort()
                there.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._target, Path):
            return await asyncio.open_unix_connection(self._target)
        return await asyncio.open_connection(*self._target)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_PIECE):
            if self._delay:
                await asyncio.sleep(self._delay)
            await self._flowing.wait()
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
