"""The Range header of downloads."""

import re
from dataclasses import dataclass

_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


@dataclass(frozen=True)
class ByteRange:
    """A requested part of a file: from `first`, counted from the end if negative, to `last` or to the end."""

    first: int
    last: int | None

    def within(self, size: int) -> tuple[int, int] | None:
        """Return the first byte and the length in a file of this size; None if the range is outside of it."""
        first = self.first if self.first >= 0 else max(0, size + self.first)
        end = size if self.last is None else min(self.last + 1, size)
        return (first, end - first) if first < end else None


def parse_range(header: str | None) -> ByteRange | None:
    """Parse a header with one range; None for anything else, which gets the whole file (RFC 9110, 14.2)."""
    match = _RANGE.fullmatch((header or "").replace(" ", ""))
    if not match or match[1] == match[2] == "":
        return None
    if not match[1]:
        return ByteRange(-int(match[2]), None) if int(match[2]) else None
    first, last = int(match[1]), int(match[2]) if match[2] else None
    return None if last is not None and last < first else ByteRange(first, last)
