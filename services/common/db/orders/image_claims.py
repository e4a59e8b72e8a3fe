"""Claims: the right of a worker to an image, taken, checked and renewed."""

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import cast
from uuid import UUID, uuid4

from sqlalchemy import Update, bindparam, select, update
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.models import Image, Order, sql_literal, table
from services.common.db.orders import orders, windows
from services.common.domain.orders import ImageQueue, ImageState


@dataclass(frozen=True, kw_only=True)
class ImageClaim:
    """The right of one worker to an image, until the lease runs out."""

    image_id: UUID
    order_id: UUID
    position: int
    spec: str
    """As JSON; the image's own or its order's."""
    owner: UUID
    attempts: int
    """This one included."""
    crashes: int
    queue: ImageQueue
    generation: int = 0
    """Generation of the result that this attempt makes."""
    previous_state: ImageState | None = None
    """In a revision: how the image had ended, and ends again if the revision fails."""
    previous_generation: int = 0
    """Generation of the former result."""
    source: str | None = None
    """Where the original is fetched from, as JSON."""
    input_bytes: int = 0
    """Size of the original, in bytes; before it is fetched an estimate, or 0."""
    target: str | None = None
    """Where the result is written besides the blob store: `place:key`, without an extension."""


_IMAGES = table(Image)
_ORDER_OF_ENQUEUED = select(_IMAGES.c.order_id).where(
    _IMAGES.c.id == bindparam("image_id"), _IMAGES.c.queue == bindparam("served_queue"), windows.ENQUEUED
)
_CLAIM_IMAGE = (
    update(_IMAGES)
    .values(
        state=ImageState.RUNNING,
        owner=bindparam("claimed_by"),
        lease_until=now() + bindparam("lease"),
        attempts=_IMAGES.c.attempts + 1,
        claims=_IMAGES.c.claims + 1,
        started_at=now(),
        worker=bindparam("worked_by"),
        revision=bindparam("seen_as"),
    )
    .returning(
        *(
            _IMAGES.c[name]
            for name in (
                "id",
                "order_id",
                "position",
                "spec",
                "attempts",
                "crashes",
                "queue",
                "owner",
                "format",
                "revised_spec",
                "generation",
                "next_generation",
                "source",
                "input_bytes",
                "target",
            )
        )
    )
)
_CLAIM = _CLAIM_IMAGE.where(_IMAGES.c.id == bindparam("image_id"), windows.ENQUEUED)
_CLAIM_NEXT = _CLAIM_IMAGE.where(
    _IMAGES.c.id.in_(windows.first_waiting(bindparam("own_id"), bindparam("most_next"))),
    ~windows.others_enqueued(bindparam("own_id")),
).values(enqueued_at=now())
_HOLDS = select(
    select(_IMAGES.c.id)
    .where(
        _IMAGES.c.id == bindparam("image_id"),
        _IMAGES.c.state == sql_literal(ImageState.RUNNING),
        _IMAGES.c.owner == bindparam("claimed_by"),
    )
    .exists()
)


def claim(
    session: Session, image_id: UUID, *, lease_seconds: float, queue: ImageQueue = ImageQueue.BLUR
) -> ImageClaim | None:
    """Claim an image that was enqueued; None if another worker has it, or it was cancelled or deleted.

    None too if it waits for a place in the window or for its next attempt: another message follows then. And if it
    belongs to another queue than `queue`: a scheduler of the version before knows one queue only.
    """
    order_id = session.scalar(_ORDER_OF_ENQUEUED, {"image_id": image_id, "served_queue": queue})
    order = order_id and orders.lock_and_start(session, order_id)
    if not order:
        return None
    claims = _claim(session, order, _CLAIM, {"image_id": image_id}, lease_seconds)
    if not claims:
        session.rollback()
        return None
    return claims[0]


def claim_next(
    session: Session, order: Order, queue: ImageQueue, *, most: int, lease_seconds: float
) -> list[ImageClaim]:
    """Claim up to `most` waiting images of a locked order, by position; none while another order's is enqueued."""
    which = {"own_id": order.id, "served_queue": queue, "most_next": most}
    claims = _claim(session, order, _CLAIM_NEXT, which, lease_seconds)
    return sorted(claims, key=lambda claim: claim.position)


def _claim(
    session: Session, order: Order, how: Update, which: Mapping[str, object], lease_seconds: float
) -> list[ImageClaim]:
    owner, lease = uuid4(), int(lease_seconds * SECOND)
    values = {"claimed_by": owner, "lease": lease, "worked_by": _this_worker(), "seen_as": order.revision}
    rows = session.execute(how, {**values, **which})
    return [claim_of(cast("Image", row), order.spec) for row in rows]


@cache
def _this_worker() -> str:
    """Return the name of this process. Only the process that claims calls it, after all forks."""
    return f"{socket.gethostname()}/{os.getpid()}"


def claim_of(image: Image, order_spec: str) -> ImageClaim:
    """Return the claim on an image that is RUNNING."""
    assert image.owner
    previous_state = None
    if image.revised_spec is not None:
        previous_state = ImageState.SUCCEEDED if image.format is not None else ImageState.FAILED
    return ImageClaim(
        image_id=image.id,
        order_id=image.order_id,
        position=image.position,
        spec=image.revised_spec or image.spec or order_spec,
        owner=image.owner,
        attempts=image.attempts,
        crashes=image.crashes,
        queue=ImageQueue(image.queue),
        generation=image.next_generation,
        previous_state=previous_state,
        previous_generation=image.generation,
        source=image.source,
        input_bytes=image.input_bytes,
        target=image.target,
    )


def holds(session: Session, claimed: ImageClaim) -> bool:
    """Return whether a claim is still valid: nobody else has claimed, cancelled or deleted the image meanwhile."""
    return bool(session.scalar(_HOLDS, {"image_id": claimed.image_id, "claimed_by": claimed.owner}))


def renew_claims(session: Session, owners: Sequence[UUID], *, lease_seconds: float) -> None:
    """Extend the leases that these owners still hold."""
    # The orders are not locked: see the module `outbox`. A row that is locked is about to lose its claim anyway.
    held = select(Image.id).where(Image.owner.in_(owners), Image.state == ImageState.RUNNING)
    session.execute(
        update(Image)
        .where(Image.id.in_(select(held.with_for_update(skip_locked=True).cte().c.id)))
        .values(lease_until=now() + int(lease_seconds * SECOND))
    )
