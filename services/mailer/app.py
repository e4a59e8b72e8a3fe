"""Wires the mailer: `dramatiq services.mailer.app:setup` calls `setup` in the worker process."""

import ssl
import threading

import dramatiq
from dramatiq import Middleware, Worker

from services.common.db.engine import Database
from services.common.infra import broker, log, metrics, tracing
from services.common.infra.blobs import BlobStore
from services.common.infra.leases import Leases
from services.common.infra.messages import MAIL_QUEUE, MAILING_QUEUE
from services.common.infra.rate_limiter import RateLimiter
from services.common.infra.tokens import Tokens
from services.common.infra.worker_control import WorkerControl
from services.mailer.actors import register
from services.mailer.content.drafting import Drafting
from services.mailer.content.parts import archive_capacity
from services.mailer.content.render import Renderer
from services.mailer.content.subscriber_emails import WeeklyDrafting
from services.mailer.mailing import SendMailing
from services.mailer.mime.addresses import parse_sender
from services.mailer.mime.composer import Postbox
from services.mailer.mime.dkim import Signer
from services.mailer.mime.message import Stationery
from services.mailer.operator import Operator
from services.mailer.operator_jobs import RunOperatorJob
from services.mailer.settings import MailerSettings
from services.mailer.smtp.rate_limit import TokenBucket
from services.mailer.smtp.reply_explanations import concerns
from services.mailer.smtp.smtp_sender import SmtpLine, SmtpSender
from services.mailer.use_cases import RenewLeases, SendEmail

_log = log.get("services.mailer")


def setup() -> None:
    """Make broker, actors and what they need; nothing connects or starts before the worker boots."""
    settings = MailerSettings.load()
    log.configure(settings.log_level, settings.log_format)
    connections = settings.mailing_connections
    queues = broker.connect(settings.broker_url, MAIL_QUEUE, MAILING_QUEUE, most_held={MAILING_QUEUE: connections})
    database = Database(settings.database_url, pool_size=settings.mailer_threads + connections + 1)
    leases = Leases(RenewLeases(database))
    stopping = threading.Event()
    tokens = Tokens(*settings.signing_keys)
    postbox = make_postbox(settings)
    sender = smtp_sender(settings)
    bucket = TokenBucket(
        RateLimiter(queues.client), f"{settings.smtp_host}:{settings.smtp_port}", settings.smtp_rate, stopping
    )
    capacity = archive_capacity(settings.attachment_limit_mb)
    send_email = SendEmail(
        database=database,
        broker=queues,
        leases=leases,
        draft=Drafting(tokens, settings.public_url, capacity),
        postbox=postbox,
        sender=sender,
        bucket=bucket,
        send_seconds=settings.smtp_timeout_seconds,
        emails_per_hour=settings.emails_per_hour,
    )
    send_mailing = SendMailing(
        database=database,
        broker=queues,
        leases=leases,
        draft=WeeklyDrafting(tokens, settings.public_url),
        postbox=postbox,
        connect=lambda: SmtpLine(sender),
        bucket=bucket,
        send_seconds=settings.smtp_timeout_seconds,
        connections=connections,
    )
    operator = Operator(
        database, postbox, sender, WeeklyDrafting(tokens, settings.public_url), settings.mailing_text_dir
    )
    run_operator_job = RunOperatorJob(database, queues, operator, lambda: list(concerns(settings)), connections)
    register(queues, send_email, send_mailing, run_operator_job)
    queues.add_middleware(_Lifecycle(settings, leases, database, stopping))
    queues.add_middleware(
        WorkerControl(database, queues, {MAIL_QUEUE: settings.mailer_threads, MAILING_QUEUE: connections})
    )
    dramatiq.set_broker(queues)


def make_postbox(settings: MailerSettings) -> Postbox:
    """What writes e-mails, as it is set."""
    sender = parse_sender(settings.mail_from)
    signer = Signer.load(settings.dkim_key_file, settings.dkim_selector, sender.domain)
    reply_to = parse_sender(settings.mail_reply_to) if settings.mail_reply_to else None
    return Postbox(BlobStore(settings.blob_url), Renderer(), Stationery(sender, reply_to, signer))


def smtp_sender(settings: MailerSettings) -> SmtpSender:
    """The mail server that is set."""
    return SmtpSender(
        host=settings.smtp_host,
        port=settings.smtp_port,
        security=settings.smtp_security,
        tls=ssl.create_default_context(),
        user=settings.smtp_user,
        password=settings.smtp_password,
        timeout=settings.smtp_timeout_seconds,
    )


class _Lifecycle(Middleware):
    """Starts what the actors need before the first message, and ends it after the last."""

    def __init__(self, settings: MailerSettings, leases: Leases, database: Database, stopping: threading.Event) -> None:
        self._settings = settings
        self._leases = leases
        self._database = database
        self._stopping = stopping

    def before_worker_boot(self, _broker: dramatiq.Broker, _worker: Worker) -> None:
        self._leases.start()
        tracing.start("mailer", self._settings.traces_endpoint)
        metrics.serve("mailer", self._settings.metrics_host, self._settings.mailer_metrics_port)
        _log.info("ready")

    def before_worker_shutdown(self, _broker: dramatiq.Broker, _worker: Worker) -> None:
        # A mailing at work gives back what it has not begun.
        self._stopping.set()

    def after_worker_shutdown(self, _broker: dramatiq.Broker, _worker: Worker) -> None:
        self._leases.stop()
        self._database.close()
        tracing.stop()
