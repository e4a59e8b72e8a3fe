"""Queues for operators: state, pause, resume, purge."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from services.common.db.access import audit
from services.common.db.access.audit import AuditContext
from services.common.db.engine import Database
from services.common.db.mail import deliveries, emails, mailings
from services.common.db.models import PausedQueue, WorkerSeen
from services.common.db.orders import orders
from services.common.db.queues import depths, workers
from services.common.db.queues.depths import IMAGE_QUEUES, QUEUES, QueueDepth
from services.common.db.webhooks import events as webhook_events
from services.common.domain.errors import NotFound, Unavailable
from services.common.domain.follow_up import FollowUp
from services.common.domain.instant import InstantRefusal
from services.common.domain.orders import ImageQueue
from services.common.infra.messaging.broker import Broker
from services.common.infra.messaging.messages import INSTANT_QUEUE, MAIL_QUEUE, WEBHOOK_QUEUE
from services.common.use_cases.order_lifecycle import OrderLifecycle
from services.gateway.instant.queue import InstantQueue


@dataclass(frozen=True)
class QueueState:
    """The state of a queue."""

    name: str
    depth: QueueDepth
    messages: tuple[int, int] | None
    """Messages queued and in flight; None if the broker is unavailable."""
    pause: PausedQueue | None


@dataclass(frozen=True)
class QueueOperations:
    """The use cases of queues; blocking."""

    database: Database
    broker: Broker
    lifecycle: OrderLifecycle
    instant_queue: InstantQueue

    def states(self) -> list[QueueState]:
        """Return all queues."""
        with self.database.read() as session:
            pauses = workers.get_pauses(session)
            found = {name: depths.get_depth(session, name) for name in QUEUES}
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
        """Cancel all work of a queue; return the number of orders, of deliveries and e-mails, of mailings, or of calls.

        Raises:
            NotFound: The queue does not exist.
            Unavailable: The database, or for instant calls the broker, cannot be reached.
        """
        _check(queue)
        # First, because the purge is many transactions and may be interrupted.
        with self.database.write() as session:
            audit.record(session, audit_context, f"queues/{queue}")
        if queue in IMAGE_QUEUES:
            return self._cancel_orders(ImageQueue(queue))
        if queue == INSTANT_QUEUE:
            return self._refuse_instant_calls()
        if queue == WEBHOOK_QUEUE:
            with self.database.write() as session:
                return webhook_events.fail_queued(session)
        return self._cancel_mail() if queue == MAIL_QUEUE else self._cancel_mailings()

    def workers(self) -> list[tuple[WorkerSeen, bool]]:
        """Return the workers of the last day, each with whether it is alive."""
        with self.database.read() as session:
            return list(workers.list_workers(session))

    def _cancel_orders(self, queue: ImageQueue) -> int:
        with self.database.read() as session:
            order_ids = orders.list_open(session, queue)
        count = 0
        for order_id in order_ids:
            with contextlib.suppress(NotFound):
                self.lifecycle.cancel(order_id, refill=False)
                count += 1
        return count

    def _refuse_instant_calls(self) -> int:
        """Refuse the calls that wait; those that a worker has end within their deadline anyway."""
        refusal = InstantRefusal(reason=None, message="an operator has purged the queue of instant calls")
        return self.instant_queue.refuse_waiting(refusal)

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
            return sum(mailings.cancel_mailing(session, mailing_id) for mailing_id in mailings.list_sending(session))

    def _one_state(self, queue: str) -> QueueState:
        with self.database.read() as session:
            return self._state(queue, depths.get_depth(session, queue), workers.get_pauses(session))

    def _state(self, queue: str, depth: QueueDepth, pauses: Mapping[str, PausedQueue]) -> QueueState:
        try:
            messages = self.broker.depths(queue)
        except Unavailable:
            messages = None
        if queue == INSTANT_QUEUE and messages:  # has no rows
            depth = replace(depth, waiting=messages[0], running=messages[1])
        return QueueState(queue, depth, messages, pauses.get(queue))


def _check(queue: str) -> None:
    if queue not in QUEUES:
        raise NotFound("queue", queue)
