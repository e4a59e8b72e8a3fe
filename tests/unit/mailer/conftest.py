"""The mailer's use cases."""

import threading

import pytest

from services.common.db.engine import Database
from services.common.infra.leases import Leases
from services.common.infra.signing.tokens import Tokens
from services.common.use_cases.after_commit import AfterCommit
from services.mailer.content.drafter import EmailDrafter
from services.mailer.content.email_content import Content
from services.mailer.content.newsletter import NewsletterDrafter
from services.mailer.content.render import RenderedEmail
from services.mailer.mime.addresses import parse_sender
from services.mailer.mime.composer import EmailComposer
from services.mailer.mime.message import SenderIdentity
from services.mailer.sending.email_sender import EmailSender
from services.mailer.sending.send_email import SendEmail
from services.mailer.sending.send_mailing import SendMailing
from services.mailer.smtp.session import SmtpSession
from tests.support.fakes import FakeBlobs, FakeBroker
from tests.support.mail_factories import ANYONE, MAILBOXES
from tests.unit.mailer.fakes import FakeServer, NoLimit

TOKENS = Tokens("k" * 40)


def render(content: Content, locale: str) -> RenderedEmail:
    """Render without the templates."""
    return RenderedEmail(subject=content.template, text=locale, html="<p>")


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def sender(database: Database, blobs: FakeBlobs) -> EmailSender:
    identity = SenderIdentity(sender=parse_sender("ImageBlur <blur@example.org>"))
    composer = EmailComposer(blobs=blobs, render=render, identity=identity)
    return EmailSender(database=database, composer=composer, rate=NoLimit())


@pytest.fixture
def send_email(database: Database, broker: FakeBroker, sender: EmailSender, server: FakeServer) -> SendEmail:
    return SendEmail(
        database=database,
        broker=broker,
        after_commit=AfterCommit(database=database, broker=broker),
        leases=Leases(lambda _: None),
        draft=EmailDrafter(tokens=TOKENS, public_url=None, capacity=1_000_000, recipients=ANYONE),
        sender=sender,
        open_session=lambda: SmtpSession(server),
        mailboxes=MAILBOXES,
    )


@pytest.fixture
def send_mailing(database: Database, broker: FakeBroker, sender: EmailSender, server: FakeServer) -> SendMailing:
    return SendMailing(
        database=database,
        broker=broker,
        after_commit=AfterCommit(database=database, broker=broker),
        leases=Leases(lambda _: None),
        draft=NewsletterDrafter(tokens=TOKENS, public_url=None),
        sender=sender,
        open_session=lambda: SmtpSession(server),
        stopping=threading.Event(),
        connections=2,
        batch_size=10,
    )
