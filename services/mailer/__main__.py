"""`python -m services.mailer`: send e-mails until SIGTERM."""

from services.common import migrations
from services.common.infra.messaging import dramatiq_worker
from services.common.infra.messaging.messages import MAIL_QUEUE, MAILING_QUEUE, WEBHOOK_QUEUE
from services.common.infra.process import startup
from services.mailer.app import setup
from services.mailer.settings import MailerSettings

DRAIN_SECONDS = 60
"""How long a mailer that is to stop waits for replies to e-mails that it has sent whole; others it interrupts at once.
If none comes, the e-mails are sent again, perhaps twice. Container runtimes allow no more than a minute or two."""


def main() -> None:
    """Check the settings and the database, then serve."""
    settings = MailerSettings.load()
    migrations.check_url(settings.database_url)
    dramatiq_worker.serve(
        setup,
        queues=[MAIL_QUEUE, MAILING_QUEUE, WEBHOOK_QUEUE],
        # Of each queue no more is held than it has threads: mailings and webhooks never take one of the others'.
        threads=settings.mailer_threads + settings.mailing_connections + settings.webhook_connections,
        prefetch=settings.mailer_threads,
        drain_seconds=int(min(DRAIN_SECONDS, settings.smtp_accept_seconds)) + 5,
    )


if __name__ == "__main__":
    startup.run(main)
