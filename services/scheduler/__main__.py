"""`python -m services.scheduler`: decide what is due until SIGTERM.

`python -m services.scheduler run-mailing`: order a mailing to all subscribers now.
"""

import argparse
import signal
import threading
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from services.common import broker, log, metrics, migrations
from services.common.blobs import BlobStore
from services.common.db.engine import Database
from services.common.messages import BLUR_QUEUE, MAIL_QUEUE
from services.common.startup import run
from services.scheduler.jobs import schedule
from services.scheduler.mailings import Mailings
from services.scheduler.settings import SchedulerSettings
from services.scheduler.sweep import Sweep
from services.scheduler.weekly import WeeklyHour

_log = log.get("services.scheduler")


def main() -> None:
    """Read the settings, then serve, or do what the command says."""
    parser = argparse.ArgumentParser(prog="python -m services.scheduler")
    parser.add_argument("command", nargs="?", choices=["serve", "run-mailing"], default="serve")
    command = parser.parse_args().command

    settings = SchedulerSettings.load()
    log.configure(settings.log_level, settings.log_format)
    database = Database(settings.database_url)
    migrations.check(database)
    queues = broker.connect(settings.broker_url, BLUR_QUEUE, MAIL_QUEUE)
    hour = WeeklyHour(settings.mailing_day, settings.mailing_hour, ZoneInfo(settings.mailing_zone))
    mailings = Mailings(database, queues, hour)
    if command == "run-mailing":
        print(f"mailing {mailings.order_now(datetime.now(UTC))} ordered")
        return
    sweep = Sweep(database, BlobStore(settings.blob_url), queues, settings.order_window)
    metrics.serve("scheduler", settings.metrics_host, settings.scheduler_metrics_port)
    scheduler = schedule(sweep, mailings, sweep_seconds=settings.sweep_seconds)

    def stop(*_: object) -> None:
        # From a thread: it waits for the jobs under way, and a signal handler must not.
        threading.Thread(target=scheduler.shutdown).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    _log.info("serving", mailing=f"{settings.mailing_day} {settings.mailing_hour}:00 {settings.mailing_zone}")
    scheduler.start()
    database.close()


if __name__ == "__main__":
    run(main)
