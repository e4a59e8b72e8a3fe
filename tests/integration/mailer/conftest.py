import ssl
import threading
from collections.abc import Callable

import pytest

from services.common.blobs import BlobStore
from services.common.broker import Broker
from services.common.db.engine import Database
from services.common.leases import Leases
from services.common.tokens import Tokens
from services.mailer.addresses import parse_sender
from services.mailer.drafting import Drafting
from services.mailer.mailing import SendMailing
from services.mailer.message import Stationery
from services.mailer.parts import archive_capacity
from services.mailer.postbox import Postbox
from services.mailer.render import Renderer
from services.mailer.senders import Sender
from services.mailer.smtp import SmtpLine, SmtpSender
from services.mailer.subscriber_letters import WeeklyDrafting
from services.mailer.token_bucket import TokenBucket
from services.mailer.use_cases import RenewLeases, SendLetter
from tests.support.smtp import SmtpSink

UNUSED_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Without authorities, which take long to load."""
MakeMailer = Callable[..., SendLetter]
MakeBulkMailer = Callable[..., SendMailing]
STATIONERY = Stationery(parse_sender("ImageBlur <blur@example.org>"))
ON_BOTH = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> str:
    """On SQLite; on PostgreSQL too where a test is about statements (`ON_BOTH`)."""
    url: str = request.getfixturevalue(f"{getattr(request, 'param', 'sqlite')}_url")
    return url


@pytest.fixture
def tokens() -> Tokens:
    return Tokens("k" * 40)


@pytest.fixture
def make_mailer(
    database: Database, queues: Broker, blobs: BlobStore, tokens: Tokens, smtp_sink: SmtpSink
) -> MakeMailer:
    """Makes the use case, over the real servers unless a sender is given."""

    def make(
        *,
        limit_mb: float = 18,
        public_url: str | None = None,
        port: int | None = None,
        sender: Sender | None = None,
        letters_per_hour: int = 1000,
    ) -> SendLetter:
        smtp = SmtpSender(smtp_sink.host, port or smtp_sink.port, "none", UNUSED_TLS, None, None, timeout=10)
        return SendLetter(
            database=database,
            broker=queues,
            leases=Leases(RenewLeases(database)),
            draft=Drafting(tokens, public_url, archive_capacity(limit_mb)),
            postbox=Postbox(blobs, Renderer(), STATIONERY),
            sender=sender or smtp,
            bucket=no_limit(queues),
            send_seconds=10,
            letters_per_hour=letters_per_hour,
        )

    return make


def no_limit(queues: Broker) -> TokenBucket:
    return TokenBucket(queues.client, "sink", None, threading.Event())


@pytest.fixture
def make_bulk_mailer(
    database: Database, queues: Broker, blobs: BlobStore, tokens: Tokens, smtp_sink: SmtpSink
) -> MakeBulkMailer:
    """Makes the use case that sends mailings, over the real servers."""

    def make(
        *,
        batch: int = 10,
        public_url: str | None = None,
        stationery: Stationery = STATIONERY,
        bucket: TokenBucket | None = None,
        connections: int = 2,
        line: Callable[[SmtpSender], SmtpLine] = SmtpLine,
    ) -> SendMailing:
        smtp = SmtpSender(smtp_sink.host, smtp_sink.port, "none", UNUSED_TLS, None, None, timeout=10)
        return SendMailing(
            database=database,
            broker=queues,
            leases=Leases(RenewLeases(database)),
            draft=WeeklyDrafting(tokens, public_url),
            postbox=Postbox(blobs, Renderer(), stationery),
            connect=lambda: line(smtp),
            bucket=bucket or no_limit(queues),
            send_seconds=10,
            connections=connections,
            batch=batch,
        )

    return make


@pytest.fixture
def send(make_mailer: MakeMailer) -> SendLetter:
    return make_mailer()
