"""`python -m services.gateway keys …`: API keys, straight in the database: for the first one, and when all are lost."""

import argparse
import sys
from uuid import UUID

from services.common import migrations
from services.common.db.access import api_keys
from services.common.db.access.api_keys import Made
from services.common.db.access.audit import AuditContext
from services.common.db.clock import to_datetime
from services.common.db.engine import Database
from services.common.db.models import ApiKey
from services.common.domain.api_keys import Role
from services.common.domain.errors import FailedPrecondition, NotFound, Unavailable
from services.common.infra import log
from services.common.infra.settings import CommonSettings

_DAY, _HOUR = 86_400, 3600


def main(arguments: list[str]) -> None:
    """Do what the command line says; exits with 1 and a sentence where it cannot be done."""
    asked = _parser().parse_args(arguments)
    settings = CommonSettings.load()
    log.configure(settings.log_level, settings.log_format)
    database = Database(settings.database_url)
    try:
        migrations.check(database)
        _do(database, asked)
    except (NotFound, FailedPrecondition, Unavailable) as error:
        sys.exit(str(error))
    finally:
        database.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.gateway")
    keys = (
        parser.add_subparsers(required=True)
        .add_parser("keys", help="API keys")
        .add_subparsers(dest="command", required=True)
    )
    create = keys.add_parser("create", help="make a key and print it: it is never shown again")
    create.add_argument("--role", required=True, choices=[role.lower() for role in Role])
    create.add_argument("--name", default="made on the command line", help="whose it is")
    create.add_argument("--days", type=_positive, help="how long it works (default: until it is revoked)")
    listing = keys.add_parser("list", help="list keys")
    listing.add_argument("--all", action="store_true", help="those that have ended, too")
    rotate = keys.add_parser("rotate", help="replace a key and print the new one")
    rotate.add_argument("id", type=UUID)
    rotate.add_argument(
        "--keep-hours", type=_positive, help="how long the former one still works (default: not at all)"
    )
    keys.add_parser("revoke", help="end a key").add_argument("id", type=UUID)
    return parser


def _do(database: Database, asked: argparse.Namespace) -> None:
    audit_context = {"create": "CreateApiKey", "rotate": "RotateApiKey", "revoke": "RevokeApiKey"}
    if asked.command == "list":
        with database.read() as session:
            for row in api_keys.listed(session, after=None, limit=10_000, ended=asked.all):
                print(_line(row))
        return
    with database.write() as session:
        who = AuditContext("command line", audit_context[asked.command])
        made: Made | None = None
        match asked.command:
            case "create":
                seconds = asked.days and asked.days * _DAY
                made = api_keys.create(session, who, name=asked.name, role=Role(asked.role.upper()), seconds=seconds)
            case "rotate":
                made = api_keys.rotate(session, who, asked.id, keep_seconds=(asked.keep_hours or 0) * _HOUR)
            case "revoke":
                api_keys.revoke(session, who, asked.id)
    if made:
        # The key alone goes to stdout, so that it can be put where it belongs without being seen.
        print(f"key {made.row.id} ({made.row.role.lower()}); it is not shown again:", file=sys.stderr)
        print(made.key)


def _line(row: ApiKey) -> str:
    def day(time: int | None) -> str:
        return to_datetime(time).strftime("%Y-%m-%d") if time else "-"

    state = f"revoked {day(row.revoked_at)}" if row.revoked_at else f"expires {day(row.expires_at)}"
    used = f"used {day(row.last_used_at)}"
    return f"{row.id}  {row.role.lower():6}  {row.hint}…  made {day(row.created_at)}  {used}  {state}  {row.name}"


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number
