"""`python -m services.mailer COMMAND`: look at the mailing, send it to one address, check the mail server."""

import argparse
import sys
from pathlib import Path

from services.common import migrations
from services.common.db.engine import Database
from services.common.infra import log
from services.common.infra.tokens import Tokens
from services.mailer.app import make_postbox, smtp_sender
from services.mailer.content.languages import LANGUAGES
from services.mailer.content.subscriber_emails import WeeklyDrafting
from services.mailer.operator import Checked, Operator
from services.mailer.settings import MailerSettings
from services.mailer.smtp.reply_explanations import concerns


def main() -> None:
    """Do what the command says; exits with 1 where an e-mail was not taken."""
    arguments = _parse()
    settings = MailerSettings.load()
    log.configure(settings.log_level, settings.log_format)
    database = Database(settings.database_url)
    migrations.check(database)
    draft = WeeklyDrafting(Tokens(*settings.signing_keys), settings.public_url)
    operator = Operator(database, make_postbox(settings), smtp_sender(settings), draft, settings.mailing_text_dir)
    match arguments.command:
        case "preview-mailing":
            _preview(operator, arguments.folder)
        case "test-mailing":
            _tell(operator.test_mailing(arguments.address, arguments.locale))
        case "check":
            print(f"{settings.smtp_host}:{settings.smtp_port}, encryption: {settings.smtp_security}")
            checked = operator.check(arguments.address, arguments.locale)
            for concern in concerns(settings):
                print(f"! {concern}")
            _tell(checked)
    database.close()


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m services.mailer")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    preview = commands.add_parser("preview-mailing", help="write the mailing as it would be now into a folder")
    preview.add_argument("folder", type=Path)
    for name, words in (
        ("test-mailing", "send the mailing to one address"),
        ("check", "send an e-mail, explain replies"),
    ):
        command = commands.add_parser(name, help=words)
        command.add_argument("address")
        command.add_argument("--locale", choices=list(LANGUAGES), default="en")
    return parser.parse_args()


def _preview(operator: Operator, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for locale in LANGUAGES:
        words = operator.preview_mailing(locale)
        (folder / f"mailing.{locale}.txt").write_text(words.text, "utf-8")
        (folder / f"mailing.{locale}.html").write_text(words.html, "utf-8")
        print(f"{locale}: {words.subject}")
    print(f"written to {folder}")


def _tell(checked: Checked) -> None:
    print("\n".join(checked.conversation))
    print(f"\n{'taken' if checked.taken else 'NOT taken'}: {checked.outcome}")
    if not checked.taken:
        sys.exit(1)
