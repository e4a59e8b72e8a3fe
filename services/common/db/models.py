"""The tables. Times are microseconds since 1970 (UTC) from the database's clock (`clock.now`)."""

from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    MetaData,
    Table,
    UniqueConstraint,
    Uuid,
    literal_column,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Base of all tables."""

    metadata = MetaData(
        naming_convention={
            "ix": "%(table_name)s_%(column_0_N_name)s",
            "uq": "%(table_name)s_%(column_0_N_name)s_key",
            "ck": "%(table_name)s_%(constraint_name)s_check",
            "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
            "pk": "%(table_name)s_pkey",
        }
    )
    type_annotation_map = {int: BigInteger(), UUID: Uuid()}  # noqa: RUF012 - SQLAlchemy reads it as it is


def table(model: type[Base]) -> Table:
    """The table of a model, for statements that are built once: what runs for every image should cost little.

    A statement over a model is put together, and its result mapped, each time: three milliseconds in a worker that was
    idle, where one over a table takes one.
    """
    assert isinstance(model.__table__, Table)
    return model.__table__


def written(state: StrEnum) -> ColumnElement[str]:
    """A state as a part of the statement's text, for what runs for every image.

    SQLite prepares a statement anew, each time, where a partial index may depend on a value that is bound.
    """
    return literal_column(f"'{state.value}'")


def _one_of(column: str, *values: str) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(repr(value) for value in values)})", name=column)


def _index(name: str, *columns: str, where: str) -> Index:
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


class Installation(Base):
    """One row: when this database was made. No mailing is due for a time before it."""

    __tablename__ = "installation"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    installed_at: Mapped[int]


class Order(Base):
    """An accepted order. `revision` grows with every change of it, its images or its deliveries."""

    __tablename__ = "orders"
    __table_args__ = (
        _one_of("state", "QUEUED", "RUNNING", "SUCCEEDED", "PARTIALLY_FAILED", "FAILED", "CANCELLED", "EXPIRED"),
        CheckConstraint("total > 0", name="total"),
        CheckConstraint("succeeded + failed + cancelled <= total", name="counts"),
        _index("orders_expiry", "expires_at", where="state <> 'EXPIRED'"),
        _index("orders_open", "created_at", where="state IN ('QUEUED', 'RUNNING')"),
        _index("orders_email", "email", where="email IS NOT NULL"),
        Index("orders_created", "created_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    principal: Mapped[str]
    email: Mapped[str | None]
    """None once the order has expired."""
    locale: Mapped[str]
    spec: Mapped[str]
    state: Mapped[str]
    total: Mapped[int]
    succeeded: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    cancelled: Mapped[int] = mapped_column(default=0)
    revision: Mapped[int] = mapped_column(default=1)
    upload_began_at: Mapped[int | None]
    """When its first bytes came."""
    created_at: Mapped[int]
    started_at: Mapped[int | None]
    finished_at: Mapped[int | None]
    expires_at: Mapped[int]


class Image(Base):
    """An image of an order.

    QUEUED with `enqueued_at`: given to the broker; without: waits its turn in the order's window, or for `not_before`.
    RUNNING: `owner` may work on it until `lease_until`.
    """

    __tablename__ = "images"
    __table_args__ = (
        UniqueConstraint("order_id", "position"),
        _one_of("state", "QUEUED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"),
        CheckConstraint("(state = 'RUNNING') = (owner IS NOT NULL AND lease_until IS NOT NULL)", name="owner"),
        CheckConstraint("state <> 'FAILED' OR reason IS NOT NULL", name="reason"),
        _index("images_waiting", "order_id", "position", where="state = 'QUEUED' AND enqueued_at IS NULL"),
        _index("images_outbox", "enqueued_at", where="state = 'QUEUED' AND enqueued_at IS NOT NULL"),
        _index("images_leases", "lease_until", where="state = 'RUNNING'"),
        _index(
            "images_in_flight",
            "order_id",
            where="state = 'RUNNING' OR (state = 'QUEUED' AND enqueued_at IS NOT NULL)",
        ),
        Index("images_revision", "order_id", "revision"),
        _index("images_untidied", "finished_at", where="NOT tidied AND finished_at IS NOT NULL"),
        _index("images_finished", "finished_at", where="finished_at IS NOT NULL"),
        _index("images_failed", "finished_at", where="state = 'FAILED' AND NOT dropped"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id", ondelete="CASCADE"))
    position: Mapped[int]
    filename: Mapped[str]
    spec: Mapped[str | None]
    """None: as the order's."""
    state: Mapped[str]
    reason: Mapped[str | None]
    message: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(default=0)
    crashes: Mapped[int] = mapped_column(default=0)
    owner: Mapped[UUID | None]
    lease_until: Mapped[int | None]
    not_before: Mapped[int] = mapped_column(default=0)
    enqueued_at: Mapped[int | None]
    started_at: Mapped[int | None]
    finished_at: Mapped[int | None]
    revision: Mapped[int] = mapped_column(default=1)
    input_bytes: Mapped[int]
    input_sha256: Mapped[str | None]
    output_bytes: Mapped[int] = mapped_column(default=0)
    output_sha256: Mapped[str | None]
    width: Mapped[int] = mapped_column(default=0)
    height: Mapped[int] = mapped_column(default=0)
    format: Mapped[str | None]
    engine: Mapped[str | None]
    """What blurred it, with its version."""
    tidied: Mapped[bool] = mapped_column(default=False)
    """An image that has ended keeps no original, and unless it SUCCEEDED no result: the sweep has made sure.

    One that FAILED for a reason that may pass (`orders.RETRIABLE`) keeps its original, unless it was `dropped`.
    """
    dropped: Mapped[bool] = mapped_column(default=False)
    """An operator has seen the failure and will not have it tried again."""


