"""Images belong to a queue and keep what was found in them; workers announce the models that they have.

Only additions: services of the version before insert images without a queue, which are then of `blur`, and know no
images with something to find, because gateways are upgraded last. What 0007 and 0008 keep for the version before stays:
no version has been released since.

Revision: 0009. Revises: 0008.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_WAITING = sa.text("state = 'QUEUED' AND enqueued_at IS NULL")


def upgrade() -> None:
    """Go to this revision."""
    # Written out: with their constraints, both databases add the columns without copying the table.
    op.execute(
        "ALTER TABLE images ADD COLUMN queue VARCHAR DEFAULT 'blur' NOT NULL"
        " CONSTRAINT images_queue_check CHECK (queue IN ('blur', 'find'))"
    )
    op.add_column("images", sa.Column("findings", sa.String(), nullable=True))
    op.execute(
        "ALTER TABLE images ADD COLUMN check_state VARCHAR"
        " CONSTRAINT images_check_state_check CHECK (check_state IN ('CLEAN', 'REMAINING', 'NOT_CHECKED'))"
    )
    _index_waiting("order_id", "queue", "position")
    op.create_table(
        "find_models",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("license", sa.String(), nullable=False),
        sa.Column("labels", sa.String(), nullable=False),
        sa.Column("last_seen_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("kind IN ('FACE', 'TEXT', 'CODE', 'CUSTOM')", name=op.f("find_models_kind_check")),
        sa.PrimaryKeyConstraint("kind", "name", name=op.f("find_models_pkey")),
    )


def _index_waiting(*columns: str) -> None:
    op.drop_index("images_waiting", table_name="images")
    op.create_index("images_waiting", "images", list(columns), sqlite_where=_WAITING, postgresql_where=_WAITING)
