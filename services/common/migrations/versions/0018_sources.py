"""Images may have a source, in a queue of their own until they are fetched, and a target.

The constraint on the queue is replaced by one that allows `fetch`. PostgreSQL reads the table once for it. SQLite does not,
by its procedure for changes that do not affect what is stored (https://www.sqlite.org/lang_altertable.html, section 7).
Services of the version before know no images with a source, because gateways are upgraded last.

Revision: 0018. Revises: 0017.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

_CONSTRAINT = "images_queue_check"
_OLD, _NEW = "queue IN ('blur', 'find')", "queue IN ('blur', 'find', 'fetch')"


def upgrade() -> None:
    """Go to this revision."""
    op.add_column("images", sa.Column("source", sa.String(), nullable=True))
    op.add_column("images", sa.Column("target", sa.String(), nullable=True))
    _replace(_OLD, _NEW)


def _replace(old: str, new: str) -> None:
    bind = op.get_bind()
    if bind.dialect.name == "postgresql":
        op.execute(f"ALTER TABLE images DROP CONSTRAINT {_CONSTRAINT}")
        op.execute(f"ALTER TABLE images ADD CONSTRAINT {_CONSTRAINT} CHECK ({new})")
        return
    found = bind.exec_driver_sql("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = 'images'").scalar_one()
    assert old in found, "the constraint of revision 0009"
    version = bind.exec_driver_sql("PRAGMA schema_version").scalar_one()
    bind.exec_driver_sql("PRAGMA writable_schema = ON")
    bind.exec_driver_sql(
        "UPDATE sqlite_schema SET sql = ? WHERE type = 'table' AND name = 'images'", (found.replace(old, new),)
    )
    bind.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    bind.exec_driver_sql("PRAGMA writable_schema = OFF")
