"""Which jobs run how often, by APScheduler. A job that fails is logged, and runs again after its interval."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.blocking import BlockingScheduler

from services.common.domain.errors import ImageBlurError
from services.common.infra import log
from services.scheduler import metrics
from services.scheduler.start_mailings import StartMailings
from services.scheduler.sweep import Sweep

WEEKLY_CHECK_SECONDS = 60
"""How late the weekly mailing may begin."""
BLOBS_SECONDS = 30
"""How long blobs may stay that nothing needs: those of broken and expired uploads, and originals that are due."""
EXPIRY_SECONDS = 300
"""How long an order may stay after its expiry. A run ends before: `EXPIRE_SECONDS` in `sweep`."""
SUMMARY_SECONDS = 60
"""How often statistics are summarised; the rows have what is not summarised yet."""
BACKLOG_SECONDS = 10
"""The age of the metrics of queues: Prometheus asks every 15 seconds or more rarely."""
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
        ("blobs without an order", sweep.blobs_without_order, BLOBS_SECONDS),
        ("blobs of ended images", sweep.blobs_of_ended_images, BLOBS_SECONDS),
        ("uploads", sweep.uploads, BLOBS_SECONDS),
        ("originals", sweep.originals, BLOBS_SECONDS),
        ("activity", sweep.summarise_activity, SUMMARY_SECONDS),
        ("expiry", sweep.expired, EXPIRY_SECONDS),
        ("backlog", lambda: metrics.measure(sweep.database, sweep.broker), BACKLOG_SECONDS),
        # Not a cron job, which would miss an hour at which no scheduler runs: each minute, is one due?
        ("weekly mailing", lambda: mailings.start_weekly(datetime.now(UTC)), WEEKLY_CHECK_SECONDS),
    ):
        scheduler.add_job(_logged(name, job), "interval", seconds=seconds, id=name, next_run_time=datetime.now(UTC))
    return scheduler


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
