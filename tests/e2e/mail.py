"""Letters at the mailbox."""

from pathlib import Path

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
