"""What a place can do, and its errors."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from services.common.domain.errors import ImageBlurError

MOST_SEARCHED = 1_000_000
"""Files that a listing looks at."""


class NoSuchFile(ImageBlurError):
    """There is no such file in the place, or it is not a regular one."""


class PlaceUnavailable(ImageBlurError):
    """The place cannot be reached, is full, or refuses access. The text does not contain its location."""


@dataclass(frozen=True)
class ListedFile:
    """A file of a listing."""

    key: str
    size: int
    """In bytes."""


class PlaceStore(Protocol):
    """Files by key. All methods raise PlaceUnavailable."""

    def read(self, key: str) -> Iterator[bytes]:
        """Yield a file in pieces. Raises: NoSuchFile."""

    def write(self, key: str, file: Path) -> None:
        """Store a copy of a file, whole or not at all; replaces one that is there."""

    def list_files(self, prefix: str, accept: Callable[[str], bool], limit: int) -> list[ListedFile]:
        """Return the files below a prefix whose keys are accepted, by key.

        Args:
            prefix: Empty, or with `/` at its end.
            accept: Whether a key is accepted.
            limit: After one more than so many the search ends.
        """


def take_accepted(files: Iterable[ListedFile], accept: Callable[[str], bool], limit: int) -> list[ListedFile]:
    """Return the files whose keys are accepted, by key; see `PlaceStore.list_files`.

    Raises:
        PlaceUnavailable: There are too many files to search.
    """
    found = []
    for number, file in enumerate(files):
        if number >= MOST_SEARCHED:
            raise PlaceUnavailable(f"there are more than {MOST_SEARCHED:,} files below the prefix: name a deeper one")
        if accept(file.key):
            found.append(file)
            if len(found) > limit:
                break
    return sorted(found, key=lambda file: file.key)
