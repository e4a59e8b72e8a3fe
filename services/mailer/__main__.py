"""`python -m services.mailer`: send letters until SIGTERM."""

from services.common import migrations, startup, worker
from services.common.messages import MAIL_QUEUE
from services.mailer.settings import MailerSettings


def main() -> None:
    """Check the settings and the database, then serve."""
    settings = MailerSettings.load()
    migrations.check_url(settings.database_url)
    worker.serve(
        "services.mailer.app:setup",
        queue=MAIL_QUEUE,
        threads=settings.mailer_threads,
        drain_seconds=settings.smtp_timeout_seconds + 5,
    )


if __name__ == "__main__":
    startup.run(main)
