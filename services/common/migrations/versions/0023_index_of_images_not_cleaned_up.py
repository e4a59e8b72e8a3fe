"""An index of images that are not cleaned up that SQLite prefers to that of all that have ended.

It has no statistics: of two partial indices of the same column it may take the larger one. So this one has another
column first, to which the statement gives a value. Services of the version before go on with it, or with the other one.

Revision: 0023. Revises: 0022.
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"

_NOT_CLEANED_UP = sa.text("NOT tidied AND finished_at IS NOT NULL")


def upgrade() -> None:
    """Go to this revision."""
    # First what takes the stronger lock: otherwise, on PostgreSQL, this and a claim may wait for one another.
    op.drop_index("images_untidied", table_name="images")
    op.create_index(
        "images_not_cleaned_up",
        "images",
        ["tidied", "finished_at"],
        sqlite_where=_NOT_CLEANED_UP,
        postgresql_where=_NOT_CLEANED_UP,
    )
