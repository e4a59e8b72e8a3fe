"""Statements about queues that are paused, and about the workers that serve them."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.models import PausedQueue, WorkerSeen, table

FORGOTTEN_SECONDS = 24 * 3600
"""How long a worker that is gone is still listed."""
ALIVE_SECONDS = 15
"""Three signs of life that did not come."""

_PAUSED, _WORKERS = table(PausedQueue), table(WorkerSeen)
_PAUSES = select(_PAUSED.c.queue)
_SEEN = (
    update(_WORKERS)
    .where(_WORKERS.c.id == bindparam("worker_id"), _WORKERS.c.queue == bindparam("served"))
    .values(seen_at=now())
)


def paused(session: Session) -> Mapping[str, PausedQueue]:
    """The queues that are paused, by name."""
    return {row.queue: row for row in session.scalars(select(PausedQueue))}


def paused_names(session: Session) -> set[str]:
    """Their names: what every worker asks twice a second."""
    return set(session.scalars(_PAUSES))


def pause(session: Session, queue: str, by: str) -> bool:
    """Pause a queue; False if it was paused."""
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    new = dialect.insert(PausedQueue).values(queue=queue, paused_at=now(), paused_by=by)
    return session.scalar(new.on_conflict_do_nothing().returning(PausedQueue.queue)) is not None


def resume(session: Session, queue: str) -> bool:
    """End a pause; False if there was none."""
    gone = delete(PausedQueue).where(PausedQueue.queue == queue).returning(PausedQueue.queue)
    return session.scalar(gone) is not None


def register(session: Session, worker_id: UUID, queue: str, *, host: str, pid: int, version: str, slots: int) -> None:
    """A worker begins to serve a queue. Those that have been gone for long are forgotten."""
    session.execute(delete(_WORKERS).where(_WORKERS.c.seen_at < now() - FORGOTTEN_SECONDS * SECOND))
    values = {"id": worker_id, "queue": queue, "host": host, "pid": pid, "version": version, "slots": slots}
    session.execute(insert(_WORKERS).values(**values, busy=0, started_at=now(), seen_at=now()))


def seen(session: Session, worker_id: UUID, queue: str, busy: int) -> bool:
    """A worker lives; False if it was forgotten."""
    result = session.execute(_SEEN.returning(_WORKERS.c.id), {"worker_id": worker_id, "served": queue, "busy": busy})
    return result.scalar() is not None


def gone(session: Session, worker_id: UUID) -> None:
    """A worker has ended as it was told to."""
    session.execute(delete(_WORKERS).where(_WORKERS.c.id == worker_id))


def workers(session: Session) -> Sequence[tuple[WorkerSeen, bool]]:
    """The workers that were seen in the last day, each with whether it lives."""
    alive = WorkerSeen.seen_at > now() - ALIVE_SECONDS * SECOND
    query = select(WorkerSeen, alive).where(WorkerSeen.seen_at > now() - FORGOTTEN_SECONDS * SECOND)
    rows = session.execute(query.order_by(WorkerSeen.queue, WorkerSeen.host, WorkerSeen.started_at))
    return [(worker, bool(lives)) for worker, lives in rows]
