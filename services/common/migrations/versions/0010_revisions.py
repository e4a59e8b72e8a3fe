"""Orders that keep their originals, and images that are blurred again from them.

On PostgreSQL workers of the version before run beside their successors during an upgrade. They would blur an image that
is to be revised as before, and over its former result: a trigger keeps it from them; the next revision drops it. See
ADR 32.

Revision: 0010. Revises: 0008.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

FUNCTION = """
CREATE FUNCTION images_claims() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RETURN NULL;
END $$
"""
# Workers of this version count their claims.
TRIGGER = """
CREATE TRIGGER images_claims BEFORE UPDATE ON images FOR EACH ROW
WHEN (OLD.state = 'QUEUED' AND NEW.state = 'RUNNING' AND NEW.revised_spec IS NOT NULL AND NEW.claims = OLD.claims)
EXECUTE FUNCTION images_claims()
"""


def upgrade() -> None:
    """Go to this revision."""
    op.add_column("orders", sa.Column("originals_seconds", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("orders", sa.Column("originals_until", sa.BigInteger(), nullable=True))
    op.create_index(
        "orders_originals",
        "orders",
        ["originals_until"],
        sqlite_where=sa.text("originals_until IS NOT NULL"),
        postgresql_where=sa.text("originals_until IS NOT NULL"),
    )
    op.add_column("images", sa.Column("revised_spec", sa.String(), nullable=True))
    for name in ("generation", "next_generation", "claims"):
        op.add_column("images", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))
    if op.get_bind().dialect.name == "postgresql":
        op.execute(FUNCTION)
        op.execute(TRIGGER)
