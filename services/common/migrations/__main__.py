"""`python -m services.common.migrations`: bring the database to the revision that this version needs."""

from services.common import migrations
from services.common.db.engine import Database
from services.common.infra import log
from services.common.infra.process.startup import run
from services.common.infra.settings import CommonSettings


def main() -> None:
    """Upgrade the database that the settings name."""
    settings = CommonSettings.load()
    log.configure(settings.log_level, settings.log_format)
    database = Database(settings.database_url)
    migrations.upgrade(database)
    database.close()


if __name__ == "__main__":
    run(main)
