import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.common.db.engine import Database
from services.common.infra.blobs import BlobStore
from services.common.infra.broker import Broker
from services.common.infra.leases import Leases
from services.common.infra.rate_limiter import RateLimiter
from services.common.infra.tokens import Tokens
from services.mailer.content.drafting import Drafting
from services.mailer.content.parts import archive_capacity
from services.mailer.content.render import Renderer
from services.mailer.content.subscriber_emails import WeeklyDrafting
from services.mailer.mailing import SendMailing
from services.mailer.mime.addresses import parse_sender
from services.mailer.mime.composer import Postbox
from services.mailer.mime.message import Stationery
from services.mailer.smtp.rate_limit import TokenBucket
from services.mailer.smtp.sender import Sender
from services.mailer.smtp.smtp_sender import SmtpLine, SmtpSender
from services.mailer.use_cases import RenewLeases, SendEmail
from tests.support.postgres import PostgresServer
from tests.support.smtp import SmtpSink

UNUSED_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Without authorities, which take long to load."""
MakeMailer = Callable[..., SendEmail]
MakeBulkMailer = Callable[..., SendMailing]
STATIONERY = Stationery(parse_sender("ImageBlur <blur@example.org>"))
ON_BOTH = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """SQLite; PostgreSQL too where a test is about statements (`ON_BOTH`), for it takes half a second to set up."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield f"sqlite:///{tmp_path}/imageblur.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = server.create_database()
    yield url
    server.drop_database(url)


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
        emails_per_hour: int = 1000,
    ) -> SendEmail:
        smtp = SmtpSender(smtp_sink.host, port or smtp_sink.port, "none", UNUSED_TLS, None, None, timeout=10)
        return SendEmail(
            database=database,
            broker=queues,
            leases=Leases(RenewLeases(database)),
            draft=Drafting(tokens, public_url, archive_capacity(limit_mb)),
            postbox=Postbox(blobs, Renderer(), STATIONERY),
            sender=sender or smtp,
            bucket=no_limit(queues),
            send_seconds=10,
            emails_per_hour=emails_per_hour,
        )

    return make


def no_limit(queues: Broker) -> TokenBucket:
    return TokenBucket(RateLimiter(queues.client), "sink", None, threading.Event())


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
def send(make_mailer: MakeMailer) -> SendEmail:
    return make_mailer()
