"""Reads the pixels of the PNGs that most are: 8 or 16 bits, no palette, no transparent colour, not animated.

Twice to three times as fast as Pillow, with 16 bits for colours too, and never more than a few rows beside the result.
"""

import struct
from collections.abc import Iterable

import numpy as np
from isal import isal_zlib

from services.blur_worker.engine import compiling
from services.blur_worker.engine.png import filters
from services.blur_worker.engine.png.chunks import MODES, Header, chunks
from services.blur_worker.engine.raster import Raster, Samples

_BYTES_IN, _BYTES_OUT = 1 << 16, 1 << 18
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Of each pass of an interlaced picture: its first column and row, and the steps between them."""
_MEANT_OTHERWISE = {b"tRNS", b"acTL", b"PLTE"}
"""Chunks that say more about the pixels: what they mean is Pillow's to tell."""
_TEXTS = {b"tEXt", b"zTXt", b"iTXt"}


def header_of(png: bytes, *, keep_metadata: bool) -> Header | None:
    """The header of a file that `decode` is for; None if it is for Pillow."""
    if not compiling.AVAILABLE:
        return None
    header: Header | None = None
    seen: set[bytes] = set()
    for name, content in chunks(png):
        if not seen:
            try:
                header = Header.parse(bytes(content)) if name == b"IHDR" else None
            except (struct.error, ValueError):
                return None
        # What comes after the pixels is not yet known when they are to be decoded.
        late = {b"eXIf", *(_TEXTS if keep_metadata else ())} if b"IDAT" in seen else set()
        if header is None or name in _MEANT_OTHERWISE or name in late:
            return None
        seen.add(name)
    return header if header and header.color_type in MODES and header.bits in {8, 16} else None


def decode(png: bytes, header: Header) -> Raster:
    """Decodes a file whose size was found to be acceptable.

    Raises:
        ValueError: It is damaged.
        isal_zlib.error: Likewise.
    """
    mode = MODES[header.color_type]
    samples = np.empty((header.height, header.width, len(mode)), f">u{header.bits // 8}")
    pixels = _Inflated(content for name, content in chunks(png) if name == b"IDAT")
    if not header.interlaced:
        _read_rows(pixels, samples)
    for left, top, across, down in _ADAM7 if header.interlaced else ():
        part = samples[top::down, left::across]
        if part.size:
            rows = np.empty(part.shape, part.dtype)
            _read_rows(pixels, rows)
            part[:] = rows
    if not samples.dtype.isnative:
        samples = samples.byteswap(inplace=True).view(samples.dtype.newbyteorder())
    return Raster(mode, samples)


def _read_rows(pixels: "_Inflated", samples: Samples) -> None:
    height, width, channels = samples.shape
    step = channels * samples.itemsize
    rows = samples.reshape(height, width * channels).view(np.uint8)
    length = rows.shape[1]
    above = np.zeros(length, np.uint8)
    at_once = max(1, _BYTES_OUT // (1 + length))
    for first in range(0, height, at_once):
        out = rows[first : first + at_once]
        filtered = np.frombuffer(pixels.read(len(out) * (1 + length)), np.uint8).reshape(len(out), 1 + length)
        if not filters.unfilter_rows(above, filtered, step, out):
            raise ValueError("an unknown filter")
        above = out[-1]


class _Inflated:
    """What is in a compressed stream, read in parts: never more than is asked for."""

    def __init__(self, contents: Iterable[memoryview]) -> None:
        self._contents = (
            content[start : start + _BYTES_IN] for content in contents for start in range(0, len(content), _BYTES_IN)
        )
        self._stream = isal_zlib.decompressobj()

    def read(self, size: int) -> bytearray:
        parts = []
        while size:
            part = self._stream.decompress(self._stream.unconsumed_tail, size)
            if not part:
                content = None if self._stream.eof else next(self._contents, None)
                if content is None:
                    raise ValueError("pixels are missing")
                part = self._stream.decompress(content, size)
            parts.append(part)
            size -= len(part)
        return bytearray().join(parts)
