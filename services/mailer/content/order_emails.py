"""Drafts e-mails about orders from rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from services.common.archive import summary
from services.common.archive.result_names import result_names
from services.common.db.clock import to_datetime
from services.common.db.mail.emails import EmailClaim
from services.common.db.models import Image, Order
from services.common.db.orders import images
from services.common.domain.errors import Reason
from services.common.domain.orders import ImageState, OrderState, result_key
from services.common.domain.spec import Format
from services.common.infra.tokens import Tokens
from services.mailer.content import thumbnails
from services.mailer.content.models import MAX_LISTED_FAILURES, Draft, FailedImage, File, OrderReady, Preview
from services.mailer.content.parts import MAX_PARTS, plan_parts


@dataclass(frozen=True)
class Links:
    """What e-mails about orders link to."""

    tokens: Tokens
    public_url: str | None

    def order(self, order_id: UUID) -> str | None:
        """The order's page."""
        return f"{self.public_url}/orders/{order_id}" if self.public_url else None

    def archive(self, order_id: UUID) -> str | None:
        """The order's results, as an archive."""
        return f"{self.public_url}/archive?token={self.tokens.archive(order_id)}" if self.public_url else None


def draft_order_email(session: Session, claim: EmailClaim, *, capacity: int, links: Links) -> Draft | None:
    """The claimed part of an order's e-mail; None if it is not wanted any more."""
    order = session.get(Order, claim.order_id)
    if order is None or order.email is None or order.state in {OrderState.EXPIRED, OrderState.CANCELLED}:
        return None
    found = images.list_images(session, order.id, limit=order.total)
    done = [image for image in found if image.state == ImageState.SUCCEEDED]
    failed = [image for image in found if image.state == ImageState.FAILED]
    # Named among all that are done, so that names agree between parts and with what is downloaded.
    names = result_names((image.filename, Format(image.format or "")) for image in done)
    lines = [summary.line(order, image, name) for image, name in zip(done, names, strict=True)]
    failed_lines = [summary.line(order, image, None) for image in failed]
    sizes = [image.output_bytes + line.size for image, line in zip(done, lines, strict=True)]
    # With a page to fetch a large archive from, one e-mail is enough.
    most = 1 if links.public_url else MAX_PARTS
    plan = plan_parts(sizes, capacity, most=most, extra=sum(line.size for line in failed_lines)) or []
    if claim.part > max(1, len(plan)):
        # Left from before the limit was raised: the parts before it carry everything.
        return None
    inside = plan[claim.part - 1] if plan else range(0)
    positions = [done[index].position for index in inside]
    content = _content(order, failed, part=claim.part, parts=len(plan), positions=positions, links=links)
    inside_lines = [lines[index] for index in inside] + (failed_lines if claim.part == 1 else [])
    return Draft(
        to=order.email,
        locale=order.locale,
        content=content,
        files=[_file(order, done[index], names[index]) for index in inside],
        receipt=summary.files(order, inside_lines) if inside else (),
        ordered_at=to_datetime(order.created_at),
        previews=_previews(order, [done[index] for index in inside] if inside else done),
        parts=max(1, len(plan)),
    )


def _content(
    order: Order, failed: Sequence[Image], *, part: int, parts: int, positions: Sequence[int], links: Links
) -> OrderReady:
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
        order_url=links.order(order.id),
        archive_url=links.archive(order.id) if order.succeeded and not parts else None,
    )


def _file(order: Order, image: Image, name: str) -> File:
    return File(name, result_key(order.id, image.position), image.output_bytes, image.output_sha256 or "")


def _previews(order: Order, done: Sequence[Image]) -> list[Preview]:
    small = [image for image in done if thumbnails.possible(image)]
    return [Preview(image.position, result_key(order.id, image.position)) for image in small[: thumbnails.MOST]]
