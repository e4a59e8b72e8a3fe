"""Statements about single images: claimed, finished, put back; and the window of an order that is in the queue."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast
from uuid import UUID, uuid4

from sqlalchemy import CursorResult, func, or_, select, update
from sqlalchemy.orm import Session

from services.common.db import orders
from services.common.db.clock import SECOND, now
from services.common.db.models import Image, Order
from services.common.errors import Reason
from services.common.orders import MAX_ATTEMPTS, MAX_CRASHES, ImageState, OrderState, retry_delay


@dataclass(frozen=True)
class Claim:
    """The right to work on an image until its lease runs out."""

    image_id: UUID
    order_id: UUID
    position: int
    spec: str
    """As JSON; the image's own or its order's."""
    owner: UUID
    attempts: int
    """This one included."""
    crashes: int


@dataclass(frozen=True)
class Success:
    """What became of an image that was blurred; sizes in bytes and pixels, `sha256` as hex."""

    size: int
    sha256: str
    width: int
    height: int
    format: str


@dataclass(frozen=True)
class Failure:
    """Why an image will never be blurred."""

    reason: Reason
    message: str


@dataclass(frozen=True)
class FollowUp:
    """What is to be enqueued once the transaction is committed."""

    images: Sequence[UUID] = ()
    letters: Sequence[UUID] = ()
    ended: bool = False
    """The image has ended: its original is to be removed."""


def claim(session: Session, image_id: UUID, *, lease_seconds: float) -> Claim | None:
    """Take a queued image; None if it is not queued (a repeated message, somebody else's, cancelled, gone)."""
    order_id = session.scalar(select(Image.order_id).where(Image.id == image_id, Image.state == ImageState.QUEUED))
    order = order_id and orders.lock(session, order_id)
    if not order:
        return None
    image = session.scalar(
        update(Image)
        .where(Image.id == image_id, Image.state == ImageState.QUEUED)
        .values(
            state=ImageState.RUNNING,
            owner=uuid4(),
            lease_until=now() + int(lease_seconds * SECOND),
            attempts=Image.attempts + 1,
            started_at=now(),
            revision=order.revision,
        )
        .returning(Image)
        .execution_options(synchronize_session=False)
    )
    if image is None:
        session.rollback()
        return None
    if order.state == OrderState.QUEUED:
        order.state = OrderState.RUNNING
        order.started_at = image.started_at
    assert image.owner
    return Claim(
        image.id, order.id, image.position, image.spec or order.spec, image.owner, image.attempts, image.crashes
    )


def renew(session: Session, owners: Sequence[UUID], *, lease_seconds: float) -> None:
    """Extend the leases that these owners still hold."""
    session.execute(
        update(Image)
        .where(Image.owner.in_(owners), Image.state == ImageState.RUNNING)
        .values(lease_until=now() + int(lease_seconds * SECOND))
        .execution_options(synchronize_session=False)
    )


def finish(session: Session, claimed: Claim, outcome: Success | Failure, *, window: int) -> FollowUp | None:
    """End an image, and with its last one the order; None if the claim was lost meanwhile: then nothing changes."""
    if (order := orders.lock(session, claimed.order_id)) is None:
        return None
    values: dict[str, object]
    match outcome:
        case Success():
            values = {
                "state": ImageState.SUCCEEDED,
                "output_bytes": outcome.size,
                "output_sha256": outcome.sha256,
                "width": outcome.width,
                "height": outcome.height,
                "format": outcome.format,
            }
        case Failure():
            values = {"state": ImageState.FAILED, "reason": outcome.reason, "message": outcome.message}
    if not _end_claim(session, claimed, order, values | {"finished_at": now()}):
        session.rollback()
        return None
    if isinstance(outcome, Success):
        order.succeeded += 1
    else:
        order.failed += 1
    return _go_on(session, order, window, ended=True)


def take_back(session: Session, claimed: Claim, *, window: int) -> FollowUp | None:
    """Release an image whose lease has run out; None if its owner has renewed it or finished meanwhile."""
    # The order first, as everybody does: while its row is locked the image cannot be finished.
    if orders.lock(session, claimed.order_id) is None:
        return None
    lapsed = select(Image.id).where(
        Image.id == claimed.image_id, Image.owner == claimed.owner, Image.lease_until < now()
    )
    if session.scalar(lapsed.with_for_update()) is None:
        session.rollback()
        return None
    return release(session, claimed, crashed=False, window=window)


def release(session: Session, claimed: Claim, *, crashed: bool, window: int) -> FollowUp | None:
    """Put an image back for a later attempt, or end it after too many; None if the claim was lost meanwhile."""
    crashes = claimed.crashes + crashed
    if crashes >= MAX_CRASHES:
        return finish(session, claimed, Failure(Reason.CRASHED, CRASHED), window=window)
    if claimed.attempts >= MAX_ATTEMPTS:
        return finish(session, claimed, Failure(Reason.INTERNAL, GAVE_UP), window=window)
    if (order := orders.lock(session, claimed.order_id)) is None:
        return None
    delay = int(retry_delay(claimed.attempts) * SECOND)
    values = {"state": ImageState.QUEUED, "crashes": crashes, "enqueued_at": None, "not_before": now() + delay}
    if not _end_claim(session, claimed, order, values):
        session.rollback()
        return None
    return _go_on(session, order, window, ended=False)


CRASHED = "working on this image brought the worker down, repeatedly"
GAVE_UP = f"the image could not be finished in {MAX_ATTEMPTS} attempts"


def _end_claim(session: Session, claimed: Claim, order: Order, values: dict[str, object]) -> bool:
    result = session.execute(
        update(Image)
        .where(Image.id == claimed.image_id, Image.state == ImageState.RUNNING, Image.owner == claimed.owner)
        .values(owner=None, lease_until=None, revision=order.revision, **values)
        .execution_options(synchronize_session=False)
    )
    return cast("CursorResult[tuple[()]]", result).rowcount == 1


def _go_on(session: Session, order: Order, window: int, *, ended: bool) -> FollowUp:
    session.flush()
    letters = orders.finish_if_done(session, order)
    return FollowUp(images=refill(session, order.id, window), letters=letters, ended=ended)


def refill(session: Session, order_id: UUID, window: int) -> list[UUID]:
    """Move an order's next images into the queue, up to `window` in it or at work; the ids to enqueue.

    The order's row must be locked by this transaction: that is what makes two refills take turns.
    """
    in_flight = session.scalar(
        select(func.count()).where(
            Image.order_id == order_id,
            or_(
                Image.state == ImageState.RUNNING,
                (Image.state == ImageState.QUEUED) & Image.enqueued_at.is_not(None),
            ),
        )
    )
    # A negative LIMIT would mean "all" to SQLite.
    free = max(0, window - (in_flight or 0))
    if not free:
        return []
    following = (
        select(Image.id)
        .where(
            Image.order_id == order_id,
            Image.state == ImageState.QUEUED,
            Image.enqueued_at.is_(None),
            Image.not_before <= now(),
        )
        .order_by(Image.position)
        .limit(free)
    )
    return list(
        session.scalars(
            update(Image)
            .where(Image.id.in_(following.scalar_subquery()))
            .values(enqueued_at=now())
            .returning(Image.id)
            .execution_options(synchronize_session=False)
        )
    )


def changed_since(session: Session, order_id: UUID, revision: int) -> list[Image]:
    """Images that changed after `revision`, by position."""
    return list(
        session.scalars(
            select(Image).where(Image.order_id == order_id, Image.revision > revision).order_by(Image.position)
        )
    )


def page(
    session: Session, order_id: UUID, *, after: int = 0, limit: int, state: ImageState | None = None
) -> list[Image]:
    """Images with a position above `after`, by position."""
    query = select(Image).where(Image.order_id == order_id, Image.position > after)
    if state:
        query = query.where(Image.state == state)
    return list(session.scalars(query.order_by(Image.position).limit(limit)))
