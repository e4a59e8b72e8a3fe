"""Orders may name a webhook; its events are rows of their own.

Only additions. Workers and schedulers of the version before end and expire orders without an event: the sweep inserts
those of orders that have ended (`webhook_events.insert_missing`).

Revision: 0017. Revises: 0016.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

_HAS_WEBHOOK = sa.text("webhook_url IS NOT NULL")
_PARTIAL = {
    "webhook_events_outbox": ("not_before", sa.text("state = 'QUEUED'")),
    "webhook_events_leases": ("lease_until", sa.text("state = 'SENDING'")),
    "webhook_events_finished": ("finished_at", sa.text("finished_at IS NOT NULL")),
}


def upgrade() -> None:
    """Go to this revision."""
    op.add_column("orders", sa.Column("webhook_url", sa.String(), nullable=True))
    op.create_index(
        "orders_webhook", "orders", ["finished_at"], sqlite_where=_HAS_WEBHOOK, postgresql_where=_HAS_WEBHOOK
    )
    op.create_table(
        "webhook_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("principal", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("payload", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("owner", sa.Uuid(), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=False),
        sa.Column("give_up_at", sa.BigInteger(), nullable=False),
        sa.Column("enqueued_at", sa.BigInteger(), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("message", sa.String(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "state IN ('QUEUED', 'SENDING', 'DELIVERED', 'FAILED')", name=op.f("webhook_events_state_check")
        ),
        sa.CheckConstraint(
            "(state = 'SENDING') = (owner IS NOT NULL AND lease_until IS NOT NULL)",
            name=op.f("webhook_events_owner_check"),
        ),
        sa.ForeignKeyConstraint(
            ["order_id"], ["orders.id"], name=op.f("webhook_events_order_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("webhook_events_pkey")),
    )
    for name, (column, where) in _PARTIAL.items():
        op.create_index(name, "webhook_events", [column], sqlite_where=where, postgresql_where=where)
    op.create_index("webhook_events_order", "webhook_events", ["order_id", "created_at"])
    op.create_index("webhook_events_created", "webhook_events", ["created_at", "id"])
    op.create_table(
        "webhook_secrets",
        sa.Column("principal", sa.String(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("rotated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("principal", name=op.f("webhook_secrets_pkey")),
    )
