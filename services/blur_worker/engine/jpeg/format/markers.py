"""Markers and marker segments (T.81, B.1.1)."""

import re
from collections.abc import Iterator
from enum import IntEnum

import numpy as np


class UnsupportedJpeg(Exception):
    """A JPEG that is not blurred by its coefficients: unusual or damaged. Libjpeg decides which of the two."""


class Marker(IntEnum):
    """The second byte of a marker (table B.1), where it matters here."""

    TEM = 0x01
    SOF0 = 0xC0
    """Start of a baseline frame."""
    SOF1 = 0xC1
    """Start of an extended sequential frame, Huffman coding."""
    SOF2 = 0xC2
    """Start of a progressive frame, Huffman coding."""
    SOF3 = 0xC3
    DHT = 0xC4
    JPG = 0xC8
    DAC = 0xCC
    SOF15 = 0xCF
    RST0 = 0xD0
    RST7 = 0xD7
    SOI = 0xD8
    EOI = 0xD9
    SOS = 0xDA
    DQT = 0xDB
    DNL = 0xDC
    DRI = 0xDD


UNSUPPORTED = frozenset(range(Marker.SOF3, Marker.SOF15 + 1)) - {Marker.DHT, Marker.JPG} | {Marker.DNL}
"""Lossless, hierarchical and arithmetic coding, and a height that is only known after the first scan."""

_NOT_FILL = re.compile(rb"[^\xff]")
_DIAGONALS = [sorted(((y, i - y) for y in range(8) if 0 <= i - y < 8), key=lambda at: at[1 - i % 2]) for i in range(15)]
ZIGZAG = np.array([8 * v + u for diagonal in _DIAGONALS for v, u in diagonal], np.uint8)
"""The place in a block, row by row, of each coefficient in zig-zag order (figure A.6): of tables and scans."""
FROM_ZIGZAG = np.argsort(ZIGZAG)
"""The other way round: the place in zig-zag order of each coefficient of a block, row by row."""


def segments(data: bytes, at: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield each marker from `at` to EOI: the marker, the end of its segment, and its parameters.

    Raises:
        UnsupportedJpeg: There is no marker, one without a segment, or one whose segment does not fit.
    """
    while at + 2 <= len(data):
        if data[at] != 0xFF:
            raise UnsupportedJpeg("no marker where one should be")
        marker = data[at + 1]
        if marker == 0xFF:  # fill bytes (B.1.1.2)
            after = _NOT_FILL.search(data, at)
            at = after.start() - 1 if after else len(data)
            continue
        if marker == Marker.EOI:
            yield marker, at + 2, b""
            return
        if marker == Marker.TEM or Marker.RST0 <= marker <= Marker.SOI or at + 4 > len(data):
            raise UnsupportedJpeg("a marker out of place")
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        end = at + 2 + size
        if size < 2 or end > len(data):
            raise UnsupportedJpeg("a segment that does not fit")
        yield marker, end, data[at + 4 : end]
        at = end
    raise UnsupportedJpeg("no EOI")
