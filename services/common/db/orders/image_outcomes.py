"""Ends of claims: an image is finished, fetched, or released for another attempt."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from sqlalchemy import Update, bindparam, func, select, update
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.models import Image, Order, sql_literal, table
from services.common.db.orders import image_claims, orders, windows
from services.common.db.orders.blob_cleanup import surplus_keys
from services.common.db.orders.image_claims import ImageClaim
from services.common.db.rows import changed_one
from services.common.domain.errors import Reason
from services.common.domain.findings import Inspection
from services.common.domain.follow_up import FollowUp
from services.common.domain.orders import ImageQueue, ImageState, queue_for
from services.common.domain.retries import IMAGE_RETRIES, MAX_ATTEMPTS, MAX_CRASHES, UNAVAILABLE_DELAY
from services.common.domain.spec import BlurSpec

CRASHED = "the image crashed the process that blurs it, repeatedly"
TOO_MANY_ATTEMPTS = f"the image could not be finished in {MAX_ATTEMPTS} attempts"


@dataclass(frozen=True, kw_only=True)
class Success:
    """The result of an image; sizes in bytes and pixels, `sha256` as hex."""

    size: int
    sha256: str
    width: int
    height: int
    format: str
    engine: str | None = None
    """What blurred it, with its version."""
    inspection: Inspection | None = None
    """What was found; None if nothing was to be found."""
    crc32: int | None = None
    """None: not known."""


@dataclass(frozen=True)
class Failure:
    """Why an image will never be blurred."""

    reason: Reason
    message: str


@dataclass(frozen=True, kw_only=True)
class EndedOrder:
    """The numbers of an order's images when its last one has ended."""

    images: int
    failed: int
    cancelled: int


@dataclass(frozen=True, kw_only=True)
class EndedClaim:
    """What followed from the end of a claim."""

    follow_up: FollowUp
    image_state: ImageState | None = None
    """The image's final state; None if it is tried again."""
    surplus_keys: Sequence[str] = ()
    """Keys of blobs that it does not keep in that state."""
    next_claims: Sequence[ImageClaim] = ()
    """The order's next images, claimed for the same worker."""
    ended_order: EndedOrder | None = None
    """Set if this was the last image of its order."""


_IMAGES = table(Image)
_END_CLAIM = (
    update(_IMAGES)
    .where(
        _IMAGES.c.id == bindparam("image_id"),
        _IMAGES.c.state == sql_literal(ImageState.RUNNING),
        _IMAGES.c.owner == bindparam("claimed_by"),
    )
    .values(owner=None, lease_until=None)
)
_FINISH = _END_CLAIM.values(finished_at=now())
_SET_INPUT_BYTES = (
    update(table(Order)).where(table(Order).c.id == bindparam("fetched_of")).values(input_bytes=bindparam("added_up"))
)
_RELEASE = _END_CLAIM.values(state=ImageState.QUEUED, enqueued_at=None, not_before=now() + bindparam("delay"))


def finish(
    session: Session,
    claimed: ImageClaim,
    outcome: Success | Failure,
    *,
    window: int,
    next_lease: float | None = None,
    most_next: int = 1,
) -> EndedClaim | None:
    """End an image, as `finish_all` does; None, without changes, if the claim was lost."""
    outcomes = [(claimed, outcome)]
    return finish_all(session, outcomes, window=window, next_lease=next_lease, most_next=most_next)[0]


