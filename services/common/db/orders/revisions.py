"""Statements about originals that an order keeps, and about images that are blurred again from them.

An image that is revised is QUEUED again with a `revised_spec`. Its former result stays, and is what downloads get,
until the transaction that finishes the revision replaces it; each revision has a `generation` of its own, and so a key
of its own for its result. If it fails or is cancelled, the image ends as it was.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from services.common.db.clock import now
from services.common.db.models import Image, Order
from services.common.db.orders.blob_cleanup import surplus_of
from services.common.db.rows import rows_changed
from services.common.domain.errors import FailedPrecondition, NotFound
from services.common.domain.orders import ImageState, OrderState, queue_for
from services.common.domain.spec import BlurSpec

_ENDED = (ImageState.SUCCEEDED, ImageState.FAILED)
_MOST_IDS = 500


def check_revisable(session: Session, order: Order) -> None:
    """Raise unless images of a locked order can be revised.

    Raises:
        FailedPrecondition: The order has not finished, was cancelled, has expired, or keeps no originals.
    """
    state, subject = OrderState(order.state), f"orders/{order.id}"
    if state.open:
        raise FailedPrecondition("ORDER_NOT_FINISHED", subject, "the order has not finished")
    if state is OrderState.CANCELLED:
        raise FailedPrecondition("ORDER_CANCELLED", subject, "the order was cancelled")
    if state is OrderState.EXPIRED:
        raise FailedPrecondition("ORDER_EXPIRED", subject, "the order has expired: its results were removed")
    kept = select(Order.id).where(Order.id == order.id, Order.originals_until > now())
    if session.scalar(kept) is None:
        raise FailedPrecondition("ORIGINALS_NOT_KEPT", subject, "the originals are not kept, or no longer")


def revise_all(session: Session, order: Order, spec: str) -> int:
    """Queue all images of a locked order again, with this spec as JSON; return their number."""
    image_ids = session.scalars(
        select(Image.id).where(Image.order_id == order.id, Image.state.in_(_ENDED), ~Image.dismissed)
    ).all()
    return revise(session, order, dict.fromkeys(image_ids, spec))


def revise_as_before(session: Session, order: Order) -> int:
    """Queue all images of a locked order again, each with the spec that it had; return their number."""
    rows = session.execute(
        select(Image.id, Image.spec).where(Image.order_id == order.id, Image.state.in_(_ENDED), ~Image.dismissed)
    )
    return revise(session, order, {row.id: row.spec or order.spec for row in rows})


def revise(session: Session, order: Order, specs: Mapping[UUID, str]) -> int:
    """Queue images of a locked order again, each with its spec as JSON; return their number.

    Raises:
        NotFound: The order has no such image.
        FailedPrecondition: The original of one of them is gone.
    """
    found = _find(session, order.id, list(specs))
    for image_id in specs:
        if image_id not in found:
            raise NotFound("image", str(image_id))
        if found[image_id].dismissed:
            raise FailedPrecondition("ORIGINALS_NOT_KEPT", f"images/{image_id}", "its original was removed")
    by_spec: dict[str, list[UUID]] = {}
    for image_id, spec in specs.items():
        by_spec.setdefault(spec, []).append(image_id)
    for spec, image_ids in by_spec.items():
        for begin in range(0, len(image_ids), _MOST_IDS):
            _queue(session, order, spec, image_ids[begin : begin + _MOST_IDS])
    succeeded = sum(row.state == ImageState.SUCCEEDED for row in found.values())
    _reopen(session, order, succeeded=succeeded, failed=len(found) - succeeded)
    return len(found)


def _find(session: Session, order_id: UUID, image_ids: Sequence[UUID]) -> dict[UUID, Any]:
    found: dict[UUID, Any] = {}
    for begin in range(0, len(image_ids), _MOST_IDS):
        some = image_ids[begin : begin + _MOST_IDS]
        rows = session.execute(
            select(Image.id, Image.state, Image.dismissed).where(Image.order_id == order_id, Image.id.in_(some))
        )
        found |= {row.id: row for row in rows}
    return found


def _queue(session: Session, order: Order, spec: str, image_ids: Sequence[UUID]) -> None:
    session.execute(
        update(Image)
        .where(Image.id.in_(image_ids))
        .values(
            state=ImageState.QUEUED,
            revised_spec=spec,
            queue=queue_for(BlurSpec.from_json(spec)),
            next_generation=Image.next_generation + 1,
            attempts=0,
            crashes=0,
            not_before=0,
            enqueued_at=None,
            started_at=None,
            finished_at=None,
            cleaned_up=False,
            revision=order.revision,
        )
    )


def _reopen(session: Session, order: Order, *, succeeded: int, failed: int) -> None:
    # The retention counts from the order's end, which will come again: as before its first end, `expires_at` is the
    # creation plus the retention. The deadline of the originals stays.
    session.execute(
        update(Order)
        .where(Order.id == order.id)
        .values(
            state=OrderState.RUNNING,
            succeeded=Order.succeeded - succeeded,
            failed=Order.failed - failed,
            expires_at=Order.created_at + (Order.expires_at - func.coalesce(Order.finished_at, Order.created_at)),
            finished_at=None,
        )
    )


def cancel_revisions(session: Session, order: Order) -> tuple[int, int]:
    """End the revisions of a locked order: images are as they were. Return how many had SUCCEEDED, and had FAILED."""
    counts = []
    for state, had_result in ((ImageState.SUCCEEDED, True), (ImageState.FAILED, False)):
        result = session.execute(
            update(Image)
            .where(
                Image.order_id == order.id,
                Image.state.in_((ImageState.QUEUED, ImageState.RUNNING)),
                Image.revised_spec.is_not(None),
                Image.format.is_not(None) if had_result else Image.format.is_(None),
            )
            .values(
                state=state, revised_spec=None, owner=None, lease_until=None, finished_at=now(), revision=order.revision
            )
        )
        counts.append(rows_changed(result))
    return counts[0], counts[1]


def keeps_original(order: Order, image: Image, time: int) -> bool:
    """Return whether an order keeps the original of an image for revisions, at a time of the database."""
    if order.originals_seconds <= 0 or image.dismissed:
        return False
    return order.originals_until is None or order.originals_until > time


def list_originals_due(session: Session, *, limit: int) -> Sequence[UUID]:
    """Return finished orders whose originals are to be removed now."""
    return session.scalars(
        select(Order.id)
        .where(
            Order.originals_until.is_not(None),
            Order.originals_until < now(),
            Order.state.not_in((OrderState.QUEUED, OrderState.RUNNING)),
        )
        .limit(limit)
    ).all()


def release_originals(session: Session, order: Order) -> list[str]:
    """Have a locked order keep its originals no longer; return the keys of the blobs to remove.

    What is not removed after the commit, the sweep removes. Originals of failures that an operator may retry stay.
    """
    session.execute(update(Order).where(Order.id == order.id).values(originals_seconds=0, originals_until=None))
    ended = (Image.order_id == order.id) & Image.finished_at.is_not(None)
    session.execute(update(Image).where(ended).values(cleaned_up=False))
    images = session.scalars(select(Image).where(ended).execution_options(populate_existing=True))
    return [key for image in images for key in surplus_of(image, keeps_original=False)]
