"""The database's history: Alembic revisions, and what applies and checks them."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from services.common.db.engine import Database
from services.common.errors import ConfigurationError


def upgrade(database: Database) -> None:
    """Bring a database to the revision that this version needs."""
    with database.engine.connect() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


def check(database: Database) -> None:
    """Make sure that the database is at the revision that this version needs.

    Raises:
        ConfigurationError: It is not.
        Unavailable: The database cannot be reached.
    """
    with database.read() as session:
        found = MigrationContext.configure(session.connection()).get_current_revision()
    wanted = ScriptDirectory.from_config(_config()).get_current_head()
    if found != wanted:
        raise ConfigurationError(
            f"IMAGEBLUR_DATABASE_URL: the database is at revision {found or 'none'}, this version needs {wanted}: "
            "run 'python -m services.common.migrations'"
        )


def check_url(url: str) -> None:
    """Check the database at a URL and close it again, before processes are forked."""
    database = Database(url)
    try:
        check(database)
    finally:
        database.close()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    return config
