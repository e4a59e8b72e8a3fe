"""How results are spread over e-mails: a pure function, so that every mailer comes to the same parts."""

from collections.abc import Sequence

MAX_PARTS = 5
_ENTRY_BYTES = 700
"""What the archive needs for an image besides its bytes, at most: two headers with a name of 160 bytes, in ZIP64."""
_END_BYTES = 2_500
"""What it needs besides: the beginnings of its receipt, and the end."""


def archive_capacity(limit_mb: float) -> int:
    """Bytes of an archive that fills the limit once it is encoded: lines of 57 bytes become 78."""
    return int(limit_mb * 1_000_000) * 57 // 78


def plan_parts(sizes: Sequence[int], capacity: int, *, most: int = MAX_PARTS, extra: int = 0) -> list[range] | None:
    """Parts as ranges of indices, in order and each as full as it gets; None: they do not fit into so many e-mails.

    sizes: bytes of each result with its lines in the receipt, by position. capacity: bytes of an archive. extra: bytes
    that the first part needs besides.
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
