"""The first tables.

Revision: 0001.
"""

import sqlalchemy as sa
from alembic import op

from services.common.db.clock import now

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Go to this revision."""
    op.create_table(
        "idempotency_keys",
        sa.Column("principal", sa.String(), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("resource_id", sa.Uuid(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("principal", "method", "request_id", name=op.f("idempotency_keys_pkey")),
    )
    op.create_index(op.f("idempotency_keys_expires_at"), "idempotency_keys", ["expires_at"], unique=False)
    op.create_table(
        "installation",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("installed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("installation_pkey")),
    )
    op.create_table(
        "mailings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("period", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("cursor_id", sa.Uuid(), nullable=True),
        sa.Column("enqueued_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("state IN ('PREPARING', 'SENDING', 'DONE', 'CANCELLED')", name=op.f("mailings_state_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("mailings_pkey")),
        sa.UniqueConstraint("period", name=op.f("mailings_period_key")),
    )
    op.create_table(
        "orders",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("principal", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=True),
        sa.Column("locale", sa.String(), nullable=False),
        sa.Column("spec", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("succeeded", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.Column("cancelled", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "state IN ('QUEUED', 'RUNNING', 'SUCCEEDED', 'PARTIALLY_FAILED', 'FAILED', 'CANCELLED', 'EXPIRED')",
            name=op.f("orders_state_check"),
        ),
        sa.CheckConstraint("succeeded + failed + cancelled <= total", name=op.f("orders_counts_check")),
        sa.CheckConstraint("total > 0", name=op.f("orders_total_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("orders_pkey")),
    )
    op.create_index(
        "orders_expiry",
        "orders",
        ["expires_at"],
        unique=False,
        sqlite_where=sa.text("state <> 'EXPIRED'"),
        postgresql_where=sa.text("state <> 'EXPIRED'"),
    )
    op.create_index(
        "orders_open",
        "orders",
        ["created_at"],
        unique=False,
        sqlite_where=sa.text("state IN ('QUEUED', 'RUNNING')"),
        postgresql_where=sa.text("state IN ('QUEUED', 'RUNNING')"),
    )
    op.create_table(
        "subscribers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("email_key", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("locale", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("token_version", sa.BigInteger(), nullable=False),
        sa.Column("confirm_sent_at", sa.BigInteger(), nullable=True),
        sa.Column("confirmed_at", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.CheckConstraint(
            "state IN ('PENDING', 'CONFIRMED', 'UNSUBSCRIBED', 'SUPPRESSED')", name=op.f("subscribers_state_check")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("subscribers_pkey")),
        sa.UniqueConstraint("email_key", name=op.f("subscribers_email_key_key")),
    )
    op.create_index(
        "subscribers_confirmed",
        "subscribers",
        ["id"],
        unique=False,
        sqlite_where=sa.text("state = 'CONFIRMED'"),
        postgresql_where=sa.text("state = 'CONFIRMED'"),
    )
    op.create_table(
        "unowned_blobs",
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("heartbeat_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("order_id", name=op.f("unowned_blobs_pkey")),
    )
    op.create_index(op.f("unowned_blobs_heartbeat_at"), "unowned_blobs", ["heartbeat_at"], unique=False)
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("message", sa.String(), nullable=True),
        sa.Column("requested_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "state IN ('WAITING', 'QUEUED', 'SENDING', 'SENT', 'FAILED', 'CANCELLED')",
            name=op.f("deliveries_state_check"),
        ),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("deliveries_order_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("deliveries_pkey")),
    )
    op.create_index(
        "deliveries_one_open",
        "deliveries",
        ["order_id"],
        unique=True,
        sqlite_where=sa.text("state IN ('WAITING', 'QUEUED', 'SENDING')"),
        postgresql_where=sa.text("state IN ('WAITING', 'QUEUED', 'SENDING')"),
    )
    op.create_index("deliveries_order", "deliveries", ["order_id", "requested_at"], unique=False)
    op.create_table(
        "images",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("filename", sa.String(), nullable=False),
        sa.Column("spec", sa.String(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("message", sa.String(), nullable=True),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("crashes", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.Uuid(), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("not_before", sa.BigInteger(), nullable=False),
        sa.Column("enqueued_at", sa.BigInteger(), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("input_bytes", sa.BigInteger(), nullable=False),
        sa.Column("output_bytes", sa.BigInteger(), nullable=False),
        sa.Column("output_sha256", sa.String(), nullable=True),
        sa.Column("width", sa.BigInteger(), nullable=False),
        sa.Column("height", sa.BigInteger(), nullable=False),
        sa.Column("format", sa.String(), nullable=True),
        sa.CheckConstraint(
            "(state = 'RUNNING') = (owner IS NOT NULL AND lease_until IS NOT NULL)", name=op.f("images_owner_check")
        ),
        sa.CheckConstraint("state <> 'FAILED' OR reason IS NOT NULL", name=op.f("images_reason_check")),
        sa.CheckConstraint(
            "state IN ('QUEUED', 'RUNNING', 'SUCCEEDED', 'FAILED', 'CANCELLED')", name=op.f("images_state_check")
        ),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("images_order_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("images_pkey")),
        sa.UniqueConstraint("order_id", "position", name=op.f("images_order_id_position_key")),
    )
    op.create_index(
        "images_in_flight",
        "images",
        ["order_id"],
        unique=False,
        sqlite_where=sa.text("state = 'RUNNING' OR (state = 'QUEUED' AND enqueued_at IS NOT NULL)"),
        postgresql_where=sa.text("state = 'RUNNING' OR (state = 'QUEUED' AND enqueued_at IS NOT NULL)"),
    )
    op.create_index(
        "images_leases",
        "images",
        ["lease_until"],
        unique=False,
        sqlite_where=sa.text("state = 'RUNNING'"),
        postgresql_where=sa.text("state = 'RUNNING'"),
    )
    op.create_index(
        "images_outbox",
        "images",
        ["enqueued_at"],
        unique=False,
        sqlite_where=sa.text("state = 'QUEUED' AND enqueued_at IS NOT NULL"),
        postgresql_where=sa.text("state = 'QUEUED' AND enqueued_at IS NOT NULL"),
    )
    op.create_index("images_revision", "images", ["order_id", "revision"], unique=False)
    op.create_index(
        "images_waiting",
        "images",
        ["order_id", "position"],
        unique=False,
        sqlite_where=sa.text("state = 'QUEUED' AND enqueued_at IS NULL"),
        postgresql_where=sa.text("state = 'QUEUED' AND enqueued_at IS NULL"),
    )
    op.create_table(
        "letters",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("delivery_id", sa.Uuid(), nullable=True),
        sa.Column("part", sa.BigInteger(), nullable=False),
        sa.Column("mailing_id", sa.Uuid(), nullable=True),
        sa.Column("subscriber_id", sa.Uuid(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("owner", sa.Uuid(), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=False),
        sa.Column("enqueued_at", sa.BigInteger(), nullable=True),
        sa.Column("smtp_reply", sa.String(), nullable=True),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("(kind = 'ORDER_READY') = (delivery_id IS NOT NULL)", name=op.f("letters_delivery_check")),
        sa.CheckConstraint("(kind = 'WEEKLY') = (mailing_id IS NOT NULL)", name=op.f("letters_mailing_check")),
        sa.CheckConstraint(
            "(state = 'SENDING') = (owner IS NOT NULL AND lease_until IS NOT NULL)", name=op.f("letters_owner_check")
        ),
        sa.CheckConstraint("kind IN ('ORDER_READY', 'CONFIRM', 'WEEKLY')", name=op.f("letters_kind_check")),
        sa.CheckConstraint(
            "state IN ('QUEUED', 'SENDING', 'SENT', 'FAILED', 'CANCELLED')", name=op.f("letters_state_check")
        ),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["deliveries.id"], name=op.f("letters_delivery_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["mailing_id"], ["mailings.id"], name=op.f("letters_mailing_id_fkey")),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscribers.id"], name=op.f("letters_subscriber_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("letters_pkey")),
        sa.UniqueConstraint("delivery_id", "part", name=op.f("letters_delivery_id_part_key")),
        sa.UniqueConstraint("mailing_id", "subscriber_id", name=op.f("letters_mailing_id_subscriber_id_key")),
    )
    op.create_index(
        "letters_leases",
        "letters",
        ["lease_until"],
        unique=False,
        sqlite_where=sa.text("state = 'SENDING'"),
        postgresql_where=sa.text("state = 'SENDING'"),
    )
    op.create_index(
        "letters_outbox",
        "letters",
        ["not_before"],
        unique=False,
        sqlite_where=sa.text("state = 'QUEUED'"),
        postgresql_where=sa.text("state = 'QUEUED'"),
    )
    op.create_index(
        "letters_progress",
        "letters",
        ["mailing_id", "state"],
        unique=False,
        sqlite_where=sa.text("mailing_id IS NOT NULL"),
        postgresql_where=sa.text("mailing_id IS NOT NULL"),
    )
    op.create_index("letters_subscriber", "letters", ["subscriber_id"], unique=False)

    op.execute(
        sa.insert(sa.table("installation", sa.column("id"), sa.column("installed_at"))).values(id=1, installed_at=now())
    )
