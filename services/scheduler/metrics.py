"""The scheduler's metrics: its jobs, and the backlog of all services, which it measures for them."""

from prometheus_client import Counter, Gauge, Histogram

from services.common.db.engine import Database
from services.common.db.queues import backlog
from services.common.db.queues.depths import QUEUES
from services.common.infra.messaging.broker import Broker
from services.common.infra.messaging.messages import MAIL_QUEUE, WEBHOOK_QUEUE
from services.common.infra.metrics import SECONDS

_JOBS = Counter("imageblur_jobs", "Runs of jobs.", ["job", "outcome"])
_JOB_SECONDS = Histogram("imageblur_job_seconds", "How long jobs took.", ["job"], buckets=SECONDS)
_SWEPT = Counter("imageblur_swept", "What the sweep released, enqueued again or removed.", ["what"])
_MESSAGES = Gauge("imageblur_queue_messages", "Messages in a queue, waiting or being handled.", ["queue"])
_OLDEST = Gauge("imageblur_queue_oldest_seconds", "Age of the oldest row enqueued and not claimed.", ["queue"])
_WAITING = Gauge("imageblur_waiting_rows", "Rows that have not ended: images, orders, e-mails.", ["what"])


def job_done(job: str, outcome: str, seconds: float) -> None:
    """Count a run of a job: `ok`, `postponed` or `failed`."""
    _JOBS.labels(job, outcome).inc()
    _JOB_SECONDS.labels(job).observe(seconds)


def swept(what: str, count: int = 1) -> None:
    """Count what the sweep repaired."""
    _SWEPT.labels(what).inc(count)


def measure(database: Database, broker: Broker) -> None:
    """Measure the backlog and the queues.

    Raises:
        Unavailable: Database or broker cannot be reached.
    """
    with database.read() as session:
        measured = backlog.get_backlog(session)
    for what, count in measured.waiting.items():
        _WAITING.labels(what).set(count)
    for queue in QUEUES:
        _MESSAGES.labels(queue).set(sum(broker.depths(queue)))
    for image_queue, age in measured.oldest_image.items():
        _OLDEST.labels(image_queue.value).set(age)
    _OLDEST.labels(MAIL_QUEUE).set(measured.oldest_email)
    _OLDEST.labels(WEBHOOK_QUEUE).set(measured.oldest_webhook)
