"""What runs when, by APScheduler. A job that fails is told and runs again at its next time."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from apscheduler.schedulers.blocking import BlockingScheduler

from services.common.domain.errors import ImageBlurError
from services.common.infra import log
from services.scheduler import metrics
from services.scheduler.mailings import Mailings
from services.scheduler.sweep import Sweep

WEEKLY_CHECK_SECONDS = 60
BLOBS_SECONDS = 30
EXPIRY_SECONDS = 300
BACKLOG_SECONDS = 10

_log = log.get(__name__)


def schedule(sweep: Sweep, mailings: Mailings, *, sweep_seconds: float) -> BlockingScheduler:
    """A scheduler with all jobs, each due at once and then at its interval; not started yet."""
    scheduler = BlockingScheduler(
        timezone=UTC,
        # Late is better than never, and one late run is enough.
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    for name, job, seconds in (
        ("images", sweep.images, sweep_seconds),
        ("emails", sweep.emails, sweep_seconds),
        ("mailings", sweep.mailings, sweep_seconds),
        ("blobs without an order", sweep.blobs_without_order, BLOBS_SECONDS),
        ("blobs of ended images", sweep.blobs_of_ended_images, BLOBS_SECONDS),
        ("expiry", sweep.expired, EXPIRY_SECONDS),
        ("backlog", lambda: metrics.measure(sweep.database, sweep.broker), BACKLOG_SECONDS),
        # Not a cron job in memory, which would forget the hour it slept through: each minute, "is one due?".
        ("weekly mailing", lambda: mailings.order_weekly(datetime.now(UTC)), WEEKLY_CHECK_SECONDS),
    ):
        scheduler.add_job(_guarded(name, job), "interval", seconds=seconds, id=name, next_run_time=datetime.now(UTC))
    return scheduler


def _guarded(name: str, job: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        begin, outcome = time.monotonic(), "ok"
        try:
            job()
        except ImageBlurError as error:
            outcome = "put off"
            _log.warning("job put off", job=name, error=str(error))
        except Exception:
            outcome = "failed"
            _log.exception("job failed", job=name)
        metrics.job_done(name, outcome, time.monotonic() - begin)

    return run
