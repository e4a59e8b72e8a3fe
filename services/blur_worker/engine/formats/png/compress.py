"""Compress the pixels of a PNG: a filter for each row, then Deflate.

Choosing filters by the entropy of their differences was measured too: 2 % fewer bytes for RGB, no fewer for RGBA, in a
tenth more time.
"""

from collections.abc import Iterator

import numpy as np

from services.blur_worker.engine.formats.deflate import compressor
from services.blur_worker.engine.formats.png.filters import filter_rows
from services.blur_worker.engine.raster import Samples

_CHUNK_BYTES = 1 << 18


def compress_pixels(samples: Samples) -> Iterator[bytes]:
    """Yield the parts of the zlib stream of an image, or of a frame's box: shape (height, width, channels)."""
    samples = np.require(samples, samples.dtype.newbyteorder(">"), ["C", "W"])
    height, width, channels = samples.shape
    rows = samples.reshape(height, width * channels).view(np.uint8)
    pixel_bytes, length = channels * samples.itemsize, rows.shape[1]
    rows_per_chunk = max(1, _CHUNK_BYTES // length)
    filtered = np.empty((min(rows_per_chunk, height), 1 + length), np.uint8)
    above = np.zeros(length, np.uint8)
    stream = compressor(samples.itemsize)
    for first in range(0, height, rows_per_chunk):
        part = rows[first : first + rows_per_chunk]
        out = filtered[: len(part)]
        filter_rows(above, part, pixel_bytes, out)
        above = part[-1]
        if compressed := stream.compress(out.data):
            yield compressed
    yield stream.flush()
