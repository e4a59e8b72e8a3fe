"""Deliveries, e-mails, subscribers, mailings and operator jobs."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from services.common.db.models.base import Base, one_of, partial_index
from services.common.domain.mail import EmailKind, EmailState, MailingState, OperatorJobState, SubscriberState
from services.common.domain.orders import DeliveryState

EMAIL_IS_FAILURE = text("emails.state = 'FAILED' AND NOT emails.dropped")
"""Written as the condition of the index `emails_failed`: SQLite takes that for nothing else."""
DELIVERY_IS_OPEN = text("deliveries.state IN ('WAITING', 'QUEUED', 'SENDING')")
"""Likewise, of the index `deliveries_one_open`."""


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
        partial_index("subscribers_zones", "time_zone", "id", where="state = 'CONFIRMED'"),
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
    """Why it is suppressed, for people: a mail server's reply or report."""
    time_zone: Mapped[str | None]
    """An IANA name; None: that of the newsletter."""
    source: Mapped[str | None]
    """Where the address comes from; None: its owner has subscribed it."""
    consent_at: Mapped[int | None]
    """When its owner agreed, as who imported it attests."""
    created_at: Mapped[int | None]
    """None: in a version before these columns."""
    suppression: Mapped[str | None]
    """A `Suppression`; None too if it was suppressed by a version before."""
    suppressed_at: Mapped[int | None]
    state_before: Mapped[str | None]
    """Its state before it was suppressed."""
    soft_bounces: Mapped[int] = mapped_column(default=0, server_default="0")
    """E-mails in a row that came back for now, counted once a day."""
    soft_bounced_at: Mapped[int | None]
    """When the last of them was counted."""


class SuppressedAddress(Base):
    """An address that gets no e-mails of orders and no confirmations: one has come back, or was complained about."""

    __tablename__ = "suppressed_addresses"

    address: Mapped[str] = mapped_column(primary_key=True)
    """Its hash (`MailboxHasher`)."""
    suppression: Mapped[str]
    reason: Mapped[str]
    suppressed_at: Mapped[int]


class CustomText(Base):
    """An operator's own text of e-mails, by the name of its file: `newsletter/en/text.txt`, `goodbye/ru/body.html`."""

    __tablename__ = "custom_texts"

    name: Mapped[str] = mapped_column(primary_key=True)
    text: Mapped[str]
    revision: Mapped[int]
    """Grows with each change."""
    updated_at: Mapped[int]
    updated_by: Mapped[str]


class Mailing(Base):
    """A mailing to all confirmed subscribers: one per period (`2026-W48`, or `manual:<id>`).

    SENDING: rows of e-mails are inserted and claimed a batch at a time, in the order of subscribers' ids; if it is
    sent by each reader's clock, in that order within each `MailingPart`.
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
    started_at: Mapped[int | None]
    """When it began to be sent; None: it is scheduled, or was made by a version before this column."""
    paused_at: Mapped[int | None]
    """When an operator paused it, if it is paused."""
    local_time: Mapped[str | None]
    """When it is sent by each reader's clock: ISO 8601, without a zone; None: to all at once."""
    time_zone: Mapped[str | None]
    """Time zone of its window, and of readers without one; None: UTC."""
    window_begin: Mapped[int | None]
    """First minute of the day at which its e-mails may be sent; None: all day."""
    window_end: Mapped[int | None]
    """The minute of the day at which that ends; less than `window_begin`: on the next day."""
    per_hour: Mapped[int | None]
    """Most of its e-mails in an hour; None: as IMAGEBLUR_SMTP_RATE allows."""


class MailingPart(Base):
    """The readers of one time zone in a mailing that is sent by each reader's clock."""

    __tablename__ = "mailing_parts"

    mailing_id: Mapped[UUID] = mapped_column(ForeignKey("mailings.id", ondelete="CASCADE"), primary_key=True)
    time_zone: Mapped[str] = mapped_column(primary_key=True)
    """An IANA name; empty: readers without one; `*`: all who have no e-mail of it yet, after all others."""
    not_before: Mapped[int]
    cursor_id: Mapped[UUID | None]
    """The last of them that has an e-mail."""
    ended: Mapped[bool] = mapped_column(default=False)
    """None of them is left."""


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
        partial_index("emails_reports", "mailing_id", "report", where="report IS NOT NULL"),
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
    dismissed: Mapped[bool] = mapped_column("dropped", default=False)
    """An operator has dismissed the failure: it is not retried."""
    report: Mapped[str | None]
    """What was reported of it after it was sent: a `MailReportKind`."""
    reported_at: Mapped[int | None]


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
