"""Wires the mailer: `dramatiq services.mailer.app:setup` calls `setup` in the worker process."""

import ssl

import dramatiq
from dramatiq import Middleware, Worker

from services.common import broker, log, metrics, tracing
from services.common.blobs import BlobStore
from services.common.db.engine import Database
from services.common.leases import Leases
from services.common.messages import MAIL_QUEUE
from services.common.tokens import Tokens
from services.mailer.actors import register
from services.mailer.addresses import parse_sender
from services.mailer.drafting import Drafting
from services.mailer.parts import archive_capacity
from services.mailer.postbox import Postbox
from services.mailer.render import Renderer
from services.mailer.settings import MailerSettings
from services.mailer.smtp import SmtpSender
from services.mailer.use_cases import PrepareMailing, RenewLeases, SendLetter

_log = log.get("services.mailer")


def setup() -> None:
    """Make broker, actors and what they need; nothing connects or starts before the worker boots."""
    settings = MailerSettings.load()
    log.configure(settings.log_level, settings.log_format)
    queues = broker.connect(settings.broker_url, MAIL_QUEUE)
    database = Database(settings.database_url, pool_size=settings.mailer_threads + 1)
    leases = Leases(RenewLeases(database))
    send_letter = SendLetter(
        database=database,
        broker=queues,
        leases=leases,
        draft=Drafting(
            Tokens(settings.secret_key.get_secret_value()),
            settings.public_url,
            archive_capacity(settings.attachment_limit_mb),
        ),
        postbox=Postbox(BlobStore(settings.blob_url), Renderer(), parse_sender(settings.mail_from)),
        sender=smtp_sender(settings),
        send_seconds=settings.smtp_timeout_seconds,
    )
    register(queues, send_letter, PrepareMailing(database, queues))
    queues.add_middleware(_Lifecycle(settings, leases, database))
    dramatiq.set_broker(queues)


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

    def __init__(self, settings: MailerSettings, leases: Leases, database: Database) -> None:
        self._settings = settings
        self._leases = leases
        self._database = database

    def before_worker_boot(self, _broker: dramatiq.Broker, _worker: Worker) -> None:
        self._leases.start()
        tracing.start("mailer", self._settings.traces_endpoint)
        metrics.serve("mailer", self._settings.metrics_host, self._settings.mailer_metrics_port)
        _log.info("ready")

    def after_worker_shutdown(self, _broker: dramatiq.Broker, _worker: Worker) -> None:
        self._leases.stop()
        self._database.close()
        tracing.stop()
