"""`python -m services.gateway create-key`: bootstraps access when no API key exists or all are lost."""

import sys

from services.common import migrations
from services.common.db.access import api_keys
from services.common.db.access.audit import AuditContext
from services.common.db.engine import Database
from services.common.domain.api_keys import Role
from services.common.domain.errors import Unavailable
from services.common.infra import log
from services.common.infra.settings import CommonSettings

PRINCIPAL = "command line"


def create_key(name: str, role: Role) -> None:
    """Create an API key in the database and print it. Exits with 1 and a message if it is unavailable."""
    settings = CommonSettings.load()
    log.configure(settings.log_level, settings.log_format)
    database = Database(settings.database_url)
    try:
        migrations.check(database)
        with database.write() as session:
            audit_context = AuditContext(PRINCIPAL, "CreateApiKey")
            issued = api_keys.create(session, audit_context, name=name, role=role, seconds=None)
    except Unavailable as error:
        sys.exit(str(error))
    finally:
        database.close()
    # Only the key goes to stdout, so that it can be redirected without being shown.
    print(f"API key {issued.row.id} ({role.lower()}); it cannot be shown again:", file=sys.stderr)
    print(issued.key)
