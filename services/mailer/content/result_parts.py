"""Splits results over e-mails: a pure function, so that every mailer computes the same parts."""

from collections.abc import Sequence

MAX_PARTS = 5
_ENTRY_BYTES = 700
"""Most bytes of the archive for an image, besides its own: two headers with a name of 160 bytes, in ZIP64."""
_END_BYTES = 2_500
"""Bytes of the archive besides: the beginnings of its summary, and the end."""


def archive_capacity(limit_mb: float) -> int:
    """Return the bytes of an archive that fills the limit once it is encoded: lines of 57 bytes become 78."""
    return int(limit_mb * 1_000_000) * 57 // 78


def plan_parts(sizes: Sequence[int], capacity: int, *, most: int = MAX_PARTS, extra: int = 0) -> list[range] | None:
    """Return the parts as ranges of indices, in order and each as full as possible; None if there would be too many.

    Args:
        sizes: Bytes of each result with its lines in the summary, by position.
        capacity: Bytes of an archive.
        most: Parts.
        extra: Bytes that the first part carries besides.
    """
    parts: list[range] = []
    start, used = 0, _END_BYTES + extra
    for index, size in enumerate(sizes):
        needed = size + _ENTRY_BYTES
        if _END_BYTES + needed + (0 if index else extra) > capacity:
            return None
        if used + needed > capacity:
            parts.append(range(start, index))
            start, used = index, _END_BYTES
        used += needed
    if sizes:
        parts.append(range(start, len(sizes)))
    return parts if len(parts) <= most else None
