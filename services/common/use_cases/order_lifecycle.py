"""How orders end before their time or after it: cancelled, deleted, expired, and the removal of their blobs.

Each lists the blobs as unowned in the transaction that ends the order, and removes them after the commit: when that is
interrupted, the sweep removes them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from services.common.db.access import audit
from services.common.db.access.audit import AuditContext
from services.common.db.engine import Database
from services.common.db.orders import blob_cleanup, expiry, orders, revisions, unowned_blobs, uploads
from services.common.domain.errors import FailedPrecondition, NotFound, Unavailable
from services.common.domain.follow_up import FollowUp
from services.common.domain.orders import OrderState, UploadState, blob_prefix, original_prefix, upload_prefix
from services.common.infra import log
from services.common.infra.blobs import BlobStore
from services.common.infra.messaging.broker import Broker
from services.common.use_cases.after_commit import AfterCommit

_log = log.get(__name__)


@dataclass(frozen=True, kw_only=True)
class OrderLifecycle:
    """The use cases, over what they need. Those with an audit context record a change in the audit log."""

    database: Database
    blobs: BlobStore
    after_commit: AfterCommit

    def cancel(self, order_id: UUID, *, refill: bool = True, audited: AuditContext | None = None) -> None:
        """Cancel the images of an order that have not ended; results are kept.

        Images that were being revised end as they were. An order that is CANCELLED then keeps no originals.

        Args:
            order_id: The order.
            refill: Whether other orders get the room in the window; not if they are about to be cancelled too.
            audited: Who cancels it.

        Raises:
            NotFound: There is no such order.
            Unavailable: The database cannot be reached.
        """
        with self.database.write() as session:
            state, follow_up = orders.cancel(session, order_id)
            if audited and follow_up:
                audit.record(session, audited, f"orders/{order_id}")
        self.after_commit(replace(follow_up or FollowUp(ended_order_ids=[order_id]), window_freed=refill))
        if state is not OrderState.CANCELLED:
            return
        try:
            self.blobs.delete_prefix(original_prefix(order_id))
        except Unavailable as error:
            _log.warning("originals not removed, the sweep will", order=str(order_id), error=str(error))

    def delete(self, order_id: UUID, *, audited: AuditContext | None = None) -> None:
        """Delete an order with its images, deliveries, e-mails and blobs.

        Raises:
            NotFound: There is no such order.
            Unavailable: The database cannot be reached.
        """
        with self.database.write() as session:
            orders.delete_order(session, order_id)
            unowned_blobs.mark_for_removal(session, order_id)
            if audited:
                audit.record(session, audited, f"orders/{order_id}")
        self.after_commit(FollowUp(ended_order_ids=[order_id], window_freed=True))
        try:
            self.remove_unowned_blobs(order_id)
        except Unavailable as error:
            _log.warning("blobs not removed, the sweep will", order=str(order_id), error=str(error))

    def delete_upload(self, upload_id: UUID) -> bool:
        """Delete an upload that was not completed, with its blobs; False if there is none.

        Raises:
            Unavailable: The database cannot be reached.
        """
        with self.database.write() as session:
            deleted = uploads.delete_upload(session, upload_id)
            if deleted:
                unowned_blobs.mark_for_removal(session, upload_id)
        if deleted:
            try:
                self.remove_unowned_blobs(upload_id)
            except Unavailable as error:
                _log.warning("blobs not removed, the sweep will", order=str(upload_id), error=str(error))
        return deleted

    def end_upload(self, upload_id: UUID, state: UploadState) -> None:
        """End an upload whose time is over: delete it, or what is left of it if its order is placed.

        Raises:
            Unavailable: The blob store or the database cannot be reached.
        """
        if state is UploadState.RECEIVING:
            self.delete_upload(upload_id)
            return
        self.blobs.delete_prefix(upload_prefix(upload_id))
        with self.database.write(durable=False) as session:
            uploads.delete_placed(session, upload_id)

    def expire(self, order_ids: Sequence[UUID]) -> int:
        """Delete the addresses of orders and mark their blobs for removal by the sweep, in one transaction.

        Returns:
            The number of orders that had not expired before.

        Raises:
            Unavailable: The database cannot be reached.
        """
        with self.database.write() as session:
            follow_up = expiry.expire(session, *order_ids)
            unowned_blobs.mark_for_removal(session, *follow_up.ended_order_ids)
        self.after_commit(follow_up)
        return len(follow_up.ended_order_ids)

    def extend(self, order_id: UUID, seconds: int, *, audited: AuditContext | None = None) -> None:
        """Let an order expire so many seconds later.

        Raises:
            NotFound: There is no such order.
            FailedPrecondition: It has expired.
            Unavailable: The database cannot be reached.
        """
        with self.database.write() as session:
            expiry.extend(session, order_id, seconds)
            if audited:
                audit.record(session, audited, f"orders/{order_id}", seconds=seconds)
        self.after_commit(FollowUp(changed_order_ids=[order_id]))

    def delete_originals(self, order_id: UUID, *, audited: AuditContext | None = None) -> None:
        """Remove the originals that a finished order keeps for revisions; results are kept.

        Raises:
            NotFound: There is no such order.
            FailedPrecondition: Its images are being blurred.
            Unavailable: The database cannot be reached.
        """
        with self.database.write() as session:
            order = orders.lock(session, order_id)
            if order is None:
                raise NotFound("order", str(order_id))
            if OrderState(order.state).open:
                message = "images of the order are being blurred"
                raise FailedPrecondition("ORDER_NOT_FINISHED", f"orders/{order_id}", message)
            surplus = revisions.release_originals(session, order) if order.originals_seconds else []
            if audited and order.originals_seconds:
                audit.record(session, audited, f"orders/{order_id}")
        self.after_commit(FollowUp(changed_order_ids=[order_id]))
        try:
            self.blobs.delete(*surplus)
        except Unavailable as error:
            _log.warning("originals not removed, the sweep will", order=str(order_id), error=str(error))

    def remove_unowned_blobs(self, *order_ids: UUID) -> None:
        """Remove the blobs of orders or uploads that were marked for removal.

        Raises:
            Unavailable: The blob store or the database cannot be reached.
        """
        for order_id in order_ids:
            self.blobs.delete_prefix(blob_prefix(order_id))
        with self.database.write() as session:
            unowned_blobs.mark_removed(session, *order_ids)

    def discard_late_result(self, order_id: UUID, image_id: UUID) -> None:
        """Remove what a worker stored after it had lost its claim, unless the result is another worker's.

        Raises:
            Unavailable: The blob store or the database cannot be reached.
        """
        with self.database.write() as session:
            order_gone = not orders.owns_blobs(session, order_id)
            if order_gone:
                unowned_blobs.mark_for_removal(session, order_id)
            surplus = blob_cleanup.get_surplus_keys(session, image_id)
        if order_gone:
            self.remove_unowned_blobs(order_id)
        else:
            self.blobs.delete(*surplus)


def make_lifecycle(
    database: Database,
    blobs: BlobStore,
    broker: Broker,
    *,
    window: int,
    announce_changed: Callable[[UUID], None] | None = None,
) -> OrderLifecycle:
    """Return the lifecycle over these; the arguments are those of `AfterCommit`."""
    after_commit = AfterCommit(database=database, broker=broker, window=window, announce_changed=announce_changed)
    return OrderLifecycle(database=database, blobs=blobs, after_commit=after_commit)