class UnownedBlobs(Base):
    """Blobs that no order owns: of an upload under way, or of an order that is gone.

    Without a heartbeat they are removed; a negative one says that nobody may become their owner any more: -1 that they
    are to be removed, an earlier one that they are to be removed once more at that time.
    """

    __tablename__ = "unowned_blobs"

    order_id: Mapped[UUID] = mapped_column(primary_key=True)
    heartbeat_at: Mapped[int] = mapped_column(index=True)


class Delivery(Base):
    """A request for an order's results by mail; at most one is open."""

    __tablename__ = "deliveries"
    __table_args__ = (
        _one_of("state", "WAITING", "QUEUED", "SENDING", "SENT", "FAILED", "CANCELLED"),
        Index(
            "deliveries_one_open",
            "order_id",
            unique=True,
            sqlite_where=text("state IN ('WAITING', 'QUEUED', 'SENDING')"),
            postgresql_where=text("state IN ('WAITING', 'QUEUED', 'SENDING')"),
        ),
        Index("deliveries_order", "order_id", "requested_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id", ondelete="CASCADE"))
    state: Mapped[str]
    reason: Mapped[str | None]
    message: Mapped[str | None]
    """The mail server's last words, or what else happened, whatever the state."""
    requested_at: Mapped[int]
    finished_at: Mapped[int | None]


