"""Queues for operators: state, pause, resume, purge."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from services.common.db.access import audit
from services.common.db.access.audit import AuditContext
from services.common.db.engine import Database
from services.common.db.mail import deliveries, mailings
from services.common.db.models import Delivery, Email, Mailing, Order, PausedQueue, Subscriber, WorkerSeen
from services.common.db.orders import orders
from services.common.db.queues import depths, workers
from services.common.db.queues.depths import QUEUES, Depth
from services.common.domain.errors import NotFound, Unavailable
from services.common.domain.orders import OrderState, blob_prefix
from services.common.infra import log
from services.common.infra.blobs import BlobStore
from services.common.infra.broker import Broker
from services.common.infra.messages import BLUR_QUEUE, MAIL_QUEUE

_log = log.get(__name__)


@dataclass(frozen=True)
class QueueState:
    """The state of a queue."""

    name: str
    depth: Depth
    messages: tuple[int, int] | None
    """Messages queued and in flight; None if the broker is unavailable."""
    pause: PausedQueue | None


@dataclass(frozen=True)
class QueueOperations:
    """The use cases of queues; blocking."""

    database: Database
    broker: Broker
    blobs: BlobStore

    def states(self) -> list[QueueState]:
        """Return all queues."""
        with self.database.read() as session:
            pauses = workers.paused(session)
            found = {name: depths.depth(session, name) for name in QUEUES}
        return [self._state(name, found[name], pauses) for name in QUEUES]

    def pause(self, audit_context: AuditContext, queue: str) -> QueueState:
        """Pause a queue; has no effect if it is paused.

        Raises:
            NotFound: The queue does not exist.
        """
        _check(queue)
        with self.database.write() as session:
            if workers.pause(session, queue, audit_context.principal):
                audit.record(session, audit_context, f"queues/{queue}")
        return self._one_state(queue)

    def resume(self, audit_context: AuditContext, queue: str) -> QueueState:
        """Resume a queue; has no effect if it is not paused.

        Raises:
            NotFound: The queue does not exist.
        """
        _check(queue)
        with self.database.write() as session:
            if workers.resume(session, queue):
                audit.record(session, audit_context, f"queues/{queue}")
        return self._one_state(queue)

    def purge(self, audit_context: AuditContext, queue: str) -> int:
        """Cancel all work of a queue; return the number of orders, of deliveries and e-mails, or of mailings.

        Raises:
            NotFound: The queue does not exist.
        """
        _check(queue)
        # First, because the purge is many transactions and may be interrupted.
        with self.database.write() as session:
            audit.record(session, audit_context, f"queues/{queue}")
        if queue == BLUR_QUEUE:
            return self._cancel_orders()
        return self._cancel_mail() if queue == MAIL_QUEUE else self._cancel_mailings()

    def workers(self) -> list[tuple[WorkerSeen, bool]]:
        """Return the workers of the last day, each with whether it is alive."""
        with self.database.read() as session:
            return list(workers.workers(session))

    def _cancel_orders(self) -> int:
        with self.database.read() as session:
            open_orders = session.scalars(
                select(Order.id).where(Order.state.in_((OrderState.QUEUED, OrderState.RUNNING)))
            ).all()
        count = 0
        for order_id in open_orders:
            try:
                with self.database.write() as session:
                    orders.cancel(session, order_id)
            except NotFound:
                continue
            count += 1
            self.broker.announce(order_id, ended=True)
            self._remove(f"{blob_prefix(order_id)}source/")
        return count

    def _cancel_mail(self) -> int:
        with self.database.read() as session:
            open_deliveries = session.scalars(
                select(Delivery.order_id).where(Delivery.state.in_(deliveries.OPEN), Delivery.state != "WAITING")
            ).all()
        for order_id in open_deliveries:
            with self.database.write() as session:
                if orders.lock(session, order_id):
                    deliveries.cancel_open(session, order_id)
            self.broker.announce(order_id, ended=True)
        with self.database.write() as session:
            return len(open_deliveries) + _cancel_confirmations(session)

    def _cancel_mailings(self) -> int:
        with self.database.write() as session:
            found = session.scalars(select(Mailing.id).where(Mailing.state == "SENDING")).all()
            return sum(mailings.cancel_mailing(session, mailing_id) for mailing_id in found)

    def _remove(self, prefix: str) -> None:
        try:
            self.blobs.delete_prefix(prefix)
        except Unavailable as error:
            _log.warning("originals not removed, the sweep will remove them", error=str(error))

    def _one_state(self, queue: str) -> QueueState:
        with self.database.read() as session:
            return self._state(queue, depths.depth(session, queue), workers.paused(session))

    def _state(self, queue: str, depth: Depth, pauses: Mapping[str, PausedQueue]) -> QueueState:
        try:
            messages = self.broker.depths(queue)
        except Unavailable:
            messages = None
        return QueueState(queue, depth, messages, pauses.get(queue))


def _check(queue: str) -> None:
    if queue not in QUEUES:
        raise NotFound("queue", queue)


def _cancel_confirmations(session: Session) -> int:
    cancelled: list[UUID | None] = list(
        session.scalars(
            update(Email)
            .where(Email.state == "QUEUED", Email.delivery_id.is_(None), Email.mailing_id.is_(None))
            .values(state="CANCELLED")
            .returning(Email.subscriber_id)
            .execution_options(synchronize_session=False)
        )
    )
    # So that they can request another confirmation immediately.
    session.execute(
        update(Subscriber)
        .where(Subscriber.id.in_(cancelled), Subscriber.state == "PENDING")
        .values(confirm_sent_at=None)
        .execution_options(synchronize_session=False)
    )
    return len(cancelled)
