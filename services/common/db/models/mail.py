"""Deliveries, e-mails, subscribers, mailings and operator jobs."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from services.common.db.models.base import Base, one_of, partial_index
from services.common.domain.mail import EmailKind, EmailState, MailingState, OperatorJobState, SubscriberState
from services.common.domain.orders import DeliveryState


class Delivery(Base):
    """A request for an order's results by mail; at most one is open."""

    __tablename__ = "deliveries"
    __table_args__ = (
        one_of("state", DeliveryState),
        partial_index(
            "deliveries_one_open", "order_id", where="state IN ('WAITING', 'QUEUED', 'SENDING')", unique=True
        ),
        Index("deliveries_order", "order_id", "requested_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id", ondelete="CASCADE"))
    state: Mapped[str]
    reason: Mapped[str | None]
    message: Mapped[str | None]
    """The mail server's last reply, or what else happened, whatever the state."""
    requested_at: Mapped[int]
    finished_at: Mapped[int | None]


class ConfirmedMailbox(Base):
    """A mailbox whose owner has confirmed: it gets results by e-mail."""

    __tablename__ = "confirmed_mailboxes"

    mailbox: Mapped[str] = mapped_column(primary_key=True)
    """Its hash (`MailboxHasher`)."""
    confirmed_at: Mapped[int]


class Subscriber(Base):
    """An address that gets the newsletter. `token_version` voids the tokens of e-mails sent before it grew."""

    __tablename__ = "subscribers"
    __table_args__ = (
        one_of("state", SubscriberState),
        partial_index("subscribers_confirmed", "id", where="state = 'CONFIRMED'"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    email_key: Mapped[str] = mapped_column(unique=True)
    email: Mapped[str]
    locale: Mapped[str]
    state: Mapped[str]
    token_version: Mapped[int] = mapped_column(default=1)
    confirm_sent_at: Mapped[int | None]
    confirmed_at: Mapped[int | None]
    reason: Mapped[str | None]


class Mailing(Base):
    """A mailing to all confirmed subscribers: one per period (`2026-W48`, or `manual:<id>`).

    SENDING: rows of e-mails are inserted and claimed a batch at a time, in the order of subscribers' ids. The
    database's own constraint still allows PREPARING, a state of earlier versions.
    """

    __tablename__ = "mailings"
    __table_args__ = (one_of("state", MailingState),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    period: Mapped[str] = mapped_column(unique=True)
    state: Mapped[str]
    content: Mapped[str]
    """The numbers and texts of its e-mails, as JSON, fixed when the mailing was made."""
    due_at: Mapped[int]
    cursor_id: Mapped[UUID | None]
    """The last subscriber that has an e-mail."""
    recipients: Mapped[int] = mapped_column(default=0)
    """Confirmed subscribers when it was made."""
    not_before: Mapped[int] = mapped_column(default=0)
    """After failures of the mail server: no batch before this time."""
    troubles: Mapped[int] = mapped_column(default=0)
    """Failures of the mail server in a row."""
    message: Mapped[str | None]
    """The last failure."""
    enqueued_at: Mapped[int]
    created_at: Mapped[int]
    finished_at: Mapped[int | None]


class Email(Base):
    """One SMTP message: of a delivery, a confirmation or a mailing. SENDING: `owner` may send until `lease_until`."""

    __tablename__ = "emails"
    __table_args__ = (
        UniqueConstraint("delivery_id", "part"),
        UniqueConstraint("mailing_id", "subscriber_id"),
        one_of("kind", EmailKind),
        one_of("state", EmailState),
        CheckConstraint("(kind = 'ORDER_READY') = (delivery_id IS NOT NULL)", name="delivery"),
        CheckConstraint("(kind = 'WEEKLY') = (mailing_id IS NOT NULL)", name="mailing"),
        CheckConstraint("(state = 'SENDING') = (owner IS NOT NULL AND lease_until IS NOT NULL)", name="owner"),
        partial_index("emails_outbox", "not_before", where="state = 'QUEUED'"),
        partial_index("emails_leases", "lease_until", where="state = 'SENDING'"),
        partial_index("emails_progress", "mailing_id", "state", where="mailing_id IS NOT NULL"),
        partial_index("emails_sent", "sent_at", where="sent_at IS NOT NULL"),
        partial_index("emails_failed", "id", where="state = 'FAILED' AND NOT dropped"),
        Index("emails_subscriber", "subscriber_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    delivery_id: Mapped[UUID | None] = mapped_column(ForeignKey("deliveries.id", ondelete="CASCADE"))
    part: Mapped[int] = mapped_column(default=1)
    mailing_id: Mapped[UUID | None] = mapped_column(ForeignKey("mailings.id"))
    subscriber_id: Mapped[UUID | None] = mapped_column(ForeignKey("subscribers.id", ondelete="CASCADE"))
    state: Mapped[str]
    owner: Mapped[UUID | None]
    lease_until: Mapped[int | None]
    attempts: Mapped[int] = mapped_column(default=0)
    not_before: Mapped[int] = mapped_column(default=0)
    enqueued_at: Mapped[int | None]
    started_at: Mapped[int | None]
    """When a mailer claimed it last."""
    smtp_reply: Mapped[str | None]
    sent_at: Mapped[int | None]
    dropped: Mapped[bool] = mapped_column(default=False)
    """An operator has dropped the failure: it is not retried."""


class OperatorJob(Base):
    """Work that an operator requests from the mailers and waits for; deleted once the answer was fetched."""

    __tablename__ = "operator_jobs"
    __table_args__ = (one_of("state", OperatorJobState),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    """A `messages.OperatorJobKind`."""
    request: Mapped[str]
    """As JSON."""
    state: Mapped[str]
    answer: Mapped[str | None]
    """As JSON; if the job was refused, the reason."""
    created_at: Mapped[int]
