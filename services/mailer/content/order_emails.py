"""Drafts order e-mails from rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from services.common.archive import summary
from services.common.archive.result_names import result_names
from services.common.db.clock import to_datetime
from services.common.db.mail.emails import EmailClaim
from services.common.db.models import Image, Order, has_result
from services.common.db.orders import images
from services.common.domain.errors import Reason
from services.common.domain.findings import CheckState, Inspection
from services.common.domain.orders import ImageState, OrderState, result_key
from services.common.domain.spec import Format
from services.common.infra.signing.tokens import Tokens
from services.mailer.content import thumbnails
from services.mailer.content.email_content import (
    MAX_LISTED_FAILURES,
    AttachedResult,
    Draft,
    FailedImage,
    OrderReady,
    PreviewedImage,
    Searched,
)
from services.mailer.content.result_parts import MAX_PARTS, plan_parts


@dataclass(frozen=True, kw_only=True)
class OrderLinks:
    """The links in order e-mails."""

    tokens: Tokens
    public_url: str | None

    def order(self, order_id: UUID) -> str | None:
        """Return the link to the order's page."""
        return f"{self.public_url}/orders/{order_id}" if self.public_url else None

    def archive(self, order_id: UUID) -> str | None:
        """Return the link to the archive of results."""
        return f"{self.public_url}/archive?token={self.tokens.archive(order_id)}" if self.public_url else None


def draft_order_email(session: Session, claim: EmailClaim, *, capacity: int, links: OrderLinks) -> Draft | None:
    """Draft the claimed part of an order's e-mail; None if it is not wanted any more."""
    order = session.get(Order, claim.order_id)
    if order is None or order.email is None or order.state in {OrderState.EXPIRED, OrderState.CANCELLED}:
        return None
    found = images.list_images(session, order.id, limit=order.total)
    succeeded = [image for image in found if has_result(image)]
    failed = [image for image in found if image.state == ImageState.FAILED]
    # Named among all results, so that the names are the same in all parts and in a downloaded archive.
    names = result_names((image.filename, Format(image.format or "")) for image in succeeded)
    lines = [summary.line(order, image, name) for image, name in zip(succeeded, names, strict=True)]
    failed_lines = [summary.line(order, image, None) for image in failed]
    sizes = [image.output_bytes + line.size for image, line in zip(succeeded, lines, strict=True)]
    # With a link to download a large archive, one e-mail is enough.
    most = 1 if links.public_url else MAX_PARTS
    plan = plan_parts(sizes, capacity, most=most, extra=sum(line.size for line in failed_lines)) or []
    if claim.part > max(1, len(plan)):
        # Inserted before the limit was raised: the earlier parts carry everything.
        return None
    inside = plan[claim.part - 1] if plan else range(0)
    positions = [succeeded[index].position for index in inside]
    content = _content(
        order,
        failed,
        searched=_searched(succeeded),
        succeeded=len(succeeded),
        part=claim.part,
        parts=len(plan),
        positions=positions,
        links=links,
    )
    inside_lines = [lines[index] for index in inside] + (failed_lines if claim.part == 1 else [])
    return Draft(
        to=order.email,
        locale=order.locale,
        content=content,
        files=[_file(order, succeeded[index], names[index]) for index in inside],
        summary=summary.files(order, inside_lines) if inside else (),
        ordered_at=to_datetime(order.created_at),
        previews=_previews(order, [succeeded[index] for index in inside] if inside else succeeded),
        parts=max(1, len(plan)),
    )


def _searched(succeeded: Sequence[Image]) -> Searched | None:
    found = {image.position: Inspection.from_json(image.findings) for image in succeeded if image.findings}
    if not found:
        return None
    remaining = [position for position, one in found.items() if one.check.state is CheckState.REMAINING]
    return Searched(
        images=len(found),
        empty=sum(not one.findings for one in found.values()),
        hidden=sum(one.hidden for one in found.values()),
        remaining=remaining[:MAX_LISTED_FAILURES],
        unlisted_remaining=max(0, len(remaining) - MAX_LISTED_FAILURES),
    )


def _content(
    order: Order,
    failed: Sequence[Image],
    *,
    searched: Searched | None,
    succeeded: int,
    part: int,
    parts: int,
    positions: Sequence[int],
    links: OrderLinks,
) -> OrderReady:
    return OrderReady(
        order_id=str(order.id),
        total=order.total,
        succeeded=succeeded,
        ordered_at=to_datetime(order.created_at),
        failures=[
            FailedImage(
                position=image.position, reason=Reason(image.reason or Reason.INTERNAL), message=image.message or ""
            )
            for image in failed[:MAX_LISTED_FAILURES]
        ],
        unlisted_failures=max(0, len(failed) - MAX_LISTED_FAILURES),
        expires_at=to_datetime(order.expires_at),
        part=part,
        parts=parts,
        first_position=positions[0] if positions else 0,
        last_position=positions[-1] if positions else 0,
        searched=searched,
        order_url=links.order(order.id),
        archive_url=links.archive(order.id) if succeeded and not parts else None,
    )


def _file(order: Order, image: Image, name: str) -> AttachedResult:
    key = result_key(order.id, image.position, image.generation)
    return AttachedResult(
        name=name, key=key, size=image.output_bytes, digest=image.output_sha256 or "", crc32=image.result_crc32
    )


def _previews(order: Order, succeeded: Sequence[Image]) -> list[PreviewedImage]:
    shown = [image for image in succeeded if thumbnails.has_thumbnail(image)][: thumbnails.MAX_THUMBNAILS]
    return [
        PreviewedImage(position=image.position, key=result_key(order.id, image.position, image.generation))
        for image in shown
    ]
