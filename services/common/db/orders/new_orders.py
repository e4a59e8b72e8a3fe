"""Statements that store an order with its images."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.mail import deliveries
from services.common.db.models import Image, Order, table
from services.common.db.orders import windows
from services.common.db.orders.snapshots import Snapshot, order_of
from services.common.domain.follow_up import EnqueuedImage
from services.common.domain.orders import DeliveryState, ImageQueue, ImageState, OrderState, fair_window

_ORDERS = table(Order)
_INSERT_ORDER, _INSERT_IMAGES = insert(_ORDERS).returning(*_ORDERS.c), insert(table(Image))


@dataclass(frozen=True, kw_only=True)
class NewOrder:
    """An order to be stored; `spec` as JSON, `retention` in seconds."""

    id: UUID
    principal: str
    email: str | None = None
    mailbox: str | None = None
    """The hash of its mailbox; None without an address."""
    locale: str
    spec: str
    notify: bool
    retention: int
    upload_seconds: float = 0.0
    """How long its images took to arrive."""
    originals_seconds: int = 0
    """How long originals are kept after the order has finished."""
    webhook_url: str | None = None
    """Where events are posted."""


@dataclass(frozen=True, kw_only=True)
class NewImage:
    """An image to be stored; its original is in the blob store already."""

    id: UUID
    position: int
    filename: str
    spec: str | None
    size: int
    """In bytes."""
    sha256: str | None = None
    """As hex."""
    queue: ImageQueue = ImageQueue.BLUR
    """By its spec: FIND if something is to be found; FETCH if it has a source."""
    source: str | None = None
    """As JSON (`ImageSource`); its size is then an estimate, or 0."""
    target: str | None = None
    """`place:key`, without an extension."""


@dataclass(frozen=True, kw_only=True)
class StoredOrder:
    """An order that was stored by a transaction, and the images to enqueue after the commit."""

    snapshot: Snapshot
    enqueued: Sequence[EnqueuedImage]


def insert_order(session: Session, order: NewOrder, new_images: Sequence[NewImage], *, window: int) -> StoredOrder:
    """Store an order and its images, the first of each queue enqueued."""
    time = session.scalar(select(now())) or 0
    enqueued = [image for queue in ImageQueue for image in _first_images(session, new_images, queue, window)]
    enqueued_ids = {image.id for image in enqueued}
    row = session.execute(
        _INSERT_ORDER,
        {
            "id": order.id,
            "principal": order.principal,
            "email": order.email,
            "mailbox": order.mailbox,
            "locale": order.locale,
            "spec": order.spec,
            "state": OrderState.QUEUED,
            "total": len(new_images),
            "input_bytes": sum(image.size for image in new_images),
            "upload_began_at": time - int(order.upload_seconds * SECOND),
            "created_at": time,
            "expires_at": time + order.retention * SECOND,
            "originals_seconds": order.originals_seconds,
            "webhook_url": order.webhook_url,
        },
    ).one()
    session.execute(
        _INSERT_IMAGES,
        [
            {
                "id": image.id,
                "order_id": order.id,
                "position": image.position,
                "filename": image.filename,
                "spec": image.spec,
                "state": ImageState.QUEUED,
                "queue": image.queue,
                "enqueued_at": time if image.id in enqueued_ids else None,
                "input_bytes": image.size,
                "input_sha256": image.sha256,
                "source": image.source,
                "target": image.target,
            }
            for image in new_images
        ],
    )
    requests = []
    if order.notify:
        requests = [(deliveries.insert_delivery(session, order.id, DeliveryState.WAITING), 0)]
    snapshot = Snapshot(order=order_of(row), running=0, deliveries=requests, read_at=time)
    return StoredOrder(snapshot=snapshot, enqueued=enqueued)


def _first_images(
    session: Session, new_images: Sequence[NewImage], queue: ImageQueue, window: int
) -> list[EnqueuedImage]:
    """Return the images of a new order that are enqueued at once: its share of the queue's window."""
    own = [EnqueuedImage(image.id, queue) for image in new_images if image.queue == queue]
    if not own:
        return []
    sharing, together = windows.get_sharing(session, queue, window=window)
    return own[: max(fair_window(window, sharing + 1), window - together)]
