"""Wires the mailer: `setup` sets the broker and registers the actors."""

import json
import ssl
import threading
from collections.abc import Mapping

import dramatiq
from dramatiq import Middleware, Worker

from services.common.db.engine import Database
from services.common.domain.errors import ConfigurationError
from services.common.domain.mailboxes import MailboxHasher
from services.common.infra import log, metrics, tracing
from services.common.infra.blobs import BlobStore
from services.common.infra.leases import LEASE_SECONDS, Leases
from services.common.infra.messaging import broker
from services.common.infra.messaging.broker import Broker
from services.common.infra.messaging.messages import MAIL_QUEUE, MAILING_QUEUE, WEBHOOK_QUEUE
from services.common.infra.messaging.worker_control import WorkerControl
from services.common.infra.outbound.connect import GuardedConnect
from services.common.infra.outbound.host_shares import HostShares
from services.common.infra.outbound.https import HttpsClient
from services.common.infra.rate_limiter import RateLimiter
from services.common.infra.signing.tokens import Tokens
from services.common.infra.signing.webhook_secrets import WebhookSecrets
from services.common.use_cases.after_commit import AfterCommit
from services.common.use_cases.mail_reports import RecordMailReports
from services.common.use_cases.recipients import Recipients
from services.mailer.actors import register
from services.mailer.bounces.imap_mailbox import ImapServer
from services.mailer.bounces.read_bounces import BounceReader, ReadBounces
from services.mailer.content import email_texts, samples
from services.mailer.content.drafter import EmailDrafter
from services.mailer.content.email_texts import EmailTexts
from services.mailer.content.newsletter import NewsletterDrafter
from services.mailer.content.render import Renderer, TextError
from services.mailer.content.result_parts import archive_capacity
from services.mailer.mime.addresses import BounceAddress, parse_sender
from services.mailer.mime.composer import EmailComposer
from services.mailer.mime.dkim import DkimSigner
from services.mailer.mime.message import SenderIdentity
from services.mailer.operator_jobs.operator_emails import OperatorEmails
from services.mailer.operator_jobs.run_job import RunOperatorJob
from services.mailer.operator_jobs.settings_check import find_warnings
from services.mailer.operator_jobs.text_jobs import TextJobs
from services.mailer.sending.email_sender import EmailSender
from services.mailer.sending.leases import EMAIL_LEASE_SECONDS, RenewEmailLeases
from services.mailer.sending.send_email import SendEmail
from services.mailer.sending.send_mailing import SendMailing
from services.mailer.settings import MailerSettings
from services.mailer.smtp.deadline import StepTimeouts
from services.mailer.smtp.open_sessions import OpenSessions
from services.mailer.smtp.send_rate import SendRate
from services.mailer.smtp.server import SmtpServer
from services.mailer.webhooks.send_webhook import RenewWebhookLeases, SendWebhook

_log = log.get("services.mailer")


def setup() -> None:
    """Make the broker, the actors and their dependencies; nothing connects or starts before the worker boots."""
    settings = MailerSettings.load()
    log.configure(settings.log_level, settings.log_format)
    connections = settings.mailing_connections
    webhook_connections = settings.webhook_connections
    queues = broker.connect(
        settings.broker_url,
        MAIL_QUEUE,
        MAILING_QUEUE,
        WEBHOOK_QUEUE,
        most_held={MAILING_QUEUE: connections, WEBHOOK_QUEUE: webhook_connections},
    )
    database = Database(
        settings.database_url, pool_size=settings.mailer_threads + connections + webhook_connections + 1
    )
    stopping = threading.Event()
    tokens, mailboxes = Tokens(*settings.signing_keys), MailboxHasher(*settings.signing_keys)
    after_commit = AfterCommit(database=database, broker=queues)
    files = email_texts.read_files(settings.mail_templates_dir)
    texts = EmailTexts(database, files)
    renderer = Renderer(texts)
    _check_texts(renderer, files)
    composer, server = _composer(settings, renderer), _server(settings)
    drafter = EmailDrafter(
        tokens=tokens,
        public_url=settings.public_url,
        capacity=archive_capacity(settings.attachment_limit_mb),
        recipients=Recipients.of(settings, mailboxes),
    )
    newsletter_drafter = NewsletterDrafter(tokens=tokens, public_url=settings.public_url)
    lease_seconds = min(EMAIL_LEASE_SECONDS, settings.smtp_timeout_seconds + LEASE_SECONDS)
    leases, webhook_leases = Leases(RenewEmailLeases(database, lease_seconds)), Leases(RenewWebhookLeases(database))
    rate = _send_rate(settings, queues, stopping)
    sender = EmailSender(database=database, composer=composer, rate=rate, lease_seconds=lease_seconds)
    sessions = OpenSessions(server)
    operator_emails = OperatorEmails(
        database=database,
        composer=composer,
        server=server,
        drafter=newsletter_drafter,
        renderer=renderer,
        text_folder=settings.mailing_text_dir,
        current_texts=texts,
    )
    register(
        queues,
        send_email=SendEmail(
            database=database,
            broker=queues,
            after_commit=after_commit,
            leases=leases,
            draft=drafter,
            sender=sender,
            open_session=sessions.open,
            mailboxes=mailboxes,
            emails_per_hour=settings.emails_per_hour,
        ),
        send_mailing=SendMailing(
            database=database,
            broker=queues,
            after_commit=after_commit,
            leases=leases,
            draft=newsletter_drafter,
            sender=sender,
            open_session=sessions.open,
            stopping=stopping,
            connections=connections,
        ),
        run_operator_job=_operator_jobs(settings, after_commit, operator_emails, files),
        send_webhook=SendWebhook(
            database=database,
            after_commit=after_commit,
            leases=webhook_leases,
            client=HttpsClient(connect=GuardedConnect(allowed=settings.networks)),
            secrets=WebhookSecrets(*settings.signing_keys),
            hosts=HostShares(webhook_connections),
            stopping=stopping,
        ),
    )
    queues.add_middleware(_MailerLifecycle(settings, (leases, webhook_leases), database, stopping, sessions))
    if settings.bounce_imap_host:
        queues.add_middleware(_bounce_reader(settings, settings.bounce_imap_host, after_commit, mailboxes))
    queues.add_middleware(_worker_control(settings, database, queues))
    dramatiq.set_broker(queues)


