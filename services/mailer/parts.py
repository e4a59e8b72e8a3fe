"""How results are spread over letters: a pure function, so that every mailer comes to the same parts."""

from collections.abc import Sequence

MAX_PARTS = 5
_ENTRY_BYTES = 700
"""What the archive needs for an image besides its bytes, at most: two headers with a name of 160 bytes, in ZIP64."""
_END_BYTES = 200


def archive_capacity(limit_mb: float) -> int:
    """Bytes of an archive that fills the limit once it is encoded: lines of 57 bytes become 78."""
    return int(limit_mb * 1_000_000) * 57 // 78


def plan_parts(sizes: Sequence[int], capacity: int) -> list[range] | None:
    """Parts as ranges of indices, in order and each as full as it gets; None: they do not fit into 5 letters.

    sizes: bytes of each result, by position. capacity: bytes of an archive.
    """
    parts: list[range] = []
    start, used = 0, _END_BYTES
    for index, size in enumerate(sizes):
        needed = size + _ENTRY_BYTES
        if _END_BYTES + needed > capacity:
            return None
        if used + needed > capacity:
            parts.append(range(start, index))
            start, used = index, _END_BYTES
        used += needed
    if sizes:
        parts.append(range(start, len(sizes)))
    return parts if len(parts) <= MAX_PARTS else None
