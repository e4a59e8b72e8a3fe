"""Summaries of what happened, for statistics; an index that counts failures by reason.

Only additions. Services of the version before go on without them; the first schedulers of this version summarise the
last days.

Revision: 0019. Revises: 0018.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

_FAILED = sa.text("state = 'FAILED' AND NOT dropped")


def upgrade() -> None:
    """Go to this revision."""
    op.create_table(
        "activity_summaries",
        sa.Column("span", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("counts", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("span", "start", name=op.f("activity_summaries_pkey")),
    )
    op.create_table(
        "activity_progress",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("activity_progress_pkey")),
    )
    op.create_index("images_failures", "images", ["reason", "queue"], sqlite_where=_FAILED, postgresql_where=_FAILED)
