"""Statements about single images: claimed, finished, put back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast
from uuid import UUID, uuid4

from sqlalchemy import CursorResult, Update, bindparam, select, update
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.models import Image, Order, table, written
from services.common.db.orders import orders, windows
from services.common.domain.errors import Reason
from services.common.domain.orders import MAX_ATTEMPTS, MAX_CRASHES, ImageState, retry_delay


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
    engine: str | None = None
    """What blurred it, with its version."""


@dataclass(frozen=True)
class Failure:
    """Why an image will never be blurred."""

    reason: Reason
    message: str


@dataclass(frozen=True)
class FollowUp:
    """What is to be enqueued once the transaction is committed."""

    images: Sequence[UUID] = ()
    emails: Sequence[UUID] = ()
    image_ended: ImageState | None = None
    """How the image ended, if it has."""
    reason: Reason | None = None
    """Why it failed, if it did."""
    order_ended: bool = False
    claim: Claim | None = None
    """The order's next image, for whoever has ended this one."""


_IMAGES = table(Image)
_ORDER_OF_SENT = select(_IMAGES.c.order_id).where(_IMAGES.c.id == bindparam("image_id"), windows.SENT)
_TAKE = (
    update(_IMAGES)
    .values(
        state=ImageState.RUNNING,
        owner=bindparam("claimed_by"),
        lease_until=now() + bindparam("lease"),
        attempts=_IMAGES.c.attempts + 1,
        started_at=now(),
        revision=bindparam("seen_as"),
    )
    .returning(_IMAGES.c.id, _IMAGES.c.position, _IMAGES.c.spec, _IMAGES.c.attempts, _IMAGES.c.crashes)
)
_CLAIM = _TAKE.where(_IMAGES.c.id == bindparam("image_id"), windows.SENT)
_CLAIM_NEXT = _TAKE.where(
    _IMAGES.c.id == windows.first_waiting(bindparam("own_id")), ~windows.others_sent(bindparam("own_id"))
).values(enqueued_at=now())
_END_CLAIM = (
    update(_IMAGES)
    .where(
        _IMAGES.c.id == bindparam("image_id"),
        _IMAGES.c.state == written(ImageState.RUNNING),
        _IMAGES.c.owner == bindparam("claimed_by"),
    )
    .values(owner=None, lease_until=None)
)
_FINISH = _END_CLAIM.values(finished_at=now())
_CHANGED = (
    select(*_IMAGES.c)
    .where(_IMAGES.c.order_id == bindparam("shown_id"), _IMAGES.c.revision > bindparam("seen"))
    .order_by(_IMAGES.c.position)
)
_RELEASE = _END_CLAIM.values(state=ImageState.QUEUED, enqueued_at=None, not_before=now() + bindparam("delay"))


def claim(session: Session, image_id: UUID, *, lease_seconds: float) -> Claim | None:
    """Take an image that was given to the broker; None if it is not queued (somebody else's, cancelled, gone).

    None too if it waits for its turn or its next attempt: a repeated message is early, one that is in time will come.
    """
    order_id = session.scalar(_ORDER_OF_SENT, {"image_id": image_id})
    order = order_id and orders.lock_and_start(session, order_id)
    if not order:
        return None
    claimed = _claim(session, order, _CLAIM, {"image_id": image_id}, lease_seconds)
    if claimed is None:
        session.rollback()
    return claimed


def _claim(
    session: Session, order: Order, how: Update, which: Mapping[str, object], lease_seconds: float
) -> Claim | None:
    owner, lease = uuid4(), int(lease_seconds * SECOND)
    row = session.execute(how, {"claimed_by": owner, "lease": lease, "seen_as": order.revision, **which}).one_or_none()
    if row is None:
        return None
    return Claim(row.id, order.id, row.position, row.spec or order.spec, owner, row.attempts, row.crashes)


