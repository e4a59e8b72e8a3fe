"""An index for each state of blobs that no order owns: after a mass expiry there are many that are not due.

Services of the version before go on with these.

Revision: 0022. Revises: 0021.
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"

_INDICES = {"UPLOADING": "heartbeat_at", "REMOVING": "order_id", "REMOVED": "check_again_at"}


def upgrade() -> None:
    """Go to this revision."""
    # First what takes the stronger lock: otherwise, on PostgreSQL, this and an upload may wait for one another.
    op.drop_index("unowned_blobs_heartbeat_at", table_name="unowned_blobs")
    for state, column in _INDICES.items():
        where = sa.text(f"state = '{state}'")
        name = f"unowned_blobs_{state.lower()}"
        op.create_index(name, "unowned_blobs", [column], sqlite_where=where, postgresql_where=where)
