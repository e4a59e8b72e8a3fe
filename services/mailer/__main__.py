"""`python -m services.mailer`: send e-mails until SIGTERM."""

from services.common import migrations
from services.common.infra import dramatiq_worker, startup
from services.common.infra.messages import MAIL_QUEUE, MAILING_QUEUE
from services.mailer.app import setup
from services.mailer.settings import MailerSettings


def main() -> None:
    """Check the settings and the database, then serve."""
    settings = MailerSettings.load()
    migrations.check_url(settings.database_url)
    dramatiq_worker.serve(
        setup,
        queues=[MAIL_QUEUE, MAILING_QUEUE],
        # Of each queue no more is held than it has threads: a mailing never takes one of the others'.
        threads=settings.mailer_threads + settings.mailing_connections,
        prefetch=settings.mailer_threads,
        drain_seconds=settings.smtp_timeout_seconds + 5,
    )


if __name__ == "__main__":
    startup.run(main)
