"""Pagination: page sizes and page tokens of all lists (AIP-158)."""

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


def parse_size(size: int, *, default: int = DEFAULT_SIZE, maximum: int = MAX_SIZE) -> int:
    """Return the number of items of a page.

    Raises:
        InvalidArgument: `size` is negative.
    """
    if size < 0:
        raise InvalidArgument(Violation("page_size", "must not be negative"))
    return min(size or default, maximum)


def make_token(*position: int | str | UUID) -> str:
    """Return a token for the page after a position in a list."""
    text = json.dumps([str(part) if isinstance(part, UUID) else part for part in position])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def parse_token(token: str, *types: type) -> list[Any] | None:
    """Return the position that a token was made from; None for the first page.

    Raises:
        InvalidArgument: The token was not made by `make_token` for this list.
    """
    if not token:
        return None
    try:
        parts = json.loads(base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True))
        position = [type_(part) for type_, part in zip(types, parts, strict=True)]
    except (ValueError, TypeError, AttributeError, OverflowError, binascii.Error, RecursionError):
        raise invalid_token() from None
    # No column can hold a larger number.
    if any(isinstance(part, int) and not 0 <= part < 2**63 for part in position):
        raise invalid_token()
    return position


def parse_time_and_id(token: str) -> tuple[int, UUID] | None:
    """Return a position in a list by time."""
    position = parse_token(token, int, UUID)
    return (position[0], position[1]) if position else None


def parse_id(token: str) -> UUID | None:
    """Return a position in a list by ID."""
    position = parse_token(token, UUID)
    return position[0] if position else None


def parse_index(token: str) -> int:
    """Return a position in a list by number; 0 for the first page."""
    position = parse_token(token, int)
    return position[0] if position else 0


def split_page(items: Sequence[T], size: int) -> tuple[Sequence[T], T | None]:
    """Split `size` + 1 items read from a list into the page and, if there are further items, its last item."""
    return (items[:size], items[size - 1]) if len(items) > size else (items, None)


def invalid_token() -> InvalidArgument:
    """Return the error for a token that this list did not return."""
    return InvalidArgument(Violation("page_token", "is not one that this list returned"))
