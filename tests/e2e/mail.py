"""E-mails in the local mailbox."""

import json
import re
import subprocess
import sys
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import unquote

from services.stack.background import BackgroundStack
from tests.support.waiting import eventually


def emails_to(stack: BackgroundStack, address: str) -> list[EmailMessage]:
    """The e-mails that came for an address, oldest first."""
    paths = sorted(stack.data_folder.mailbox.glob("new/*"), key=lambda path: path.stat().st_mtime_ns)
    emails = [message_from_bytes(path.read_bytes(), policy=policy.default) for path in paths]
    return [email for email in emails if address in email.get_all("Delivered-To", ())]


def text_of(email: EmailMessage) -> str:
    """The plain text of an e-mail."""
    body = email.get_body(("plain",))
    assert body
    text: str = body.get_content()
    return text


def attachment_of(email: EmailMessage, name: str) -> bytes:
    """The bytes of an attached file."""
    (part,) = (part for part in email.iter_attachments() if part.get_filename() == name)
    content: bytes = part.get_content()
    return content


def wait_for_emails(stack: BackgroundStack, address: str, count: int = 1) -> list[EmailMessage]:
    """The e-mails for an address once there are so many."""

    def there() -> list[EmailMessage] | None:
        emails = emails_to(stack, address)
        return emails if len(emails) >= count else None

    emails = eventually(there)
    assert emails
    return emails


def link_of(email: EmailMessage, page: str) -> str:
    """The link to a page in an e-mail's text."""
    link = re.search(rf"http://\S+/{page}\?token=\S+", text_of(email))
    assert link
    return link[0]


def token_of(email: EmailMessage, page: str) -> str:
    """The token in that link."""
    return unquote(link_of(email, page).partition("token=")[2])


def run_mailing(stack: BackgroundStack) -> None:
    """Send a mailing as `make mailing` does, and wait until it has finished: all that it sends is in the mailbox."""
    imageblur = str(Path(sys.executable).parent / "imageblur")
    admin = [imageblur, "--server", stack.gateway_address, "admin"]
    subprocess.run([*admin, "run-mailing", "--yes"], check=True, timeout=30)

    def finished() -> bool:
        newest = [*admin, "mailings", "--limit", "1", "--json"]
        shown = subprocess.run(newest, check=True, timeout=30, capture_output=True, text=True).stdout
        return "finish_time" in json.loads(shown.splitlines()[0])

    eventually(finished, within=60, every=0.2)
