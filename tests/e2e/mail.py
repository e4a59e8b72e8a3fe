"""Letters at the mailbox."""

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

from services.stack.background import BackgroundStack
from tests.support.waiting import eventually


def letters_to(stack: BackgroundStack, address: str) -> list[Path]:
    """The letters that came for an address, oldest first."""
    folders = sorted(stack.places.mailbox.glob("[0-9]*"))
    return [folder for folder in folders if f'"{address}"' in (folder / "envelope.json").read_text("utf-8")]


def wait_for_letters(stack: BackgroundStack, address: str, count: int = 1) -> list[Path]:
    """The letters for an address once there are so many."""

    def there() -> list[Path] | None:
        letters = letters_to(stack, address)
        return letters if len(letters) >= count else None

    letters = eventually(there, within=30)
    assert letters
    return letters


def link_of(letter: Path, page: str) -> str:
    """The link to a page in a letter's text."""
    link = re.search(rf"http://\S+/{page}\?token=\S+", (letter / "body.txt").read_text("utf-8"))
    assert link
    return link[0]


def token_of(letter: Path, page: str) -> str:
    """The token in that link."""
    return unquote(link_of(letter, page).partition("token=")[2])


def run_mailing(stack: BackgroundStack) -> None:
    """What `make mailing` does; the mailing's preparation is in the mail queue when this returns."""
    environment = os.environ | {"IMAGEBLUR_DATA_DIR": str(stack.places.data)}
    subprocess.run([sys.executable, "-m", "services.stack", "mailing"], env=environment, check=True, timeout=30)
