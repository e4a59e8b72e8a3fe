"""What a transaction decided that is to be done after its commit."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from services.common.domain.orders import ImageQueue


@dataclass(frozen=True)
class EnqueuedImage:
    """An image for which a message is to be sent."""

    id: UUID
    queue: ImageQueue


@dataclass(frozen=True, kw_only=True)
class FollowUp:
    """Messages to enqueue, orders to announce to watchers, and whether other orders may enqueue images."""

    images: Sequence[EnqueuedImage] = ()
    email_ids: Sequence[UUID] = ()
    mailing_ids: Sequence[UUID] = ()
    """One message each: a mailing is listed once for each of its connections."""
    operator_job_ids: Sequence[UUID] = ()
    webhook_event_ids: Sequence[UUID] = ()
    changed_order_ids: Sequence[UUID] = ()
    ended_order_ids: Sequence[UUID] = ()
    """Orders that ended, or of which nothing more will change soon: watchers are informed at once."""
    window_freed: bool = False
    """Whether an order no longer uses its share of the window."""
