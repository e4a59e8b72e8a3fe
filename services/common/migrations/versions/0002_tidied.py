"""Images that have ended: whether it was made sure that they keep no blob that they should not.

Revision: 0002. Revises: 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Go to this revision."""
    op.add_column("images", sa.Column("tidied", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index(
        "images_untidied",
        "images",
        ["finished_at"],
        unique=False,
        sqlite_where=sa.text("NOT tidied AND finished_at IS NOT NULL"),
        postgresql_where=sa.text("NOT tidied AND finished_at IS NOT NULL"),
    )
