"""The database's history: Alembic revisions, and what applies and checks them."""

from pathlib import Path

from sqlalchemy import inspect, text

from services.common.db.access import audit
from services.common.db.access.audit import AuditContext
from services.common.db.engine import Database
from services.common.db.revision import HEAD
from services.common.domain.errors import ConfigurationError


def upgrade(database: Database, revision: str = HEAD) -> None:
    """Migrate a database to the revision that this version needs, or an earlier one, and record it in the audit log.

    Raises:
        ConfigurationError: It has an encoding other than UTF-8.
        Unavailable: The database cannot be reached.
    """
    database.check_encoding()
    before = _revision(database)
    if before == revision:
        return
    from alembic import command  # noqa: PLC0415 - half a second that starts without a migration do not need
    from alembic.config import Config  # noqa: PLC0415

    with database.engine.connect() as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.commit()
    # A new database has nothing that was changed.
    if before is not None:
        with database.write() as session:
            action = AuditContext(audit.COMMAND_LINE, "MigrateDatabase")
            audit.record(session, action, "database", before=before, after=revision)


def check(database: Database) -> None:
    """Check that the database is at the revision that this version needs.

    Raises:
        ConfigurationError: It is not, or has an encoding other than UTF-8.
        Unavailable: The database cannot be reached.
    """
    database.check_encoding()
    found = _revision(database)
    if found != HEAD:
        raise ConfigurationError(
            f"IMAGEBLUR_DATABASE_URL: the database is at revision {found or 'none'}, this version needs {HEAD}: "
            "run 'python -m services.common.migrations'"
        )


def check_url(url: str) -> None:
    """Check the database at a URL and close it again, before processes are forked."""
    database = Database(url)
    try:
        check(database)
    finally:
        database.close()


def _revision(database: Database) -> str | None:
    """Return the revision of a database; None if it is empty."""
    with database.read() as session:
        known = inspect(session.connection()).has_table("alembic_version")
        return session.scalar(text("SELECT version_num FROM alembic_version")) if known else None
