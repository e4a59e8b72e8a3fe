"""Events for webhooks, and the versions of the secrets that sign them."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, false, text
from sqlalchemy.orm import Mapped, mapped_column

from services.common.db.models.base import Base, one_of, partial_index
from services.common.domain.webhooks import WebhookState

WEBHOOK_IS_FAILURE = text("webhook_events.state = 'FAILED' AND NOT webhook_events.dropped")
"""Written as the condition of the index `webhook_events_failed`: SQLite takes that for nothing else."""


class WebhookEvent(Base):
    """An event of an order that is posted to its webhook. SENDING: `owner` may post it until `lease_until`."""

    __tablename__ = "webhook_events"
    __table_args__ = (
        one_of("state", WebhookState),
        CheckConstraint("(state = 'SENDING') = (owner IS NOT NULL AND lease_until IS NOT NULL)", name="owner"),
        partial_index("webhook_events_outbox", "not_before", where="state = 'QUEUED'"),
        partial_index("webhook_events_leases", "lease_until", where="state = 'SENDING'"),
        partial_index("webhook_events_finished", "finished_at", where="finished_at IS NOT NULL"),
        partial_index("webhook_events_failed", "finished_at", where="state = 'FAILED' AND NOT dropped"),
        Index("webhook_events_order", "order_id", "created_at"),
        Index("webhook_events_created", "created_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id", ondelete="CASCADE"))
    principal: Mapped[str]
    """Principal whose secret signs it."""
    url: Mapped[str]
    """The order's `webhook_url`, which is deleted when the order expires."""
    type: Mapped[str]
    payload: Mapped[str]
    """What is posted, as JSON."""
    state: Mapped[str]
    owner: Mapped[UUID | None]
    lease_until: Mapped[int | None]
    attempts: Mapped[int] = mapped_column(default=0)
    not_before: Mapped[int] = mapped_column(default=0)
    give_up_at: Mapped[int]
    """After an attempt that fails later than this, there is no other."""
    enqueued_at: Mapped[int | None]
    started_at: Mapped[int | None]
    """When a mailer claimed it last."""
    message: Mapped[str | None]
    """The outcome of the last attempt: an HTTP status, or why there was none."""
    created_at: Mapped[int]
    finished_at: Mapped[int | None]
    dismissed: Mapped[bool] = mapped_column("dropped", default=False, server_default=false())
    """Whether an operator has dismissed its failure."""


class WebhookSecret(Base):
    """A principal that has replaced the secret of its webhooks; without a row its version is 1.

    The secrets themselves are not stored: they are derived (`WebhookSecrets`).
    """

    __tablename__ = "webhook_secrets"

    principal: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int]
    rotated_at: Mapped[int]
