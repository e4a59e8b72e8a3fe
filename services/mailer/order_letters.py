"""Drafts letters about orders from rows."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from services.common.db import images
from services.common.db.clock import to_datetime
from services.common.db.letters import Claim
from services.common.db.models import Image, Order
from services.common.errors import Reason
from services.common.names import result_names
from services.common.orders import ImageState, OrderState, result_key
from services.common.spec import Format
from services.mailer.contents import MAX_LISTED_FAILURES, Draft, FailedImage, File, OrderReady
from services.mailer.parts import plan_parts


def draft_order_letter(session: Session, claim: Claim, *, capacity: int) -> Draft | None:
    """The claimed part of an order's letter; None if it is not wanted any more."""
    order = session.get(Order, claim.order_id)
    if order is None or order.email is None or order.state in {OrderState.EXPIRED, OrderState.CANCELLED}:
        return None
    found = images.page(session, order.id, limit=order.total)
    done = [image for image in found if image.state == ImageState.SUCCEEDED]
    plan = plan_parts([image.output_bytes for image in done], capacity) or []
    if claim.part > max(1, len(plan)):
        # Left from before the limit was raised: the parts before it carry everything.
        return None
    # Named among all that are done, so that names agree between parts and with what is downloaded.
    names = result_names((image.filename, Format(image.format or "")) for image in done)
    inside = plan[claim.part - 1] if plan else range(0)
    return Draft(
        to=order.email,
        locale=order.locale,
        content=_content(order, found, claim.part, len(plan), [done[index].position for index in inside]),
        files=[File(names[index], result_key(order.id, done[index].position)) for index in inside],
        parts=max(1, len(plan)),
    )


def _content(order: Order, found: Sequence[Image], part: int, parts: int, positions: Sequence[int]) -> OrderReady:
    failed = [image for image in found if image.state == ImageState.FAILED]
    return OrderReady(
        order_id=str(order.id),
        total=order.total,
        succeeded=order.succeeded,
        failures=[
            FailedImage(image.position, Reason(image.reason or Reason.INTERNAL), image.message or "")
            for image in failed[:MAX_LISTED_FAILURES]
        ],
        unlisted_failures=max(0, len(failed) - MAX_LISTED_FAILURES),
        expires_at=to_datetime(order.expires_at),
        part=part,
        parts=parts,
        first=positions[0] if positions else 0,
        last=positions[-1] if positions else 0,
    )