def renew(session: Session, owners: Sequence[UUID], *, lease_seconds: float) -> None:
    """Extend the leases that these owners still hold."""
    # Over many orders, none of which is locked: see the outbox. Who has locked such an image is about to end its claim.
    held = select(Image.id).where(Image.owner.in_(owners), Image.state == ImageState.RUNNING)
    session.execute(
        update(Image)
        .where(Image.id.in_(select(held.with_for_update(skip_locked=True).cte().c.id)))
        .values(lease_until=now() + int(lease_seconds * SECOND))
        .execution_options(synchronize_session=False)
    )


def finish(
    session: Session, claimed: Claim, outcome: Success | Failure, *, window: int, next_lease: float | None = None
) -> FollowUp | None:
    """End an image, and with its last one the order; None if the claim was lost meanwhile: then nothing changes.

    With `next_lease`, in seconds, the order's next image is claimed at once, unless another order's waits in the queue.
    """
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
                "engine": outcome.engine,
            }
        case Failure():
            values = {"state": ImageState.FAILED, "reason": outcome.reason, "message": outcome.message}
    if not _end_claim(session, claimed, order, _FINISH, values):
        return None
    succeeded = isinstance(outcome, Success)
    emails = orders.count_ended(session, order, succeeded=int(succeeded), failed=int(not succeeded))
    ended = ImageState.SUCCEEDED if succeeded else ImageState.FAILED
    reason = outcome.reason if isinstance(outcome, Failure) else None
    if emails is not None:
        return FollowUp(emails=emails, image_ended=ended, reason=reason, order_ended=True)
    if next_lease is not None:
        # In the place of the one that has ended; what else there may be room for enters with the turn's last.
        following = _claim(session, order, _CLAIM_NEXT, {"own_id": order.id}, next_lease)
        if following:
            return FollowUp(claim=following, image_ended=ended, reason=reason)
    return FollowUp(images=windows.refill(session, order.id, window), image_ended=ended, reason=reason)


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


def release(session: Session, claimed: Claim, *, crashed: bool, window: int, counted: bool = True) -> FollowUp | None:
    """Put an image back for a later attempt, or end it after too many; None if the claim was lost meanwhile.

    An attempt that is not `counted` was none of the image: something that it needs was away.
    """
    crashes = claimed.crashes + crashed
    if crashes >= MAX_CRASHES:
        return finish(session, claimed, Failure(Reason.CRASHED, CRASHED), window=window)
    if counted and claimed.attempts >= MAX_ATTEMPTS:
        return finish(session, claimed, Failure(Reason.INTERNAL, GAVE_UP), window=window)
    if (order := orders.lock(session, claimed.order_id)) is None:
        return None
    attempts = claimed.attempts if counted else claimed.attempts - 1
    delay = retry_delay(claimed.attempts) if counted else AWAY_SECONDS
    values = {"crashes": crashes, "attempts": attempts, "delay": int(delay * SECOND)}
    if not _end_claim(session, claimed, order, _RELEASE, values):
        return None
    return FollowUp(images=windows.refill(session, order.id, window))


AWAY_SECONDS = 5.0
"""How long to wait for what an image needs."""
CRASHED = "working on this image brought the worker down, repeatedly"
GAVE_UP = f"the image could not be finished in {MAX_ATTEMPTS} attempts"


def _end_claim(session: Session, claimed: Claim, order: Order, how: Update, values: Mapping[str, object]) -> bool:
    result = session.execute(
        how, {"image_id": claimed.image_id, "claimed_by": claimed.owner, "revision": order.revision, **values}
    )
    if cast("CursorResult[tuple[()]]", result).rowcount == 1:
        return True
    session.rollback()
    return False


def changed_since(session: Session, order_id: UUID, revision: int) -> list[Image]:
    """Images that changed after `revision`, by position; to be read only, rows as they came: see `orders.lock`."""
    return cast("list[Image]", session.execute(_CHANGED, {"shown_id": order_id, "seen": revision}).all())


def page(
    session: Session, order_id: UUID, *, after: int = 0, limit: int, state: ImageState | None = None
) -> list[Image]:
    """Images with a position above `after`, by position."""
    query = select(Image).where(Image.order_id == order_id, Image.position > after)
    if state:
        query = query.where(Image.state == state)
    return list(session.scalars(query.order_by(Image.position).limit(limit)))
