import ssl
import threading
from collections.abc import Callable

import pytest

from services.common.db.engine import Database
from services.common.infra.blobs import BlobStore
from services.common.infra.leases import Leases
from services.common.infra.messaging.broker import Broker
from services.common.infra.rate_limiter import RateLimiter
from services.common.infra.signing.tokens import Tokens
from services.common.use_cases.after_commit import AfterCommit
from services.common.use_cases.recipients import Recipients
from services.mailer.content.drafter import EmailDrafter
from services.mailer.content.newsletter import NewsletterDrafter
from services.mailer.content.render import Renderer
from services.mailer.content.result_parts import archive_capacity
from services.mailer.mime.addresses import parse_sender
from services.mailer.mime.composer import EmailComposer
from services.mailer.mime.message import SenderIdentity
from services.mailer.sending.email_sender import EmailSender
from services.mailer.sending.leases import RenewEmailLeases
from services.mailer.sending.send_email import SendEmail
from services.mailer.sending.send_mailing import SendMailing
from services.mailer.smtp.deadline import StepTimeouts
from services.mailer.smtp.send_rate import SendRate
from services.mailer.smtp.server import SmtpServer
from services.mailer.smtp.session import SmtpSession
from services.scheduler.expired_leases import ExpiredLeases
from services.scheduler.sweep import Sweep
from tests.support.mail_factories import ANYONE, MAILBOXES
from tests.support.smtp import SmtpSink

UNUSED_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Without certificate authorities, which take long to load."""
MakeMailer = Callable[..., SendEmail]
MakeBulkMailer = Callable[..., SendMailing]
IDENTITY = SenderIdentity(sender=parse_sender("ImageBlur <blur@example.org>"))
ON_BOTH = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> str:
    """SQLite; PostgreSQL too where a test is about statements (`ON_BOTH`)."""
    url: str = request.getfixturevalue(f"{getattr(request, 'param', 'sqlite')}_url")
    return url


@pytest.fixture
def tokens() -> Tokens:
    return Tokens("k" * 40)


def smtp_server(sink: SmtpSink, port: int | None = None) -> SmtpServer:
    return SmtpServer(
        host=sink.host,
        port=port or sink.port,
        security="none",
        tls=UNUSED_TLS,
        timeouts=StepTimeouts(reply=30, acceptance=30),
    )


def email_sender(
    database: Database, blobs: BlobStore, rate: SendRate, identity: SenderIdentity = IDENTITY
) -> EmailSender:
    composer = EmailComposer(blobs=blobs, render=Renderer(), identity=identity)
    return EmailSender(database=database, composer=composer, rate=rate)


@pytest.fixture
def make_mailer(
    database: Database, queues: Broker, blobs: BlobStore, tokens: Tokens, smtp_sink: SmtpSink
) -> MakeMailer:
    """Makes the use case that sends single e-mails, over the real servers."""

    def make(
        *,
        limit_mb: float = 18,
        public_url: str | None = None,
        port: int | None = None,
        emails_per_hour: int = 1000,
        recipients: Recipients = ANYONE,
    ) -> SendEmail:
        return SendEmail(
            database=database,
            broker=queues,
            after_commit=AfterCommit(database=database, broker=queues),
            leases=Leases(RenewEmailLeases(database)),
            draft=EmailDrafter(
                tokens=tokens, public_url=public_url, capacity=archive_capacity(limit_mb), recipients=recipients
            ),
            sender=email_sender(database, blobs, no_limit(queues)),
            open_session=lambda: SmtpSession(smtp_server(smtp_sink, port)),
            mailboxes=MAILBOXES,
            emails_per_hour=emails_per_hour,
        )

    return make


def no_limit(queues: Broker) -> SendRate:
    return SendRate(limiter=RateLimiter(queues.client), server="sink", rate=None, stopping=threading.Event())


@pytest.fixture
def make_bulk_mailer(
    database: Database, queues: Broker, blobs: BlobStore, tokens: Tokens, smtp_sink: SmtpSink
) -> MakeBulkMailer:
    """Makes the use case that sends mailings, over the real servers."""

    def make(
        *,
        batch_size: int = 10,
        public_url: str | None = None,
        identity: SenderIdentity = IDENTITY,
        connections: int = 2,
        open_session: Callable[[SmtpServer], SmtpSession] = SmtpSession,
    ) -> SendMailing:
        return SendMailing(
            database=database,
            broker=queues,
            after_commit=AfterCommit(database=database, broker=queues),
            leases=Leases(RenewEmailLeases(database)),
            draft=NewsletterDrafter(tokens=tokens, public_url=public_url),
            sender=email_sender(database, blobs, no_limit(queues), identity),
            open_session=lambda: open_session(smtp_server(smtp_sink)),
            stopping=threading.Event(),
            connections=connections,
            batch_size=batch_size,
        )

    return make


@pytest.fixture
def send(make_mailer: MakeMailer) -> SendEmail:
    return make_mailer()


@pytest.fixture
def sweep(database: Database, blobs: BlobStore, queues: Broker) -> Sweep:
    """One that gives up leases as soon as they have expired."""
    return Sweep(database, blobs, queues, window=1, mailing_connections=2, expired_leases=ExpiredLeases(0))
