"""Orders keep the size of their originals, so that it need not be added up for each source that is fetched.

Only an addition. Workers of the version before fetch without counting there: during an upgrade an order may become larger
than it may be.

Revision: 0020. Revises: 0019.
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Go to this revision."""
    op.add_column("orders", sa.Column("input_bytes", sa.BigInteger(), nullable=True))
