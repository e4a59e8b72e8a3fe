"""Statements about images, e-mails and events for webhooks that FAILED: lists, and numbers by reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast
from uuid import UUID

from sqlalchemy import Row, Select, case, false, func, literal, or_, select, true, union_all
from sqlalchemy.orm import InstrumentedAttribute, Session

from services.common.db import pages
from services.common.db.models import (
    EMAIL_IS_FAILURE,
    IMAGE_IS_FAILURE,
    WEBHOOK_IS_FAILURE,
    Delivery,
    Email,
    Image,
    WebhookEvent,
)
from services.common.domain.errors import Reason
from services.common.domain.failures import FILE_REASONS, NO_MAILBOX_CODES, Cause
from services.common.domain.orders import ImageQueue
from services.common.domain.retries import RETRYABLE

Kind = Literal["IMAGE", "EMAIL", "WEBHOOK"]
KINDS: tuple[Kind, ...] = ("IMAGE", "EMAIL", "WEBHOOK")
"""Kinds in the order in which they are listed."""


@dataclass(frozen=True, kw_only=True)
class FailureFilter:
    """Conditions on failures; None does not count."""

    kind: Kind | None = None
    reason: Reason | None = None
    order_id: UUID | None = None
    cause: Cause | None = None
    from_time: int | None = None
    """Microseconds since 1970."""
    to_time: int | None = None


@dataclass(frozen=True)
class FailureCursor:
    """The last failure of a page."""

    kind: Kind
    time: int
    id: UUID


# An e-mail stores the mail server's reply, which begins with 5 if the server refused it permanently (RFC 5321, 4.2.1).
_EMAIL_REASON = func.coalesce(
    Delivery.reason, case((Email.smtp_reply.like("5%"), Reason.MAIL_REFUSED.value), else_=Reason.MAIL_UNREACHABLE.value)
)
_NO_MAILBOX = or_(*(Email.smtp_reply.like(f"5__{mark}{code} %") for code in NO_MAILBOX_CODES for mark in (" ", "-")))
SERVICE_IMAGE = Image.reason.not_in(FILE_REASONS)
"""The condition that an image which FAILED is for operators to look at."""
SERVICE_EMAIL = func.coalesce(~_NO_MAILBOX, true())
"""The same for an e-mail."""
_IMAGE_TIME = Image.finished_at
_EMAIL_TIME = func.coalesce(Email.started_at, Email.enqueued_at, 0)
_OF_IMAGES = select(
    literal("IMAGE").label("kind"),
    Image.id.label("id"),
    Image.order_id.label("order_id"),
    Image.position.label("position"),
    Image.reason.label("reason"),
    Image.message.label("message"),
    Image.attempts.label("attempts"),
    _IMAGE_TIME.label("time"),
    case((Image.reason.in_(RETRYABLE), 1), else_=0).label("retryable"),
    case((SERVICE_IMAGE, Cause.SERVICE.value), else_=Cause.FILE.value).label("cause"),
).where(IMAGE_IS_FAILURE)
_OF_EMAILS = (
    select(
        literal("EMAIL").label("kind"),
        Email.id.label("id"),
        Delivery.order_id.label("order_id"),
        Email.part.label("position"),
        _EMAIL_REASON.label("reason"),
        Email.smtp_reply.label("message"),
        Email.attempts.label("attempts"),
        _EMAIL_TIME.label("time"),
        case((Email.mailing_id.is_(None) & SERVICE_EMAIL, 1), else_=0).label("retryable"),
        case((SERVICE_EMAIL, Cause.SERVICE.value), else_=Cause.RECIPIENT.value).label("cause"),
    )
    .outerjoin(Delivery, Delivery.id == Email.delivery_id)
    .where(EMAIL_IS_FAILURE)
)
_OF_EVENTS = select(
    literal("WEBHOOK").label("kind"),
    WebhookEvent.id.label("id"),
    WebhookEvent.order_id.label("order_id"),
    literal(0).label("position"),
    literal(Reason.WEBHOOK_REFUSED.value).label("reason"),
    WebhookEvent.message.label("message"),
    WebhookEvent.attempts.label("attempts"),
    WebhookEvent.finished_at.label("time"),
    literal(1).label("retryable"),
    literal(Cause.RECIPIENT.value).label("cause"),
).where(WEBHOOK_IS_FAILURE)


def list_failures(
    session: Session, which: FailureFilter, *, after: FailureCursor | None, limit: int
) -> list[Row[tuple[object, ...]]]:
    """Return a page of failures: first images, then e-mails, then events for webhooks, the newest of each first."""
    found: list[Row[tuple[object, ...]]] = []
    for kind, query in _narrowed(which).items():
        if len(found) == limit or (after and KINDS.index(kind) < KINDS.index(after.kind)):
            continue
        columns = query.subquery().c
        last = (after.time, after.id) if after and after.kind == kind else None
        ordered = select(*columns)
        left = limit - len(found)
        found.extend(
            session.execute(pages.page(ordered, columns.time, columns.id, after=last, limit=left, descending=True))
        )
    return found


@dataclass(frozen=True, kw_only=True)
class FailureGroup:
    """Failures of one kind, reason and cause."""

    kind: Kind
    reason: str
    cause: Cause
    number: int
    retryable: int
    """How many of them can be retried."""
    message: str | None
    """Message of one of them."""


def count_by_reason(session: Session, which: FailureFilter) -> list[FailureGroup]:
    """Count the failures of each kind, reason and cause; those of the service first, then the most frequent."""
    queries = _narrowed(which)
    groups = _group_images(session, queries["IMAGE"]) if "IMAGE" in queries else []
    groups += [group for kind in ("EMAIL", "WEBHOOK") if kind in queries for group in _group(session, queries[kind])]
    return sorted(groups, key=lambda group: (group.cause is not Cause.SERVICE, -group.number))


def _group_images(session: Session, query: Select[Any]) -> list[FailureGroup]:
    # The index alone has the numbers; a failure has its cause, and can be retried, by its reason.
    counts = query.with_only_columns(Image.reason, func.count()).group_by(Image.reason)
    example = query.with_only_columns(Image.message).limit(1)
    return [
        FailureGroup(
            kind="IMAGE",
            reason=reason or "",
            cause=Cause.FILE if reason in FILE_REASONS else Cause.SERVICE,
            number=number,
            retryable=number if reason in RETRYABLE else 0,
            message=session.scalar(example.where(Image.reason == reason)),
        )
        for reason, number in session.execute(counts).all()
    ]


def _group(session: Session, query: Select[Any]) -> list[FailureGroup]:
    columns = query.subquery().c
    counts = select(
        columns.kind,
        columns.reason,
        columns.cause,
        func.count().label("number"),
        func.max(columns.message).label("message"),
        func.sum(columns.retryable).label("retryable"),
    ).group_by(columns.kind, columns.reason, columns.cause)
    return [
        FailureGroup(
            kind=row.kind,
            reason=row.reason,
            cause=Cause(row.cause),
            number=row.number,
            retryable=row.retryable,
            message=row.message,
        )
        for row in session.execute(counts)
    ]


def list_ids(
    session: Session, which: FailureFilter, *, retryable: bool, limit: int
) -> tuple[list[tuple[Kind, UUID]], int]:
    """Return kinds and ids of the first failures that match, and the number of all that match."""
    all_of_them = union_all(*_narrowed(which).values()).subquery()
    query = select(all_of_them.c.kind, all_of_them.c.id)
    if retryable:
        query = query.where(all_of_them.c.retryable == 1)
    total = session.scalar(select(func.count()).select_from(query.subquery())) or 0
    return [(row.kind, row.id) for row in session.execute(query.limit(limit))], total


def count(session: Session, which: FailureFilter, *, ids: Sequence[UUID] | None = None, retryable: bool = False) -> int:
    """Return how many failures match; of some ids only, if they are given; only those that can be retried."""
    all_of_them = union_all(*_narrowed(which).values()).subquery()
    query = select(func.count()).select_from(all_of_them)
    if retryable:
        query = query.where(all_of_them.c.retryable == 1)
    if ids is not None:
        query = query.where(all_of_them.c.id.in_(ids))
    return session.scalar(query) or 0


def count_images_by_reason(session: Session, queue: ImageQueue) -> dict[str, int]:
    """Return the number of images of a queue that failed, by reason."""
    counts = select(Image.reason, func.count()).where(IMAGE_IS_FAILURE, Image.queue == queue).group_by(Image.reason)
    return {reason or "": number for reason, number in session.execute(counts)}


def get_kinds(session: Session, failure_ids: Sequence[UUID]) -> dict[UUID, Kind]:
    """Return of which kind these ids are."""
    ids: dict[Kind, InstrumentedAttribute[UUID]] = {"IMAGE": Image.id, "EMAIL": Email.id, "WEBHOOK": WebhookEvent.id}
    return {
        found: kind for kind, key in ids.items() for found in session.scalars(select(key).where(key.in_(failure_ids)))
    }


def _narrowed(which: FailureFilter) -> dict[Kind, Select[Any]]:
    images, emails, events = _OF_IMAGES, _OF_EMAILS, _OF_EVENTS
    if which.reason:
        images = images.where(Image.reason == which.reason)
        emails = emails.where(_EMAIL_REASON.in_([which.reason]))
        events = events.where(true() if which.reason is Reason.WEBHOOK_REFUSED else false())
    if which.order_id:
        images = images.where(Image.order_id == which.order_id)
        emails = emails.where(Delivery.order_id == which.order_id)
        events = events.where(WebhookEvent.order_id == which.order_id)
    if which.cause:
        images = images.where({Cause.SERVICE: SERVICE_IMAGE, Cause.FILE: ~SERVICE_IMAGE}.get(which.cause, false()))
        emails = emails.where({Cause.SERVICE: SERVICE_EMAIL, Cause.RECIPIENT: ~SERVICE_EMAIL}.get(which.cause, false()))
        events = events.where(true() if which.cause is Cause.RECIPIENT else false())
    queries: dict[Kind, Select[Any]] = {"IMAGE": images, "EMAIL": emails, "WEBHOOK": cast("Select[Any]", events)}
    times = {"IMAGE": _IMAGE_TIME, "EMAIL": _EMAIL_TIME, "WEBHOOK": WebhookEvent.finished_at}
    if which.from_time is not None:
        queries = {kind: query.where(which.from_time <= times[kind]) for kind, query in queries.items()}
    if which.to_time is not None:
        queries = {kind: query.where(which.to_time > times[kind]) for kind, query in queries.items()}
    return {kind: query for kind, query in queries.items() if which.kind in {None, kind}}
