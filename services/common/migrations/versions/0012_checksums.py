"""Images keep the CRC-32 of their result, so that archives can be read as a stream.

Only an addition: workers of the version before leave it, whatever result they store; see `Image.output_crc32`.

Revision: 0012. Revises: 0011.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Go to this revision."""
    op.add_column("images", sa.Column("output_crc32", sa.String(), nullable=True))
