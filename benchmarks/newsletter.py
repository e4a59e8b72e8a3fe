"""`python -m benchmarks.newsletter [--subscribers N]`: import, mail and suppress, with mailers killed at random.

A gateway, two mailers and two schedulers as processes, an SMTP server in this one, and an IMAP server as the mailbox of
bounces. Subscribers are imported from CSV, a mailing is run over gRPC; a bounce of each hundredth e-mail, or a
complaint about it, arrives while the others are sent. Prints who was reached, suppressed and repeated, seconds and MiB.
"""

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import grpc
from imageblur.v1 import operator_newsletter_pb2 as news
from imageblur.v1 import operator_pb2
from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1.operator_service_pb2_grpc import OperatorServiceStub

from benchmarks.mailing import CONNECTIONS, MIB, Fleet, Sink, measure, sink
from services.common import migrations
from services.common.db.engine import Database
from tests.support.imap import PASSWORD, USER, ImapMailbox, imap_server
from tests.support.mail_reports import bounce, complaint
from tests.support.ports import free_port
from tests.support.valkey import start_valkey

REPORTED_EVERY = 100
"""Every so many subscribers one is reported: bounced for good, for now, or complained."""
CHUNK_BYTES = 48 << 10
READ_SECONDS = 5
SETTLE_SECONDS = 300


def csv(count: int) -> Iterator[news.ImportSubscribersRequest]:
    """Yield an import of so many addresses in five time zones and two languages."""
    start = news.ImportStart(consent=news.IMPORT_CONSENT_ATTESTED, source="benchmark")
    start.consent_time.FromSeconds(1_700_000_000)
    yield news.ImportSubscribersRequest(start=start)
    zones = ("Europe/Moscow", "Europe/Paris", "Asia/Tokyo", "America/New_York", "")
    rows = ["email,language,time_zone"]
    rows += [f"s{number}@example.org,{'ru' if number % 3 else 'en'},{zones[number % 5]}" for number in range(count)]
    data = "\n".join(rows).encode()
    for begin in range(0, len(data), CHUNK_BYTES):
        yield news.ImportSubscribersRequest(data=data[begin : begin + CHUNK_BYTES])


class Reports:
    """Puts reports about e-mails that have arrived into the mailbox, once each."""

    def __init__(self, mailbox: ImapMailbox, count: int) -> None:
        self._mailbox = mailbox
        self._count = count
        self._done: set[str] = set()
        self.expected: Counter[str] = Counter()
        self.last_at = 0.0

    def feed(self, most: int) -> None:
        """Report so many of the e-mails that are due for it."""
        for number in range(0, self._count, REPORTED_EVERY):
            address = f"s{number}@example.org"
            emails = Sink.emails.get(address)
            if not emails or address in self._done:
                continue
            if not most:
                return
            most -= 1
            self._done.add(address)
            email_id = UUID(next(iter(emails)).partition(b"@")[0].decode())
            match number // REPORTED_EVERY % 4:
                case 0 | 1:
                    self._mailbox.put(bounce(email_id, status="5.1.1", verp=True))
                    self.expected["no_mailbox"] += 1
                case 2:
                    self._mailbox.put(complaint(email_id))
                    self.expected["complaint"] += 1
                case _:
                    self._mailbox.put(bounce(email_id, status="4.2.2", verp=True))
            self.last_at = time.monotonic()


