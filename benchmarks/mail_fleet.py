"""Mailers, schedulers and a mail server for `benchmarks.newsletter`: processes that are killed and started again."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import psutil

_MESSAGE_ID = re.compile(rb"^Message-ID:\s*<([^>]+)>", re.IGNORECASE | re.MULTILINE)


class Sink(asyncio.Protocol):
    """As little of an SMTP server as takes e-mails, and remembers who got which."""

    emails: ClassVar[defaultdict[str, Counter[bytes]]] = defaultdict(Counter)
    arrived: ClassVar[dict[str, float]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._buffer, self._recipient, self._in_data = transport, b"", "", False
        transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        """Answer what is complete."""
        self._buffer += data
        while True:
            end, mark = (b"\r\n.\r\n", 5) if self._in_data else (b"\r\n", 2)
            at = self._buffer.find(end)
            if at < 0:
                return
            piece, self._buffer = self._buffer[:at], self._buffer[at + mark :]
            self._transport.write(self._take(piece) if self._in_data else self._answer(piece))

    def _answer(self, line: bytes) -> bytes:
        command = line[:4].upper()
        if command == b"RCPT":
            self._recipient = line.partition(b"<")[2].partition(b">")[0].decode()
        if command == b"DATA":
            self._in_data = True
            return b"354 go on\r\n"
        return b"250-sink\r\n250 SIZE\r\n" if command == b"EHLO" else b"250 ok\r\n"

    def _take(self, email: bytes) -> bytes:
        self._in_data = False
        match = _MESSAGE_ID.search(email)
        assert match
        self.emails[self._recipient][match[1]] += 1
        self.arrived.setdefault(self._recipient, time.monotonic())
        return b"250 kept\r\n"


@contextmanager
def sink() -> Iterator[int]:
    """The server's port."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_server(Sink, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield server.sockets[0].getsockname()[1]
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


class Fleet:
    """The processes, which are started again when they were killed."""

    def __init__(self, environment: dict[str, str], log: Path, names: Sequence[str]) -> None:
        self._environment = environment
        self._log = log.open("ab")
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.killed: Counter[str] = Counter()
        for name in names:
            self._start(name)

    def _start(self, name: str) -> None:
        module = f"services.{name.partition('-')[0]}"
        self.processes[name] = subprocess.Popen(
            [sys.executable, "-m", module], env=self._environment, stderr=self._log, start_new_session=True
        )

    def kill(self, name: str) -> None:
        """Kill -9 all of it, and start it anew."""
        os.killpg(self.processes[name].pid, signal.SIGKILL)
        self.processes[name].wait()
        self.killed[name.partition("-")[0]] += 1
        self._start(name)

    def memory(self, kind: str) -> float:
        """Resident bytes of the largest process of a kind."""
        found = []
        for name, process in self.processes.items():
            if name.startswith(kind):
                try:
                    of = psutil.Process(process.pid)
                    found += [one.memory_info().rss for one in (of, *of.children(recursive=True))]
                except psutil.Error:
                    continue
        return max(found, default=0)

    def stop(self) -> None:
        """End all of it."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait()
        self._log.close()
