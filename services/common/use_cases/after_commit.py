"""What is done after a commit: enqueue messages, announce changed orders to watchers, refill windows."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from services.common.db.engine import Database
from services.common.db.orders import orders, windows
from services.common.domain.errors import Unavailable
from services.common.domain.follow_up import FollowUp
from services.common.domain.orders import ImageQueue
from services.common.infra import log
from services.common.infra.messaging.broker import Broker
from services.common.infra.messaging.messages import (
    image_message,
    run_operator_job,
    send_email,
    send_mailing,
    send_webhook,
)

BATCH = 1000
"""Orders refilled by one call; the next sweep refills the next ones."""

_log = log.get(__name__)


@dataclass(frozen=True, kw_only=True)
class AfterCommit:
    """Carries out what transactions decided. What is lost here, the sweep finds by the rows."""

    database: Database
    broker: Broker
    window: int | None = None
    """Images queued or running at a time, shared by the orders; None in services that never free a window."""
    announce_changed: Callable[[UUID], None] | None = None
    """How a changed order is announced, if not at once by the broker."""

    def __call__(self, follow_up: FollowUp) -> None:
        """Enqueue, announce and refill. Without database or broker, a warning is logged."""
        self.broker.announce(*follow_up.ended_order_ids, ended=True)
        if self.announce_changed:
            for order_id in follow_up.changed_order_ids:
                self.announce_changed(order_id)
        else:
            self.broker.announce(*follow_up.changed_order_ids)
        self.broker.send(
            [
                *map(image_message, follow_up.images),
                *map(send_email, follow_up.email_ids),
                *map(send_mailing, follow_up.mailing_ids),
                *map(run_operator_job, follow_up.operator_job_ids),
                *map(send_webhook, follow_up.webhook_event_ids),
            ]
        )
        if follow_up.window_freed:
            try:
                self.refill()
            except Unavailable as error:
                _log.warning("windows not refilled, the sweep will", error=str(error))

    def refill(self) -> None:
        """Enqueue images of every order that has fewer in flight than its share of the window.

        Raises:
            Unavailable: The database cannot be reached.
        """
        assert self.window
        with self.database.read() as session:
            waiting = {
                order_id
                for queue in ImageQueue
                for order_id in windows.list_orders_to_refill(session, queue, window=self.window, limit=BATCH)
            }
        for order_id in waiting:
            self.refill_order(order_id)

    def refill_order(self, order_id: UUID) -> None:
        """Enqueue images of one order, as far as its share of the window allows.

        Raises:
            Unavailable: The database cannot be reached.
        """
        assert self.window
        # A transaction for each order: two that locked several orders could deadlock.
        with self.database.write(durable=False) as session:
            images = windows.refill_all(session, order_id, self.window) if orders.lock(session, order_id) else []
        self.broker.send(map(image_message, images))