def run(folder: Path, count: int, kill_seconds: float, seed: int, database_url: str | None) -> bool:
    """Measure, print, and return whether all promises were kept."""
    valkey = start_valkey(folder)
    url = database_url or f"sqlite:///{folder}/imageblur.db"
    database = Database(url)
    migrations.upgrade(database)
    database.close()
    address = f"127.0.0.1:{free_port()}"
    with sink() as port, imap_server() as mailbox:
        environment = os.environ | {
            "IMAGEBLUR_DATABASE_URL": url,
            "IMAGEBLUR_BROKER_URL": valkey.url,
            "IMAGEBLUR_BLOB_URL": str(folder / "blobs"),
            "IMAGEBLUR_SECRET_KEY": "k" * 40,
            "IMAGEBLUR_GATEWAY_ADDRESS": address,
            "IMAGEBLUR_SMTP_PORT": str(port),
            "IMAGEBLUR_SMTP_TIMEOUT_SECONDS": "5",
            "IMAGEBLUR_MAILING_CONNECTIONS": str(CONNECTIONS),
            "IMAGEBLUR_PUBLIC_URL": "https://blur.example.org",
            "IMAGEBLUR_BOUNCE_ADDRESS": "bounces+{id}@example.org",
            "IMAGEBLUR_BOUNCE_IMAP_HOST": "127.0.0.1",
            "IMAGEBLUR_BOUNCE_IMAP_PORT": str(mailbox.port),
            "IMAGEBLUR_BOUNCE_IMAP_SECURITY": "none",
            "IMAGEBLUR_BOUNCE_IMAP_USER": USER,
            "IMAGEBLUR_BOUNCE_IMAP_PASSWORD": PASSWORD,
            "IMAGEBLUR_BOUNCE_IMAP_SECONDS": str(READ_SECONDS),
            "IMAGEBLUR_LOG_LEVEL": "WARNING",
        }
        names = ("gateway-1", "mailer-1", "mailer-2", "scheduler-1", "scheduler-2")
        fleet = Fleet(environment, folder / "log", names)
        try:
            with grpc.insecure_channel(address) as channel:
                grpc.channel_ready_future(channel).result(120)
                operator = OperatorServiceStub(channel)
                return _measure(fleet, operator, Reports(mailbox, count), count, kill_seconds, random.Random(seed))
        finally:
            fleet.stop()
            valkey.close()


def _measure(  # noqa: PLR0917 - called once
    fleet: Fleet,
    operator: OperatorServiceStub,
    reports: Reports,
    count: int,
    kill_seconds: float,
    choose: random.Random,
) -> bool:
    begin = time.monotonic()
    imported = operator.ImportSubscribers(csv(count), timeout=3600)
    import_seconds = time.monotonic() - begin
    print(
        f"{imported.confirmed:,} imported in {import_seconds:.0f} s; gateway {fleet.memory('gateway') / MIB:.0f} MiB",
        flush=True,
    )
    begin = time.monotonic()
    operator.RunMailing(pb.RunMailingRequest(request_id=str(uuid4())), timeout=60)
    peak, next_kill, next_line = 0.0, begin + kill_seconds, begin
    while (
        mailing := operator.ListMailings(pb.ListMailingsRequest()).mailings[0]
    ).state != operator_pb2.MAILING_STATE_DONE:
        time.sleep(1)
        peak = max(peak, fleet.memory("mailer"))
        if time.monotonic() > next_line:
            next_line += 30
            print(f"  {time.monotonic() - begin:5.0f} s: {len(Sink.emails):,} reached", flush=True)
        reports.feed(20)
        if kill_seconds and time.monotonic() > next_kill:
            fleet.kill(choose.choice(["mailer-1", "mailer-2"]))
            next_kill = time.monotonic() + choose.uniform(0.5, 1.5) * kill_seconds
    seconds = time.monotonic() - begin
    reports.feed(count)
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        counts = operator.CountSubscribers(news.CountSubscribersRequest())
        mailing = operator.ListMailings(pb.ListMailingsRequest()).mailings[0]
        if counts.suppressed >= reports.expected.total() and mailing.soft_bounces >= count // REPORTED_EVERY // 4:
            break
        time.sleep(0.5)
    lag = time.monotonic() - reports.last_at
    repeats = sum(emails.total() - 1 for emails in Sink.emails.values())
    allowed = fleet.killed["mailer"] * CONNECTIONS
    print(f"{len(Sink.emails):,} of {count:,} reached in {seconds:.0f} s ({count / seconds:.0f} e-mails/s)")
    print(f"{fleet.killed['mailer']} mailers killed; repeats: {repeats} (allowed {allowed})")
    print(
        f"suppressed: {dict(counts.suppressions)} (reported: {dict(reports.expected)}), soft bounces: "
        f"{mailing.soft_bounces}; all {lag:.0f} s after the last report, read every {READ_SECONDS} s"
    )
    print(f"largest mailer {peak / MIB:.0f} MiB, gateway {fleet.memory('gateway') / MIB:.0f} MiB")
    return (
        len(Sink.emails) == count == imported.confirmed
        and repeats <= allowed
        and dict(counts.suppressions) == dict(reports.expected)
        and lag < 60
    )


if __name__ == "__main__":
    measure(run, __doc__, kill_seconds=20)
