"""`python -m services.scheduler`: decide what is due until SIGTERM."""

import threading
from zoneinfo import ZoneInfo

from apscheduler.events import EVENT_SCHEDULER_STARTED

from services.common import migrations
from services.common.db.engine import Database
from services.common.infra import log, metrics
from services.common.infra.blobs import BlobStore
from services.common.infra.messaging import broker
from services.common.infra.messaging.messages import (
    BLUR_QUEUE,
    FETCH_QUEUE,
    FIND_QUEUE,
    MAIL_QUEUE,
    MAILING_QUEUE,
    WEBHOOK_QUEUE,
)
from services.common.infra.process.startup import run
from services.common.infra.process.stop_requests import on_stop
from services.scheduler.jobs import schedule
from services.scheduler.settings import SchedulerSettings
from services.scheduler.start_mailings import StartMailings
from services.scheduler.sweep import Sweep
from services.scheduler.weekly_hour import WeeklyHour

_log = log.get("services.scheduler")


def main() -> None:
    """Read the settings, connect, and run the jobs."""
    settings = SchedulerSettings.load()
    log.configure(settings.log_level, settings.log_format)
    database = Database(settings.database_url)
    migrations.check(database)
    queues = broker.connect(
        settings.broker_url, BLUR_QUEUE, FIND_QUEUE, FETCH_QUEUE, MAIL_QUEUE, MAILING_QUEUE, WEBHOOK_QUEUE
    )
    hour = WeeklyHour(settings.mailing_day, settings.mailing_hour, ZoneInfo(settings.mailing_zone))
    mailings = StartMailings(database, queues, hour, settings.mailing_text_dir, settings.mailing_connections)
    sweep = Sweep(database, BlobStore(settings.blob_url), queues, settings.order_window, settings.mailing_connections)
    metrics.serve("scheduler", settings.metrics_host, settings.scheduler_metrics_port)
    scheduler = schedule(sweep, mailings, sweep_seconds=settings.sweep_seconds)

    def listen(_event: object) -> None:
        # In a thread: shutdown waits for running jobs, and a signal handler must not.
        on_stop(lambda: threading.Thread(target=scheduler.shutdown).start())

    # Before it has started, it cannot be shut down.
    scheduler.add_listener(listen, EVENT_SCHEDULER_STARTED)
    _log.info("serving", mailing=f"{settings.mailing_day} {settings.mailing_hour}:00 {settings.mailing_zone}")
    scheduler.start()
    database.close()


if __name__ == "__main__":
    run(main)
