"""Mail: receipts of images, mailings in batches, goodbye letters, letters counted by address.

Revision: 0003. Revises: 0002.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

MORE_KINDS = "kind IN ('ORDER_READY', 'CONFIRM', 'WEEKLY', 'GOODBYE')"
WITH_ADDRESS = sa.text("email IS NOT NULL")


def upgrade() -> None:
    """Go to this revision."""
    op.add_column("images", sa.Column("input_sha256", sa.String(), nullable=True))
    op.add_column("images", sa.Column("engine", sa.String(), nullable=True))
    for name in ("recipients", "not_before", "troubles"):
        op.add_column("mailings", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("mailings", sa.Column("message", sa.String(), nullable=True))
    # A mailing that was being prepared has letters up to its cursor, and goes on from there.
    op.execute("UPDATE mailings SET state = 'SENDING' WHERE state = 'PREPARING'")
    op.execute("UPDATE letters SET enqueued_at = NULL WHERE kind = 'WEEKLY' AND state = 'QUEUED'")
    op.create_index(
        "orders_email", "orders", ["email"], unique=False, sqlite_where=WITH_ADDRESS, postgresql_where=WITH_ADDRESS
    )
    _allow(MORE_KINDS)


def _allow(kinds: str) -> None:
    with op.batch_alter_table("letters") as letters:
        letters.drop_constraint(op.f("letters_kind_check"), type_="check")
        letters.create_check_constraint(op.f("letters_kind_check"), kinds)
