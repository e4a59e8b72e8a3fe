"""`python -m benchmarks.mailing [--subscribers N]`: a mailing, with mailers and schedulers killed at random.

Two mailers and two schedulers as processes, an SMTP server in this one. Every subscriber must get the e-mail; a repeat
is allowed for each connection that a killed mailer had, and carries the same Message-ID. Confirmation
e-mails are requested meanwhile, and timed.
"""

import argparse
import asyncio
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar
from uuid import uuid4

import psutil
from sqlalchemy import insert, select

from services.common import migrations
from services.common.db.clock import from_datetime
from services.common.db.engine import Database
from services.common.db.mail import mailings, subscribers
from services.common.db.models import Mailing, Subscriber
from services.common.infra.messaging import broker
from services.common.infra.messaging.messages import MAIL_QUEUE, MAILING_QUEUE, send_email, send_mailing
from services.common.use_cases.newsletter_content import compose_content
from tests.support.valkey import start_valkey

MIB = 1 << 20
CONNECTIONS = 2
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

    def __init__(
        self,
        environment: dict[str, str],
        log: Path,
        names: Sequence[str] = ("mailer-1", "mailer-2", "scheduler-1", "scheduler-2"),
    ) -> None:
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


def subscribe(database: Database, count: int) -> None:
    """So many confirmed subscribers, every third of whom reads Russian."""
    for begin in range(0, count, 5000):
        with database.write() as session:
            session.execute(
                insert(Subscriber),
                [
                    {
                        "id": uuid4(),
                        "email_key": f"s{number}@example.org",
                        "email": f"s{number}@example.org",
                        "locale": "en" if number % 3 else "ru",
                        "state": "CONFIRMED",
                    }
                    for number in range(begin, min(count, begin + 5000))
                ],
            )


def confirm(database: Database, queues: broker.Broker, number: int) -> float:
    """Enqueue a confirmation e-mail; return when."""
    address = f"waiting{number}@example.org"
    with database.write() as session:
        email = subscribers.subscribe(session, email=address, email_key=address, locale="en", confirm=True)
    assert email
    begin = time.monotonic()
    queues.send([send_email(email)])
    return begin


def run(folder: Path, count: int, kill_seconds: float, seed: int, database_url: str | None) -> bool:
    """Measure, print, and return whether all promises were kept."""
    choose = random.Random(seed)
    valkey = start_valkey(folder)
    url = database_url or f"sqlite:///{folder}/imageblur.db"
    database = Database(url)
    migrations.upgrade(database)
    subscribe(database, count)
    with sink() as port:
        environment = os.environ | {
            "IMAGEBLUR_DATABASE_URL": url,
            "IMAGEBLUR_BROKER_URL": valkey.url,
            "IMAGEBLUR_BLOB_URL": str(folder / "blobs"),
            "IMAGEBLUR_SECRET_KEY": "k" * 40,
            "IMAGEBLUR_SMTP_PORT": str(port),
            "IMAGEBLUR_SMTP_TIMEOUT_SECONDS": "5",
            "IMAGEBLUR_MAILING_CONNECTIONS": str(CONNECTIONS),
            "IMAGEBLUR_PUBLIC_URL": "https://blur.example.org",
            "IMAGEBLUR_LOG_LEVEL": "WARNING",
        }
        queues = broker.connect(valkey.url, MAIL_QUEUE, MAILING_QUEUE)
        fleet = Fleet(environment, folder / "log")
        try:
            kept = _watch(fleet, database, queues, count=count, kill_seconds=kill_seconds, choose=choose)
        finally:
            fleet.stop()
            database.close()
            valkey.close()
    return kept


def _watch(
    fleet: Fleet, database: Database, queues: broker.Broker, *, count: int, kill_seconds: float, choose: random.Random
) -> bool:
    until = datetime.now(UTC)
    with database.write() as session:
        content = compose_content(session, until, None)
        mailing_id = mailings.insert_mailing(
            session, period=f"manual:{uuid4()}", due_at=from_datetime(until), content=content
        )
    assert mailing_id
    queues.send([send_mailing(mailing_id)] * CONNECTIONS)
    begin = time.monotonic()
    asked: dict[str, float] = {}
    peaks: list[float] = []
    next_kill = begin + kill_seconds
    while _state(database) == "SENDING":
        time.sleep(1)
        asked[f"waiting{len(asked)}@example.org"] = confirm(database, queues, len(asked))
        peaks.append(fleet.memory("mailer"))
        if kill_seconds and time.monotonic() > next_kill:
            fleet.kill(choose.choice([*fleet.processes]))
            next_kill = time.monotonic() + choose.uniform(0.5, 1.5) * kill_seconds
        if len(peaks) % 30 == 0:
            print(f"  {time.monotonic() - begin:5.0f} s: {len(Sink.arrived) - len(asked):,} reached", flush=True)
    seconds = time.monotonic() - begin
    deadline = time.monotonic() + 60
    while not Sink.arrived.keys() >= asked.keys() and time.monotonic() < deadline:
        time.sleep(0.1)
    return _report(fleet, asked, peaks, count, seconds)


def _report(fleet: Fleet, asked: dict[str, float], peaks: list[float], count: int, seconds: float) -> bool:
    mailing = {address: emails for address, emails in Sink.emails.items() if address.startswith("s")}
    repeats = sum(emails.total() - 1 for emails in mailing.values())
    different = sum(len(emails) > 1 for emails in mailing.values())
    allowed = fleet.killed["mailer"] * CONNECTIONS
    waits = sorted(Sink.arrived[address] - at for address, at in asked.items() if address in Sink.arrived)
    quarter = max(1, len(peaks) // 4)
    print(f"{count:,} subscribers, {len(mailing):,} reached in {seconds:.0f} s: {count / seconds:.0f} emails/s")
    print(f"killed: {fleet.killed['mailer']} mailers, {fleet.killed['scheduler']} schedulers")
    print(f"repeats: {repeats} (allowed {allowed}), with another Message-ID: {different}")
    print(
        f"largest mailer process: {max(peaks[:quarter]) / MIB:.0f} MiB at its peak in the first quarter, "
        f"{max(peaks[-quarter:]) / MIB:.0f} in the last"
    )
    print(
        f"{len(waits)} of {len(asked)} confirmations meanwhile: median {statistics.median(waits) * 1000:.0f} ms, "
        f"p95 {waits[int(len(waits) * 0.95)] * 1000:.0f} ms, worst {waits[-1] * 1000:.0f} ms"
    )
    return len(mailing) == count and repeats <= allowed and not different and len(waits) == len(asked)


def _state(database: Database) -> str:
    with database.read() as session:
        return session.scalars(select(Mailing.state)).one()


def measure(
    run: Callable[[Path, int, float, int, str | None], bool], description: str | None, *, kill_seconds: float
) -> None:
    """Measure with the options of the command line; exits with 1 where a promise was broken."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--subscribers", type=int, default=100_000)
    parser.add_argument(
        "--kill-seconds", type=float, default=kill_seconds, help="about so often one is killed; 0: never"
    )
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--database-url", help="an empty database; default: SQLite")
    options = parser.parse_args()
    print(f"seed {options.seed}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))  # so that the processes are ended, too
    with tempfile.TemporaryDirectory(prefix="imageblur-") as folder:
        kept = run(Path(folder), options.subscribers, options.kill_seconds, options.seed, options.database_url)
    sys.exit(not kept)


if __name__ == "__main__":
    measure(run, __doc__, kill_seconds=10)
