"""Blobs that no order owns get a state, where one number meant three things.

Services of the version before read and write `heartbeat_at` alone: -1 for blobs to be removed, -t for blobs to be
removed once more at t. On PostgreSQL they run beside their successors during an upgrade, and a trigger keeps both
columns right; the next revision drops it. On SQLite nothing runs during an upgrade. See ADR 27.

Revision: 0008. Revises: 0007.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

TO_STATES = """
UPDATE unowned_blobs SET
    state = CASE WHEN heartbeat_at = -1 THEN 'REMOVING' ELSE 'REMOVED' END,
    check_again_at = CASE WHEN heartbeat_at < -1 THEN -heartbeat_at END
WHERE heartbeat_at < 0
"""
# The new version writes states, and heartbeats of 0 or more. A statement that writes a negative heartbeat, or no state
# where one is needed, is of the version before.
FUNCTION = """
CREATE FUNCTION unowned_blobs_versions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.heartbeat_at < 0 AND (TG_OP = 'INSERT' OR NEW.heartbeat_at <> OLD.heartbeat_at) THEN
        NEW.state := CASE WHEN NEW.heartbeat_at = -1 THEN 'REMOVING' ELSE 'REMOVED' END;
    END IF;
    IF NEW.state = 'REMOVED' THEN
        IF NEW.heartbeat_at < -1 AND (TG_OP = 'INSERT' OR NEW.heartbeat_at <> OLD.heartbeat_at) THEN
            NEW.check_again_at := -NEW.heartbeat_at;
        END IF;
        NEW.heartbeat_at := -NEW.check_again_at;
    ELSE
        NEW.check_again_at := NULL;
        IF NEW.state = 'REMOVING' THEN
            NEW.heartbeat_at := -1;
        END IF;
    END IF;
    RETURN NEW;
END $$
"""
TRIGGER = """
CREATE TRIGGER unowned_blobs_versions BEFORE INSERT OR UPDATE ON unowned_blobs
FOR EACH ROW EXECUTE FUNCTION unowned_blobs_versions()
"""


def upgrade() -> None:
    """Go to this revision."""
    with op.batch_alter_table("unowned_blobs") as unowned_blobs:
        unowned_blobs.add_column(sa.Column("state", sa.String(), nullable=False, server_default="UPLOADING"))
        unowned_blobs.add_column(sa.Column("check_again_at", sa.BigInteger(), nullable=True))
    op.execute(TO_STATES)
    with op.batch_alter_table("unowned_blobs") as unowned_blobs:
        unowned_blobs.create_check_constraint(
            op.f("unowned_blobs_state_check"), "state IN ('UPLOADING', 'REMOVING', 'REMOVED')"
        )
        unowned_blobs.create_check_constraint(
            op.f("unowned_blobs_check_again_at_check"), "(state = 'REMOVED') = (check_again_at IS NOT NULL)"
        )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(FUNCTION)
        op.execute(TRIGGER)
