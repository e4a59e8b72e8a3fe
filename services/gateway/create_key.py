"""`python -m services.gateway create-key`: bootstraps access when no API key exists or all are lost."""

import sys
from pathlib import Path

from services.common import migrations
from services.common.db.access import api_keys, audit
from services.common.db.access.audit import AuditContext
from services.common.db.engine import Database
from services.common.domain.api_keys import PREFIX, Role, is_key
from services.common.domain.errors import Unavailable
from services.common.infra import log
from services.common.infra.settings import CommonSettings


def create_key(name: str, role: Role, key_file: Path | None = None) -> None:
    """Create an API key in the database and print it; with `key_file`, add the key in that file unless it is there.

    Exits with 1 and a message if the database is unavailable or the file holds no key.
    """
    key = _read(key_file) if key_file else None
    settings = CommonSettings.load()
    log.configure(settings.log_level, settings.log_format)
    database = Database(settings.database_url)
    try:
        migrations.check(database)
        with database.write() as session:
            if key and api_keys.is_known(session, key):
                print(f"the API key in {key_file} is there already", file=sys.stderr)
                return
            audit_context = AuditContext(audit.COMMAND_LINE, "CreateApiKey")
            issued = api_keys.create(session, audit_context, name=name, role=role, seconds=None, key=key)
    except Unavailable as error:
        sys.exit(str(error))
    finally:
        database.close()
    if key:
        print(f"API key {issued.row.id} ({role.lower()}), that in {key_file}", file=sys.stderr)
        return
    # Only the key goes to stdout, so that it can be redirected without being shown.
    print(f"API key {issued.row.id} ({role.lower()}); it cannot be shown again:", file=sys.stderr)
    print(issued.key)


def _read(key_file: Path) -> str:
    try:
        key = key_file.read_text("ascii", "replace").strip()
    except OSError as error:
        sys.exit(f"{key_file} cannot be read: {error.strerror}")
    if not is_key(key):
        sys.exit(f"{key_file} holds no API key: {PREFIX} and 43 characters of base64url, which are 32 random bytes")
    return key
