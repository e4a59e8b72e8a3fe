"""Pages of lists: how large, and where the next one begins."""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any, TypeVar
from uuid import UUID

from services.common.domain.errors import InvalidArgument, Violation

T = TypeVar("T")

DEFAULT_SIZE = 50
MAX_SIZE = 1000


def parse_size(size: int) -> int:
    """How many to answer.

    Raises:
        InvalidArgument: It is negative.
    """
    if size < 0:
        raise InvalidArgument(Violation("page_size", "must not be negative"))
    return min(size or DEFAULT_SIZE, MAX_SIZE)


def token(*place: int | str | UUID) -> str:
    """A token for the page after a place in a list."""
    text = json.dumps([str(part) if isinstance(part, UUID) else part for part in place])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def parse_token(text: str, *kinds: type) -> list[Any] | None:
    """The parts of such a place; None for the first page.

    Raises:
        InvalidArgument: The token is not one that was handed out.
    """
    if not text:
        return None
    try:
        parts = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
        found = [kind(part) for kind, part in zip(kinds, parts, strict=True)]
    except (ValueError, TypeError, AttributeError, binascii.Error, RecursionError):
        raise InvalidArgument(Violation("page_token", "is not one that was handed out")) from None
    # A number that no column can hold.
    if any(isinstance(part, int) and not 0 <= part < 2**63 for part in found):
        raise InvalidArgument(Violation("page_token", "is not one that was handed out"))
    return found


def parse_time_and_id(text: str) -> tuple[int, UUID] | None:
    """A place in a list by time."""
    parts = parse_token(text, int, UUID)
    return (parts[0], parts[1]) if parts else None


def parse_id(text: str) -> UUID | None:
    """A place in a list by id."""
    parts = parse_token(text, UUID)
    return parts[0] if parts else None


def cut(found: Sequence[T], size: int) -> tuple[Sequence[T], T | None]:
    """What is answered of a page and one more, and the last of it if others follow."""
    return (found[:size], found[size - 1]) if len(found) > size else (found, None)
