"""Compress the pixels of a PNG: a filter for each row, then Deflate.

Choosing filters by the entropy of their differences was measured too: 2 % fewer bytes for RGB, no fewer for RGBA, in a
tenth more time.
"""

from collections.abc import Iterator

import numpy as np

from services.blur_worker.engine.formats.deflate import Compressor, best_compressor, compressor
from services.blur_worker.engine.formats.png.filters import filter_rows
from services.blur_worker.engine.raster import Samples

_CHUNK_BYTES = 1 << 17
_SAMPLES = 8
"""Groups of rows that are tried, evenly spread, a chunk in all."""


def compress_pixels(samples: Samples) -> Iterator[bytes]:
    """Yield the parts of the zlib stream of an image, or of a frame's box: shape (height, width, channels)."""
    samples = np.require(samples, samples.dtype.newbyteorder(">"), ["C", "W"])
    height, width, channels = samples.shape
    rows = samples.reshape(height, width * channels).view(np.uint8)
    pixel_bytes, length = channels * samples.itemsize, rows.shape[1]
    rows_per_chunk = max(1, _CHUNK_BYTES // length)
    filtered = np.empty((min(rows_per_chunk, height), 1 + length), np.uint8)
    above = np.zeros(length, np.uint8)
    stream = _compressor_for(rows, pixel_bytes) if samples.itemsize == 1 else compressor(samples.itemsize)
    for first in range(0, height, rows_per_chunk):
        part = rows[first : first + rows_per_chunk]
        out = filtered[: len(part)]
        filter_rows(above, part, pixel_bytes, out)
        above = part[-1]
        if compressed := stream.compress(out.data):
            yield compressed
    yield stream.flush()


def _compressor_for(rows: Samples, pixel_bytes: int) -> Compressor:
    height, length = rows.shape
    count = max(1, min(_CHUNK_BYTES // length // _SAMPLES, height // _SAMPLES))
    sample = np.empty((min(_SAMPLES, height), count, 1 + length), np.uint8)
    for index, out in enumerate(sample):
        first = index * height // len(sample)
        above = rows[first - 1] if first else np.zeros(length, np.uint8)
        filter_rows(above, rows[first : first + count], pixel_bytes, out)
    return best_compressor(sample.reshape(-1).data, pixel_bytes)
