"""Orders need no address when they are placed, and keep who gave it later.

Only an addition: the column of the address has always allowed NULL, for orders that have expired. Mailers of the version
before send an e-mail by the principal of the order instead.

Revision: 0013. Revises: 0012.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Go to this revision."""
    op.add_column("orders", sa.Column("email_principal", sa.String(), nullable=True))
