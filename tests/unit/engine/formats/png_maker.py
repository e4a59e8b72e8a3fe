"""Make PNG files with any filters, interlaced or not: a direct implementation of the specification."""

import struct
import zlib
from collections.abc import Sequence

import numpy as np

from services.blur_worker.engine.raster import Samples

COLOR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def make_png(samples: Samples, filters: Sequence[int], *, interlaced: bool = False, pieces: int = 1) -> bytes:
    """Return a PNG file whose rows use these filter types in turn, in so many IDAT chunks."""
    height, width, channels = samples.shape
    header = struct.pack(
        ">IIBBBBB", width, height, 8 * samples.itemsize, COLOR_TYPES[channels], 0, 0, 1 if interlaced else 0
    )
    parts = [samples[top::down, left::across] for left, top, across, down in PASSES] if interlaced else [samples]
    packed = zlib.compress(b"".join(filtered(part, filters) for part in parts if part.size))
    size = -(-len(packed) // pieces)
    data = b"".join(chunk(b"IDAT", packed[start : start + size]) for start in range(0, len(packed), size))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


def filtered(samples: Samples, filters: Sequence[int]) -> bytes:
    step = samples.shape[2] * samples.itemsize
    rows = samples.astype(samples.dtype.newbyteorder(">")).reshape(samples.shape[0], -1).view(np.uint8).astype(int)
    above = np.zeros(rows.shape[1], int)
    out = bytearray()
    for index, row in enumerate(rows):
        number = filters[index % len(filters)]
        left = np.concatenate([np.zeros(step, int), row[:-step]])
        corner = np.concatenate([np.zeros(step, int), above[:-step]])
        distances = [abs(left + above - corner - each) for each in (left, above, corner)]
        paeth = np.choose(np.argmin(distances, axis=0), [left, above, corner])
        predicted = [0 * row, left, above, (left + above) // 2, paeth][number]
        out += bytes([number]) + ((row - predicted) % 256).astype(np.uint8).tobytes()
        above = row
    return bytes(out)
