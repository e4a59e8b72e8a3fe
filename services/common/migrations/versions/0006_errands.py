"""What operators ask of the mailers.

Revision: 0006. Revises: 0005.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Go to this revision."""
    op.create_table(
        "errands",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("answer", sa.String(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state IN ('QUEUED', 'RUNNING', 'DONE', 'REFUSED')", name=op.f("errands_state_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("errands_pkey")),
    )
