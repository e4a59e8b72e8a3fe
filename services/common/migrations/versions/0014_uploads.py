"""Uploads that can be resumed.

Only additions: services of the version before do not know the tables, and no blob of an upload is known to them.

Revision: 0014. Revises: 0013.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Go to this revision."""
    op.create_table(
        "uploads",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("principal", sa.String(), nullable=False),
        sa.Column("caller", sa.String(), nullable=False),
        sa.Column("mailbox", sa.String(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("image_count", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("parts", sa.String(), nullable=False),
        sa.Column("owner", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="uploads_pkey"),
        sa.CheckConstraint("state IN ('RECEIVING', 'PLACED')", name="uploads_state_check"),
        sa.CheckConstraint("received <= size", name="uploads_received_check"),
    )
    op.create_index("uploads_expiry", "uploads", ["expires_at"])
    op.create_index(
        "uploads_mailbox",
        "uploads",
        ["mailbox"],
        sqlite_where=sa.text("mailbox IS NOT NULL"),
        postgresql_where=sa.text("mailbox IS NOT NULL"),
    )
    op.create_table(
        "upload_images",
        sa.Column("upload_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("upload_id", "position", name="upload_images_pkey"),
        sa.ForeignKeyConstraint(["upload_id"], ["uploads.id"], ondelete="CASCADE", name="upload_images_upload_id_fkey"),
    )
