"""Statements about queues that are paused, and about the workers that serve them."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.models import PausedQueue, WorkerSeen, table
from services.common.db.rows import changed_one
from services.common.db.upsert import insert_if_absent

KEPT_SECONDS = 24 * 3600
"""How long a worker that has ended is still listed."""
ALIVE_SECONDS = 15
"""A worker without a heartbeat for so long, three intervals, counts as dead."""

_PAUSED, _WORKERS = table(PausedQueue), table(WorkerSeen)
_SELECT_PAUSED = select(_PAUSED.c.queue)
_RENEW = (
    update(_WORKERS)
    .where(_WORKERS.c.id == bindparam("worker_id"), _WORKERS.c.queue == bindparam("served"))
    .values(seen_at=now())
    .returning(_WORKERS.c.id)
)


def get_pauses(session: Session) -> Mapping[str, PausedQueue]:
    """Return the paused queues by name."""
    return {row.queue: row for row in session.scalars(select(PausedQueue))}


def list_paused(session: Session) -> set[str]:
    """Return the names of the paused queues. Every worker runs this twice a second."""
    return set(session.scalars(_SELECT_PAUSED))


def pause(session: Session, queue: str, by: str) -> bool:
    """Pause a queue; False if it was paused."""
    return insert_if_absent(session, PausedQueue, {"queue": queue, "paused_at": now(), "paused_by": by})


def resume(session: Session, queue: str) -> bool:
    """Resume a queue; False if it was not paused."""
    return changed_one(session.execute(delete(PausedQueue).where(PausedQueue.queue == queue)))


def insert_worker(
    session: Session,
    worker_id: UUID,
    queue: str,
    *,
    host: str,
    pid: int,
    version: str,
    slots: int,
    warnings: str | None = None,
) -> None:
    """Insert a worker that begins to serve a queue. Workers that ended a day ago are deleted."""
    session.execute(delete(_WORKERS).where(_WORKERS.c.seen_at < now() - KEPT_SECONDS * SECOND))
    values = {"id": worker_id, "queue": queue, "host": host, "pid": pid, "version": version, "slots": slots}
    values["warnings"] = warnings
    session.execute(insert(_WORKERS).values(**values, busy=0, started_at=now(), seen_at=now()))


def renew_worker(session: Session, worker_id: UUID, queue: str, busy: int) -> bool:
    """Record a worker's heartbeat; False if the worker has no row (any more)."""
    return session.scalar(_RENEW, {"worker_id": worker_id, "served": queue, "busy": busy}) is not None


def delete_worker(session: Session, worker_id: UUID) -> None:
    """Delete a worker that ends."""
    session.execute(delete(_WORKERS).where(_WORKERS.c.id == worker_id))


def list_workers(session: Session) -> Sequence[tuple[WorkerSeen, bool]]:
    """Return the workers of the last day, each with whether it is alive."""
    alive = WorkerSeen.seen_at > now() - ALIVE_SECONDS * SECOND
    query = select(WorkerSeen, alive).where(WorkerSeen.seen_at > now() - KEPT_SECONDS * SECOND)
    rows = session.execute(query.order_by(WorkerSeen.queue, WorkerSeen.host, WorkerSeen.started_at))
    return [(worker, bool(is_alive)) for worker, is_alive in rows]


def is_served(session: Session, queue: str, *, within_seconds: int) -> bool:
    """Return whether a worker that serves a queue has reported within so many seconds that it runs."""
    seen = select(WorkerSeen.id).where(WorkerSeen.queue == queue, WorkerSeen.seen_at > now() - within_seconds * SECOND)
    return session.scalar(select(seen.exists())) or False