def _check_texts(renderer: Renderer, files: Mapping[str, str]) -> None:
    """Check the operator's own templates before any e-mail is sent with them.

    Raises:
        ConfigurationError: One cannot be rendered.
    """
    for name in files:
        email, language, _ = name.split("/")
        for content in samples.sample_contents(email):
            try:
                renderer.check(content, language, files)
            except TextError as error:
                raise ConfigurationError(f"IMAGEBLUR_MAIL_TEMPLATES_DIR: {error}") from None


def _send_rate(settings: MailerSettings, queues: Broker, stopping: threading.Event) -> SendRate:
    return SendRate(
        limiter=RateLimiter(queues.client),
        server=f"{settings.smtp_host}:{settings.smtp_port}",
        rate=settings.smtp_rate,
        stopping=stopping,
    )


def _operator_jobs(
    settings: MailerSettings, after_commit: AfterCommit, operator_emails: OperatorEmails, files: Mapping[str, str]
) -> RunOperatorJob:
    return RunOperatorJob(
        database=after_commit.database,
        after_commit=after_commit,
        operator_emails=operator_emails,
        texts=TextJobs(operator_emails=operator_emails, files=files, text_folder=settings.mailing_text_dir),
        find_warnings=lambda: [warning.message for warning in find_warnings(settings)],
        time_zone=settings.mailing_zone,
        connections=settings.mailing_connections,
    )


def _worker_control(settings: MailerSettings, database: Database, queues: Broker) -> WorkerControl:
    """Return what announces this worker, and log what its settings lack."""
    warnings = list(find_warnings(settings)) if settings.mail_warnings else []
    for warning in warnings:
        _log.warning("setting", code=warning.code, message=warning.message)
    slots = {
        MAIL_QUEUE: settings.mailer_threads,
        MAILING_QUEUE: settings.mailing_connections,
        WEBHOOK_QUEUE: settings.webhook_connections,
    }
    shown = json.dumps([[it.code, it.detail, it.message] for it in warnings])
    return WorkerControl(database, queues, slots, warnings={MAIL_QUEUE: shown})


def _composer(settings: MailerSettings, renderer: Renderer) -> EmailComposer:
    sender = parse_sender(settings.mail_from)
    identity = SenderIdentity(
        sender=sender,
        reply_to=parse_sender(settings.mail_reply_to) if settings.mail_reply_to else None,
        bounces=BounceAddress.parse(settings.bounce_address) if settings.bounce_address else None,
        signer=DkimSigner.load(settings.dkim_key_file, settings.dkim_selector, sender.domain),
    )
    return EmailComposer(blobs=BlobStore(settings.blob_url), render=renderer, identity=identity)


def _bounce_reader(
    settings: MailerSettings, host: str, after_commit: AfterCommit, hasher: MailboxHasher
) -> BounceReader:
    mailbox = ImapServer(
        host=host,
        port=settings.bounce_imap_port,
        security=settings.bounce_imap_security,
        user=settings.bounce_imap_user,
        password=settings.bounce_imap_password.get_secret_value() if settings.bounce_imap_password else "",
        folder=settings.bounce_imap_folder,
    )
    record = RecordMailReports(database=after_commit.database, after_commit=after_commit, hasher=hasher)
    return BounceReader(
        ReadBounces(mailbox=mailbox, record=record), after_commit.broker.client, seconds=settings.bounce_imap_seconds
    )


def _server(settings: MailerSettings) -> SmtpServer:
    return SmtpServer(
        host=settings.smtp_host,
        port=settings.smtp_port,
        security=settings.smtp_security,
        tls=ssl.create_default_context(),
        user=settings.smtp_user,
        password=settings.smtp_password,
        timeouts=StepTimeouts(reply=settings.smtp_timeout_seconds, acceptance=settings.smtp_accept_seconds),
    )


class _MailerLifecycle(Middleware):
    """Starts what the actors need before the first message, and stops it after the last."""

    def __init__(
        self,
        settings: MailerSettings,
        leases: tuple[Leases, ...],
        database: Database,
        stopping: threading.Event,
        sessions: OpenSessions,
    ) -> None:
        self._settings = settings
        self._leases = leases
        self._database = database
        self._stopping = stopping
        self._sessions = sessions

    def before_worker_boot(self, _broker: dramatiq.Broker, _worker: Worker) -> None:
        for leases in self._leases:
            leases.start()
        tracing.start("mailer", self._settings.traces_endpoint)
        metrics.serve("mailer", self._settings.metrics_host, self._settings.mailer_metrics_port)
        _log.info("ready")

    def before_worker_shutdown(self, _broker: dramatiq.Broker, _worker: Worker) -> None:
        # Batches return the e-mails that they have not attempted.
        self._stopping.set()
        self._sessions.interrupt()

    def after_worker_shutdown(self, _broker: dramatiq.Broker, _worker: Worker) -> None:
        for leases in self._leases:
            leases.stop()
        self._database.close()
        tracing.stop()
