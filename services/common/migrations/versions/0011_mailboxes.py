"""Mailboxes that have confirmed, and the mailbox of each order, both as hashes.

Only additions: services of the version before insert orders without a mailbox, whose limits are those of the address.

Revision: 0011. Revises: 0010.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_HAS_MAILBOX = sa.text("mailbox IS NOT NULL")


def upgrade() -> None:
    """Go to this revision."""
    op.add_column("orders", sa.Column("mailbox", sa.String(), nullable=True))
    op.create_index("orders_mailbox", "orders", ["mailbox"], sqlite_where=_HAS_MAILBOX, postgresql_where=_HAS_MAILBOX)
    op.create_table(
        "confirmed_mailboxes",
        sa.Column("mailbox", sa.String(), nullable=False),
        sa.Column("confirmed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("mailbox", name=op.f("confirmed_mailboxes_pkey")),
    )
