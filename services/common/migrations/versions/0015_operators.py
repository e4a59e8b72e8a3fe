"""What operators see and set: workers of images, numbers of findings, scopes and limits of keys, and indices of lists.

Only additions: workers of the version before leave `worker` and `found` empty, and its gateways know no scopes or limits.

Revision: 0015. Revises: 0014.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

_INDICES = (
    ("orders_state", "orders", ["state", "created_at", "id"]),
    ("orders_principal", "orders", ["principal", "created_at", "id"]),
    ("audit_entries_subject", "audit_entries", ["subject", "created_at", "id"]),
)
_LIMITS = ("orders_per_minute", "bytes_in_flight", "images_per_day")


def upgrade() -> None:
    """Go to this revision."""
    for name in ("worker", "found"):
        op.add_column("images", sa.Column(name, sa.String(), nullable=True))
    op.add_column("api_keys", sa.Column("last_used_from", sa.String(), nullable=True))
    op.add_column("api_keys", sa.Column("scopes", sa.String(), nullable=False, server_default=""))
    for name in _LIMITS:
        op.add_column("api_keys", sa.Column(name, sa.BigInteger(), nullable=True))
    for name, table, columns in _INDICES:
        op.create_index(name, table, columns)
