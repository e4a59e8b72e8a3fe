"""Events for webhooks that were given up are failures for operators, who may drop them.

Only additions. Services of the version before insert without the column.

Revision: 0021. Revises: 0020.
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"

_FAILED = sa.text("state = 'FAILED' AND NOT dropped")


def upgrade() -> None:
    """Go to this revision."""
    op.add_column("webhook_events", sa.Column("dropped", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index(
        "webhook_events_failed", "webhook_events", ["finished_at"], sqlite_where=_FAILED, postgresql_where=_FAILED
    )
