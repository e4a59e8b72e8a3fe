"""E-mails at the mailbox."""

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

from services.stack.background import BackgroundStack
from tests.support.waiting import eventually


def emails_to(stack: BackgroundStack, address: str) -> list[Path]:
    """The e-mails that came for an address, oldest first."""
    folders = sorted(stack.places.mailbox.glob("[0-9]*"))
    return [folder for folder in folders if f'"{address}"' in (folder / "envelope.json").read_text("utf-8")]


def wait_for_emails(stack: BackgroundStack, address: str, count: int = 1) -> list[Path]:
    """The e-mails for an address once there are so many."""

    def there() -> list[Path] | None:
        emails = emails_to(stack, address)
        return emails if len(emails) >= count else None

    emails = eventually(there, within=30)
    assert emails
    return emails


def link_of(email: Path, page: str) -> str:
    """The link to a page in an e-mail's text."""
    link = re.search(rf"http://\S+/{page}\?token=\S+", (email / "body.txt").read_text("utf-8"))
    assert link
    return link[0]


def token_of(email: Path, page: str) -> str:
    """The token in that link."""
    return unquote(link_of(email, page).partition("token=")[2])


def run_mailing(stack: BackgroundStack) -> None:
    """What `make mailing` does; the mailing's preparation is in the mail queue when this returns."""
    environment = os.environ | {"IMAGEBLUR_DATA_DIR": str(stack.places.data)}
    subprocess.run([sys.executable, "-m", "services.stack", "mailing"], env=environment, check=True, timeout=30)
