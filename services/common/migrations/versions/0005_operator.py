"""The operator's tables: keys, audit, paused queues, workers; what a trace tells; failures that may be tried again.

Revision: 0005. Revises: 0003.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0003"

_FAILED = sa.text("state = 'FAILED' AND NOT dropped")
_FINISHED = sa.text("finished_at IS NOT NULL")


def upgrade() -> None:
    """Go to this revision."""
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("hint", sa.String(), nullable=False),
        sa.Column("former_digest", sa.String(), nullable=True),
        sa.Column("former_until", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("rotated_at", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("role IN ('CLIENT', 'VIEWER', 'ADMIN')", name=op.f("api_keys_role_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("api_keys_pkey")),
        sa.UniqueConstraint("digest", name=op.f("api_keys_digest_key")),
    )
    op.create_table(
        "audit_entries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("principal", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("audit_entries_pkey")),
    )
    op.create_index("audit_entries_time", "audit_entries", ["created_at", "id"], unique=False)
    op.create_table(
        "paused_queues",
        sa.Column("queue", sa.String(), nullable=False),
        sa.Column("paused_at", sa.BigInteger(), nullable=False),
        sa.Column("paused_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("queue", name=op.f("paused_queues_pkey")),
    )
    op.create_table(
        "workers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("queue", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("slots", sa.BigInteger(), nullable=False),
        sa.Column("busy", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", "queue", name=op.f("workers_pkey")),
    )
    op.add_column("orders", sa.Column("upload_began_at", sa.BigInteger(), nullable=True))
    op.create_index("orders_created", "orders", ["created_at", "id"], unique=False)
    op.add_column("images", sa.Column("dropped", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index(
        "images_failed", "images", ["finished_at"], unique=False, sqlite_where=_FAILED, postgresql_where=_FAILED
    )
    op.create_index(
        "images_finished", "images", ["finished_at"], unique=False, sqlite_where=_FINISHED, postgresql_where=_FINISHED
    )
    op.add_column("letters", sa.Column("started_at", sa.BigInteger(), nullable=True))
    op.add_column("letters", sa.Column("dropped", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index(
        "letters_sent",
        "letters",
        ["sent_at"],
        unique=False,
        sqlite_where=sa.text("sent_at IS NOT NULL"),
        postgresql_where=sa.text("sent_at IS NOT NULL"),
    )
    op.create_index("letters_failed", "letters", ["id"], unique=False, sqlite_where=_FAILED, postgresql_where=_FAILED)
