"""What stands before the entropy-coded data of the result: written by Pillow, as for any other JPEG."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.jpeg.markers import HuffmanTable, Stream, UnfitError


@dataclass(frozen=True)
class Envelope:
    """The bytes up to the scan, and the tables that they announce, for each component."""

    head: bytes
    quantization: tuple[NDArray[np.uint16], ...]
    dc: tuple[HuffmanTable, ...]
    ac: tuple[HuffmanTable, ...]


def envelope(small: bytes, width: int, height: int, sampling: tuple[tuple[int, int], ...]) -> Envelope:
    """Takes the head of a small JPEG that has the same settings, and makes it that of another size and sampling."""
    stream = Stream(small)
    scan = stream.next_scan(2)
    assert scan is not None
    assert stream.frame is not None
    head = bytearray(small[: scan.start])
    at = stream.frame_at
    head[at + 5 : at + 9] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    for index, (horizontal, vertical) in enumerate(sampling):
        head[at + 11 + 3 * index] = horizontal << 4 | vertical
    return Envelope(
        bytes(head),
        tuple(stream.quantization[each.quantization] for each in stream.frame.components),
        tuple(table for table in scan.dc if table),
        tuple(table for table in scan.ac if table),
    )


def keeping(small: bytes, own: Envelope, tables: tuple[NDArray[np.uint16], ...]) -> Envelope:
    """The same with quantization tables of the source, one for each component, instead of those of a quality.

    Raises:
        UnfitError: A divisor above 255, which a baseline JPEG has not.
    """
    if max(int(table.max()) for table in tables) > 255:
        raise UnfitError("divisors of 16 bits")
    at = Stream(small)
    at.next_scan(2)
    head = bytearray(own.head)
    for index in range(len(tables)):
        head[at.frame_at + 12 + 3 * index] = index
    segments = b"".join(
        b"\xff\xdb\x00\x43" + bytes([index]) + table.astype(np.uint8).tobytes() for index, table in enumerate(tables)
    )
    # Behind all others, which they replace.
    scan_at = head.rindex(b"\xff\xda")
    return replace(own, head=bytes(head[:scan_at] + segments + head[scan_at:]), quantization=tables)