def finish_all(
    session: Session,
    outcomes: Sequence[tuple[ImageClaim, Success | Failure]],
    *,
    window: int,
    next_lease: float | None = None,
    most_next: int = 1,
) -> list[EndedClaim | None]:
    """End images of one order and queue, and with its last image the order; None for each claim that was lost.

    With `next_lease`, in seconds, the order's next images in the queue are claimed too, unless one of another order is
    enqueued there: up to `most_next`, and of the last ones fewer, so that there is work for others.

    Returns:
        What followed for each; what concerns the order is in the last one that is not None.
    """
    first = outcomes[0][0]
    if (order := orders.lock(session, first.order_id)) is None:
        return [None] * len(outcomes)
    ended = [_end(session, claimed, order, outcome) for claimed, outcome in outcomes]
    states = [each.image_state for each in ended if each]
    if not states:
        session.rollback()
        return ended
    succeeded = states.count(ImageState.SUCCEEDED)
    failed = len(states) - succeeded
    follow_up = orders.count_ended(session, order, succeeded=succeeded, failed=failed)
    next_claims: Sequence[ImageClaim] = ()
    ended_order: EndedOrder | None = None
    if follow_up:
        ended_order = EndedOrder(images=order.total, failed=order.failed + failed, cancelled=order.cancelled)
    else:
        # In the place of the images that have ended. The window is refilled after the last image of the time slice.
        if next_lease is not None:
            left = order.total - order.succeeded - order.failed - order.cancelled - len(states)
            most = max(1, min(most_next, left // window))
            next_claims = image_claims.claim_next(session, order, first.queue, most=most, lease_seconds=next_lease)
        follow_up = (
            FollowUp(changed_order_ids=[order.id]) if next_claims else _refill(session, order, first.queue, window)
        )
    last = max(index for index, each in enumerate(ended) if each)
    ended[last] = replace(
        cast("EndedClaim", ended[last]), follow_up=follow_up, next_claims=next_claims, ended_order=ended_order
    )
    return ended


def _end(session: Session, claimed: ImageClaim, order: Order, outcome: Success | Failure) -> EndedClaim | None:
    values: dict[str, object]
    match outcome:
        case Success():
            values = {
                "state": ImageState.SUCCEEDED,
                "output_bytes": outcome.size,
                "output_sha256": outcome.sha256,
                "output_crc32": None if outcome.crc32 is None else f"{outcome.crc32:08x}{outcome.sha256[:8]}",
                "width": outcome.width,
                "height": outcome.height,
                "format": outcome.format,
                "engine": outcome.engine,
                "generation": claimed.generation,
            }
            values |= {
                "findings": outcome.inspection and outcome.inspection.to_json(),
                "check_state": outcome.inspection and outcome.inspection.check.state,
                "found": outcome.inspection and outcome.inspection.counts_json(),
            }
            if claimed.previous_state:
                values |= {"spec": claimed.spec, "revised_spec": None, "reason": None, "message": None}
        case Failure():
            # A revision that fails leaves the former result; the reason shows it.
            state = claimed.previous_state or ImageState.FAILED
            values = {"state": state, "reason": outcome.reason, "message": outcome.message, "revised_spec": None}
    if not _end_claim(session, claimed, order, _FINISH, values):
        return None
    state = ImageState(cast("str", values["state"]))
    surplus = surplus_keys(
        order.id,
        claimed.position,
        state,
        outcome.reason if isinstance(outcome, Failure) else None,
        keeps_original=order.originals_seconds > 0,
        generation=claimed.generation if isinstance(outcome, Success) else claimed.previous_generation,
        next_generation=claimed.generation,
    )
    return EndedClaim(follow_up=FollowUp(), image_state=state, surplus_keys=surplus)


def finish_fetch(
    session: Session, claimed: ImageClaim, *, size: int, sha256: str, max_order_bytes: int, window: int
) -> EndedClaim | None:
    """Queue an image to be blurred whose original was fetched; None, without changes, if the claim was lost.

    It fails if the order is larger with it than `max_order_bytes`.
    """
    if (order := orders.lock(session, claimed.order_id)) is None:
        return None
    # Kept in the order's row: to add up its images after each of them would take n² for n images.
    order_bytes = order.input_bytes
    if order_bytes is None:
        every = select(func.sum(Image.input_bytes)).where(Image.order_id == order.id)
        order_bytes = int(session.scalar(every) or 0)
    order_bytes += size - claimed.input_bytes
    if claimed.input_bytes != size and order_bytes > max_order_bytes:
        message = f"the images of the order are larger than {max_order_bytes} bytes together"
        return finish(session, claimed, Failure(Reason.TOO_LARGE, message), window=window)
    queue = queue_for(BlurSpec.from_json(claimed.spec))
    values = {
        "state": ImageState.QUEUED,
        "queue": queue,
        "enqueued_at": None,
        "not_before": 0,
        "attempts": 0,
        "crashes": 0,
        "input_bytes": size,
        "input_sha256": sha256,
    }
    if not _end_claim(session, claimed, order, _END_CLAIM, values):
        session.rollback()
        return None
    session.execute(_SET_INPUT_BYTES, {"fetched_of": order.id, "added_up": order_bytes})
    enqueued = [image for each in (queue, claimed.queue) for image in windows.refill(session, order.id, each, window)]
    return EndedClaim(follow_up=FollowUp(images=enqueued, changed_order_ids=[order.id]))


def release_expired(session: Session, claimed: ImageClaim, *, window: int) -> EndedClaim | None:
    """Release an image whose lease has run out; None if its owner has renewed it or finished meanwhile."""
    # The order first, as in all transactions: while its row is locked the image cannot be finished.
    if orders.lock(session, claimed.order_id) is None:
        return None
    expired = select(Image.id).where(
        Image.id == claimed.image_id, Image.owner == claimed.owner, Image.lease_until < now()
    )
    if session.scalar(expired.with_for_update()) is None:
        session.rollback()
        return None
    return release(session, claimed, crashed=False, window=window)


def release(
    session: Session, claimed: ImageClaim, *, crashed: bool, window: int, counted: bool = True, begun: bool = True
) -> EndedClaim | None:
    """Release an image for a later attempt, or end it after too many; None if the claim was lost.

    `crashed`: the child process died while it worked on the image. An attempt is not `counted` if a dependency was
    unavailable. An image whose attempt was not `begun` may be claimed again at once.
    """
    crashes = claimed.crashes + crashed
    if crashes >= MAX_CRASHES:
        return finish(session, claimed, Failure(Reason.CRASHED, CRASHED), window=window)
    if counted and claimed.attempts >= MAX_ATTEMPTS:
        return finish(session, claimed, Failure(Reason.INTERNAL, TOO_MANY_ATTEMPTS), window=window)
    if (order := orders.lock(session, claimed.order_id)) is None:
        return None
    attempts = claimed.attempts if counted else claimed.attempts - 1
    delay = IMAGE_RETRIES.delay(claimed.attempts) if counted else UNAVAILABLE_DELAY if begun else 0
    values = {"crashes": crashes, "attempts": attempts, "delay": int(delay * SECOND)}
    if not _end_claim(session, claimed, order, _RELEASE, values):
        session.rollback()
        return None
    return EndedClaim(follow_up=_refill(session, order, claimed.queue, window))


def _refill(session: Session, order: Order, queue: ImageQueue, window: int) -> FollowUp:
    return FollowUp(images=windows.refill(session, order.id, queue, window), changed_order_ids=[order.id])


def _end_claim(session: Session, claimed: ImageClaim, order: Order, how: Update, values: Mapping[str, object]) -> bool:
    result = session.execute(
        how, {"image_id": claimed.image_id, "claimed_by": claimed.owner, "revision": order.revision, **values}
    )
    return changed_one(result)
