"""Which jobs run how often, by APScheduler. A job that fails is logged, and runs again after its interval.

APScheduler compares times of the system's clock. Set back by an hour, it would run nothing for an hour; set forward by
decades, as at the first boot of a machine without a battery, it would first count all the runs that were missed.
"""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from apscheduler.events import EVENT_SCHEDULER_STARTED
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.blocking import BlockingScheduler
from apscheduler.triggers.base import BaseTrigger

from services.common.domain.errors import ImageBlurError
from services.common.infra import log
from services.scheduler import metrics
from services.scheduler.start_mailings import StartMailings
from services.scheduler.sweep import Sweep

WEEKLY_CHECK_SECONDS = 60
"""How late the weekly mailing may begin."""
CLEANUP_SECONDS = 30
"""How long blobs may stay that nothing needs: those of broken and expired uploads, and originals that are due. And how
long pending work may have times from before the database's clock was set back."""
EXPIRY_INTERVAL_SECONDS = 300
"""How long an order may stay after its expiry. A run ends before: `MAX_EXPIRY_RUN_SECONDS` in `sweep`."""
SUMMARY_SECONDS = 60
"""How often statistics are summarised; the rows have what is not summarised yet."""
BACKLOG_SECONDS = 10
"""The age of the metrics of queues: Prometheus asks every 15 seconds or more rarely."""
CLOCK_SECONDS = 1.0
"""How often it is checked whether the system's clock was set."""
THREADS = 4
"""Jobs at a time. Expiry and summaries may take long, and all are due at the start; each thread has a connection to the
database, and memory."""

_log = log.get(__name__)


def schedule(sweep: Sweep, mailings: StartMailings, *, sweep_seconds: float) -> BlockingScheduler:
    """Return a scheduler with all jobs, each due at once and then at its interval; not started yet."""
    scheduler = BlockingScheduler(
        executors={"default": ThreadPoolExecutor(THREADS)},
        timezone=UTC,
        # A job that was missed runs late, but once.
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    for name, job, seconds in (
        ("images", sweep.images, sweep_seconds),
        ("emails", sweep.emails, sweep_seconds),
        ("webhooks", sweep.webhooks, sweep_seconds),
        ("scheduled mailings", mailings.start_scheduled, sweep_seconds),
        ("mailings", sweep.mailings, sweep_seconds),
        ("times", sweep.times, CLEANUP_SECONDS),
        ("blobs without an order", sweep.blobs_without_order, CLEANUP_SECONDS),
        ("blobs of ended images", sweep.blobs_of_ended_images, CLEANUP_SECONDS),
        ("uploads", sweep.uploads, CLEANUP_SECONDS),
        ("originals", sweep.originals, CLEANUP_SECONDS),
        ("activity", sweep.summarise_activity, SUMMARY_SECONDS),
        ("expiry", sweep.expired, EXPIRY_INTERVAL_SECONDS),
        ("backlog", lambda: metrics.measure(sweep.database, sweep.broker), BACKLOG_SECONDS),
        # Not a cron job, which would miss an hour at which no scheduler runs: each minute, is one due?
        ("weekly mailing", lambda: mailings.start_weekly(mailings.time()), WEEKLY_CHECK_SECONDS),
    ):
        scheduler.add_job(_logged(name, job), _Interval(seconds), id=name, next_run_time=datetime.now(UTC))
    watch = threading.Thread(target=_follow_clock, args=(scheduler,), name="clock", daemon=True)
    scheduler.add_listener(lambda _event: watch.start(), EVENT_SCHEDULER_STARTED)
    return scheduler


class _Interval(BaseTrigger):  # type: ignore[misc] # not typed
    """Fires an interval after the last look at the clock, however many intervals have passed before it."""

    def __init__(self, seconds: float) -> None:
        self._interval = timedelta(seconds=seconds)

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """Return the time of the next run; APScheduler calls it by this name."""
        return now if previous_fire_time is None else now + self._interval


def _follow_clock(scheduler: BlockingScheduler) -> None:
    """Run all jobs when the system's clock was set back: the times of their next runs are too late then."""
    ahead = time.time() - time.monotonic()
    while scheduler.running:
        time.sleep(CLOCK_SECONDS)
        before, ahead = ahead, time.time() - time.monotonic()
        if ahead < before - CLOCK_SECONDS:
            _log.warning("the system's clock was set back", seconds=round(before - ahead))
            for job in scheduler.get_jobs():
                job.modify(next_run_time=datetime.now(UTC))


def _logged(name: str, job: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        begin, outcome = time.monotonic(), "ok"
        try:
            job()
        except ImageBlurError as error:
            outcome = "postponed"
            _log.warning("job postponed", job=name, error=str(error))
        except Exception:
            outcome = "failed"
            _log.exception("job failed", job=name)
        metrics.job_done(name, outcome, time.monotonic() - begin)

    return run
