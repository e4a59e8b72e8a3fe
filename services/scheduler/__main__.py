"""`python -m services.scheduler`: decide what is due until SIGTERM; with a command, what it says, then end."""

import argparse
import signal
import sys
import threading
from datetime import UTC, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from services.common import migrations
from services.common.db.engine import Database
from services.common.domain.errors import NotFound
from services.common.infra import broker, log, metrics
from services.common.infra.blobs import BlobStore
from services.common.infra.broker import Broker
from services.common.infra.messages import BLUR_QUEUE, MAIL_QUEUE, MAILING_QUEUE
from services.common.infra.startup import run
from services.scheduler.jobs import schedule
from services.scheduler.mailing_table import describe
from services.scheduler.mailings import Mailings
from services.scheduler.settings import SchedulerSettings
from services.scheduler.sweep import Sweep
from services.scheduler.weekly_schedule import WeeklyHour

_log = log.get("services.scheduler")


def main() -> None:
    """Read the settings, then serve, or do what the command says."""
    arguments = _parse()
    settings = SchedulerSettings.load()
    log.configure(settings.log_level, settings.log_format)
    database = Database(settings.database_url)
    migrations.check(database)
    queues = broker.connect(settings.broker_url, BLUR_QUEUE, MAIL_QUEUE, MAILING_QUEUE)
    hour = WeeklyHour(settings.mailing_day, settings.mailing_hour, ZoneInfo(settings.mailing_zone))
    mailings = Mailings(database, queues, hour, settings.mailing_text_dir, settings.mailing_connections)
    match arguments.command:
        case "run-mailing":
            print(f"mailing {mailings.order_now(datetime.now(UTC))} ordered")
        case "mailings":
            print(describe(mailings.progress()))
        case "cancel-mailing":
            try:
                mailings.cancel(arguments.mailing)
            except NotFound as error:
                sys.exit(str(error))
            print(f"mailing {arguments.mailing} cancelled: e-mails on their way may still arrive")
        case _:
            _serve(settings, database, queues, mailings)
    database.close()


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m services.scheduler")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.add_parser("serve", help="decide what is due until SIGTERM (the default)")
    commands.add_parser("run-mailing", help="order a mailing to all subscribers now")
    commands.add_parser("mailings", help="show the newest mailings and how far they are")
    cancel = commands.add_parser("cancel-mailing", help="send no more of a mailing")
    cancel.add_argument("mailing", type=UUID, help="its id")
    return parser.parse_args()


def _serve(settings: SchedulerSettings, database: Database, queues: Broker, mailings: Mailings) -> None:
    sweep = Sweep(database, BlobStore(settings.blob_url), queues, settings.order_window, settings.mailing_connections)
    metrics.serve("scheduler", settings.metrics_host, settings.scheduler_metrics_port)
    scheduler = schedule(sweep, mailings, sweep_seconds=settings.sweep_seconds)

    def stop(*_: object) -> None:
        # From a thread: it waits for the jobs under way, and a signal handler must not.
        threading.Thread(target=scheduler.shutdown).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    _log.info("serving", mailing=f"{settings.mailing_day} {settings.mailing_hour}:00 {settings.mailing_zone}")
    scheduler.start()


if __name__ == "__main__":
    run(main)
