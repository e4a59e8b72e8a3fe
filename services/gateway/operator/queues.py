"""What operators do with queues: look, pause, resume, purge."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

from services.common.db.access import audit
from services.common.db.access.audit import AuditContext
from services.common.db.engine import Database
from services.common.db.mail import deliveries, emails, mailings
from services.common.db.models import PausedQueue, WorkerSeen
from services.common.db.orders import orders
from services.common.db.queues import depths, workers
from services.common.db.queues.depths import QUEUES, QueueDepth
from services.common.domain.errors import NotFound, Unavailable
from services.common.domain.follow_up import FollowUp
from services.common.infra.broker import Broker
from services.common.infra.messages import BLUR_QUEUE, MAIL_QUEUE
from services.common.use_cases.order_lifecycle import OrderLifecycle


@dataclass(frozen=True)
class QueueSeen:
    """A queue as it stands."""

    name: str
    depth: QueueDepth
    messages: tuple[int, int] | None
    """Waiting and handed out; None where the broker cannot be asked."""
    pause: PausedQueue | None


@dataclass(frozen=True)
class OperatorQueues:
    """The use cases, over what they need."""

    database: Database
    broker: Broker
    lifecycle: OrderLifecycle

    def seen(self) -> list[QueueSeen]:
        """All queues."""
        with self.database.read() as session:
            pauses = workers.get_pauses(session)
            found = {name: depths.get_depth(session, name) for name in QUEUES}
        return [self._seen(name, found[name], pauses) for name in QUEUES]

    def pause(self, audit_context: AuditContext, queue: str) -> QueueSeen:
        """Have workers leave a queue alone.

        Raises:
            NotFound: There is no such queue.
        """
        _check(queue)
        with self.database.write() as session:
            if workers.pause(session, queue, audit_context.principal):
                audit.record(session, audit_context, f"queues/{queue}")
        return self._one(queue)

    def resume(self, audit_context: AuditContext, queue: str) -> QueueSeen:
        """End a pause.

        Raises:
            NotFound: There is no such queue.
        """
        _check(queue)
        with self.database.write() as session:
            if workers.resume(session, queue):
                audit.record(session, audit_context, f"queues/{queue}")
        return self._one(queue)

    def purge(self, audit_context: AuditContext, queue: str) -> int:
        """Cancel whatever a queue is to do; how many orders, deliveries, confirmations and mailings that were.

        Raises:
            NotFound: There is no such queue.
        """
        _check(queue)
        # Before the work, which is many transactions: what is interrupted was begun by somebody all the same.
        with self.database.write() as session:
            audit.record(session, audit_context, f"queues/{queue}")
        if queue == BLUR_QUEUE:
            return self._cancel_orders()
        return self._cancel_mail() if queue == MAIL_QUEUE else self._cancel_mailings()

    def workers(self) -> list[tuple[WorkerSeen, bool]]:
        """The workers of the last day, each with whether it lives."""
        with self.database.read() as session:
            return list(workers.list_workers(session))

    def _cancel_orders(self) -> int:
        with self.database.read() as session:
            open_orders = orders.list_open(session)
        count = 0
        for order_id in open_orders:
            with contextlib.suppress(NotFound):
                self.lifecycle.cancel(order_id, refill=False)
                count += 1
        return count

    def _cancel_mail(self) -> int:
        with self.database.read() as session:
            order_ids = deliveries.list_orders_being_mailed(session)
        for order_id in order_ids:
            with self.database.write() as session:
                if orders.lock(session, order_id):
                    deliveries.cancel_open(session, order_id)
            self.lifecycle.after_commit(FollowUp(ended_order_ids=[order_id]))
        with self.database.write() as session:
            return len(order_ids) + emails.cancel_queued_of_subscribers(session)

    def _cancel_mailings(self) -> int:
        with self.database.write() as session:
            return sum(mailings.cancel(session, mailing_id) for mailing_id in mailings.list_sending(session))

    def _one(self, queue: str) -> QueueSeen:
        with self.database.read() as session:
            return self._seen(queue, depths.get_depth(session, queue), workers.get_pauses(session))

    def _seen(self, queue: str, depth: QueueDepth, pauses: Mapping[str, PausedQueue]) -> QueueSeen:
        try:
            messages = self.broker.depths(queue)
        except Unavailable:
            messages = None
        return QueueSeen(queue, depth, messages, pauses.get(queue))


def _check(queue: str) -> None:
    if queue not in QUEUES:
        raise NotFound("queue", queue)
