"""`python -m services.common.migrations`: bring the database to the revision that this version needs."""

from services.common import migrations
from services.common.db.engine import Database
from services.common.infra import log
from services.common.infra.settings import CommonSettings
from services.common.infra.startup import run


def main() -> None:
    """Upgrade the database that the settings name."""
    settings = CommonSettings.load()
    log.configure(settings.log_level, settings.log_format)
    database = Database(settings.database_url)
    migrations.upgrade(database)
    database.close()


if __name__ == "__main__":
    run(main)