class Subscriber(Base):
    """An address of the weekly mailing. `token_version` voids the tokens of e-mails sent before it grew."""

    __tablename__ = "subscribers"
    __table_args__ = (
        _one_of("state", "PENDING", "CONFIRMED", "UNSUBSCRIBED", "SUPPRESSED"),
        _index("subscribers_confirmed", "id", where="state = 'CONFIRMED'"),
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

    SENDING: e-mails are written and claimed a batch at a time, in the order of subscribers' ids. PREPARING: not used
    any more.
    """

    __tablename__ = "mailings"
    __table_args__ = (_one_of("state", "PREPARING", "SENDING", "DONE", "CANCELLED"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    period: Mapped[str] = mapped_column(unique=True)
    state: Mapped[str]
    content: Mapped[str]
    """What the e-mail tells, as JSON, frozen when the mailing was made."""
    due_at: Mapped[int]
    cursor_id: Mapped[UUID | None]
    """The last subscriber that has an e-mail."""
    recipients: Mapped[int] = mapped_column(default=0)
    """Confirmed subscribers when it was made."""
    not_before: Mapped[int] = mapped_column(default=0)
    """The mail server was in trouble: no batch before this time."""
    troubles: Mapped[int] = mapped_column(default=0)
    """How often in turn it was."""
    message: Mapped[str | None]
    """The last trouble, in words."""
    enqueued_at: Mapped[int]
    created_at: Mapped[int]
    finished_at: Mapped[int | None]


class Email(Base):
    """One SMTP message: of a delivery, a confirmation or a mailing. SENDING: `owner` may send until `lease_until`."""

    __tablename__ = "emails"
    __table_args__ = (
        UniqueConstraint("delivery_id", "part"),
        UniqueConstraint("mailing_id", "subscriber_id"),
        _one_of("kind", "ORDER_READY", "CONFIRM", "WEEKLY", "GOODBYE"),
        _one_of("state", "QUEUED", "SENDING", "SENT", "FAILED", "CANCELLED"),
        CheckConstraint("(kind = 'ORDER_READY') = (delivery_id IS NOT NULL)", name="delivery"),
        CheckConstraint("(kind = 'WEEKLY') = (mailing_id IS NOT NULL)", name="mailing"),
        CheckConstraint("(state = 'SENDING') = (owner IS NOT NULL AND lease_until IS NOT NULL)", name="owner"),
        _index("emails_outbox", "not_before", where="state = 'QUEUED'"),
        _index("emails_leases", "lease_until", where="state = 'SENDING'"),
        _index("emails_progress", "mailing_id", "state", where="mailing_id IS NOT NULL"),
        _index("emails_sent", "sent_at", where="sent_at IS NOT NULL"),
        _index("emails_failed", "id", where="state = 'FAILED' AND NOT dropped"),
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
    """When a mailer took it last."""
    smtp_reply: Mapped[str | None]
    sent_at: Mapped[int | None]
    dropped: Mapped[bool] = mapped_column(default=False)
    """An operator has seen the failure and will not have it tried again."""


class IdempotencyKey(Base):
    """A request that was answered, so that its repeat gets the same answer."""

    __tablename__ = "idempotency_keys"

    principal: Mapped[str] = mapped_column(primary_key=True)
    method: Mapped[str] = mapped_column(primary_key=True)
    request_id: Mapped[UUID] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]
    resource_id: Mapped[UUID]
    expires_at: Mapped[int] = mapped_column(index=True)


class ApiKey(Base):
    """A key that opens the gateway. Only its digest is kept; after a rotation the former one for a while, too."""

    __tablename__ = "api_keys"
    __table_args__ = (_one_of("role", "CLIENT", "VIEWER", "ADMIN"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    role: Mapped[str]
    digest: Mapped[str] = mapped_column(unique=True)
    hint: Mapped[str]
    """Its first characters, to tell keys apart."""
    former_digest: Mapped[str | None]
    former_until: Mapped[int | None]
    created_at: Mapped[int]
    created_by: Mapped[str]
    rotated_at: Mapped[int | None]
    expires_at: Mapped[int | None]
    revoked_at: Mapped[int | None]
    last_used_at: Mapped[int | None]
    """To the minute."""


class AuditEntry(Base):
    """What an operator did: written by the transaction that did it."""

    __tablename__ = "audit_entries"
    __table_args__ = (Index("audit_entries_time", "created_at", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    created_at: Mapped[int]
    principal: Mapped[str]
    action: Mapped[str]
    """The method's name, such as `PauseQueue`."""
    subject: Mapped[str]
    """What it was done to, such as `queues/blur`."""
    detail: Mapped[str]
    """As JSON: no address, no key."""


class PausedQueue(Base):
    """A queue whose messages workers leave alone."""

    __tablename__ = "paused_queues"

    queue: Mapped[str] = mapped_column(primary_key=True)
    paused_at: Mapped[int]
    paused_by: Mapped[str]


class WorkerSeen(Base):
    """A queue that a worker process serves, and when it last said so."""

    __tablename__ = "workers"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    queue: Mapped[str] = mapped_column(primary_key=True)
    host: Mapped[str]
    pid: Mapped[int]
    version: Mapped[str]
    slots: Mapped[int]
    """Messages that it handles at a time: children of a blur worker, threads of a mailer."""
    busy: Mapped[int]
    started_at: Mapped[int]
    seen_at: Mapped[int]


class OperatorJob(Base):
    """Something that an operator asks of the mailers and waits for; gone once the answer was fetched."""

    __tablename__ = "operator_jobs"
    __table_args__ = (_one_of("state", "QUEUED", "RUNNING", "DONE", "REFUSED"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    """See `messages.OperatorJobKind`."""
    request: Mapped[str]
    """As JSON."""
    state: Mapped[str]
    answer: Mapped[str | None]
    """As JSON; of one that was refused, the words why."""
    created_at: Mapped[int]
