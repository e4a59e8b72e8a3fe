"""`python -m benchmarks.newsletter [--subscribers N]`: import, mail and suppress, with services killed at random.

A gateway, two mailers and two schedulers as processes, an SMTP server in this one, and an IMAP server as the mailbox of
bounces. Subscribers are imported from CSV, a mailing is run over gRPC; a bounce of each hundredth e-mail, or a
complaint about it, arrives while the others are sent, and a confirmation e-mail is requested each second. Every
subscriber must get the e-mail; a repeat is allowed for each connection that a killed mailer had, under the same
Message-ID. Prints who was reached, suppressed and repeated, how long confirmations took, seconds and MiB.
"""

import argparse
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import grpc
from imageblur.v1 import operator_newsletter_pb2 as news
from imageblur.v1 import operator_pb2
from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1 import subscription_service_pb2 as subscription
from imageblur.v1.operator_service_pb2_grpc import OperatorServiceStub
from imageblur.v1.subscription_service_pb2_grpc import SubscriptionServiceStub

from benchmarks.mail_fleet import Fleet, Sink, sink
from services.common import migrations
from services.common.db.engine import Database
from tests.support.imap import PASSWORD, USER, ImapMailbox, imap_server
from tests.support.mail_reports import bounce, complaint
from tests.support.ports import free_port
from tests.support.valkey import start_valkey

MIB = 1 << 20
CONNECTIONS = 2
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


class Confirmations:
    """Confirmation e-mails requested by strangers, and how long they took."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub = SubscriptionServiceStub(channel)
        self.asked: dict[str, float] = {}

    def ask(self) -> None:
        """Request one more."""
        address = f"waiting{len(self.asked)}@example.org"
        self.asked[address] = time.monotonic()
        self._stub.Subscribe(subscription.SubscribeRequest(email=address), timeout=60)

    def missing(self) -> bool:
        """Whether one has not arrived."""
        return not Sink.arrived.keys() >= self.asked.keys()

    def __str__(self) -> str:
        waits = sorted(Sink.arrived[address] - at for address, at in self.asked.items() if address in Sink.arrived)
        middle, late = 1000 * statistics.median(waits), 1000 * waits[int(len(waits) * 0.95)]
        arrived = f"{len(waits)} of {len(self.asked)} confirmations meanwhile"
        return f"{arrived}: p50 {middle:.0f} ms, p95 {late:.0f} ms, worst {waits[-1]:.1f} s"


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
            "IMAGEBLUR_MAX_SUBSCRIPTIONS_PER_HOUR": "0",
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
                return _measure(fleet, channel, Reports(mailbox, count), count, kill_seconds, random.Random(seed))
        finally:
            fleet.stop()
            valkey.close()


def _measure(  # noqa: PLR0917 - called once
    fleet: Fleet, channel: grpc.Channel, reports: Reports, count: int, kill_seconds: float, choose: random.Random
) -> bool:
    operator, confirmations = OperatorServiceStub(channel), Confirmations(channel)
    begin = time.monotonic()
    imported = operator.ImportSubscribers(csv(count), timeout=3600)
    import_seconds = time.monotonic() - begin
    print(
        f"{imported.confirmed:,} imported in {import_seconds:.0f} s; gateway {fleet.memory('gateway') / MIB:.0f} MiB",
        flush=True,
    )
    begin = time.monotonic()
    operator.RunMailing(pb.RunMailingRequest(request_id=str(uuid4())), timeout=60)
    peaks: list[float] = []
    next_kill = begin + kill_seconds
    while (
        mailing := operator.ListMailings(pb.ListMailingsRequest()).mailings[0]
    ).state != operator_pb2.MAILING_STATE_DONE:
        time.sleep(1)
        confirmations.ask()
        peaks.append(fleet.memory("mailer"))
        if len(peaks) % 30 == 0:
            print(f"  {time.monotonic() - begin:5.0f} s: {len(_mailed()):,} reached", flush=True)
        reports.feed(20)
        if kill_seconds and time.monotonic() > next_kill:
            fleet.kill(choose.choice(["mailer-1", "mailer-2", "scheduler-1", "scheduler-2"]))
            next_kill = time.monotonic() + choose.uniform(0.5, 1.5) * kill_seconds
    seconds = time.monotonic() - begin
    reports.feed(count)
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        counts = operator.CountSubscribers(news.CountSubscribersRequest())
        mailing = operator.ListMailings(pb.ListMailingsRequest()).mailings[0]
        settled = counts.suppressed >= reports.expected.total() and not confirmations.missing()
        if settled and mailing.soft_bounces >= count // REPORTED_EVERY // 4:
            break
        time.sleep(0.5)
    lag = time.monotonic() - reports.last_at
    mailed = _mailed()
    repeats = sum(emails.total() - 1 for emails in mailed.values())
    different = sum(len(emails) > 1 for emails in mailed.values())
    allowed = fleet.killed["mailer"] * CONNECTIONS
    quarter = max(1, len(peaks) // 4)
    print(f"{len(mailed):,} of {count:,} reached in {seconds:.0f} s ({count / seconds:.0f} e-mails/s)")
    print(f"{fleet.killed['mailer']} mailers and {fleet.killed['scheduler']} schedulers killed")
    print(f"repeats: {repeats} (allowed {allowed}), with another Message-ID: {different}")
    print(
        f"suppressed: {dict(counts.suppressions)} (reported: {dict(reports.expected)}), soft bounces: "
        f"{mailing.soft_bounces}; all {lag:.0f} s after the last report, read every {READ_SECONDS} s"
    )
    print(
        f"largest mailer {max(peaks[:quarter]) / MIB:.0f} MiB at its peak in the first quarter, "
        f"{max(peaks[-quarter:]) / MIB:.0f} in the last; gateway {fleet.memory('gateway') / MIB:.0f} MiB"
    )
    print(confirmations)
    return (
        len(mailed) == count == imported.confirmed
        and repeats <= allowed
        and not different
        and not confirmations.missing()
        and dict(counts.suppressions) == dict(reports.expected)
        and lag < 60
    )


def _mailed() -> dict[str, Counter[bytes]]:
    return {address: emails for address, emails in Sink.emails.items() if address.startswith("s")}


def main() -> None:
    """Measure with the options of the command line; exits with 1 where a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subscribers", type=int, default=100_000)
    parser.add_argument("--kill-seconds", type=float, default=20, help="about so often one is killed; 0: never")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--database-url", help="an empty database; default: SQLite")
    options = parser.parse_args()
    print(f"seed {options.seed}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))  # so that the processes are ended, too
    with tempfile.TemporaryDirectory(prefix="imageblur-") as folder:
        kept = run(Path(folder), options.subscribers, options.kill_seconds, options.seed, options.database_url)
    sys.exit(not kept)


if __name__ == "__main__":
    main()
