"""Packs the pixels of a PNG: a filter chosen for each row, then deflate.

Choosing filters by the entropy of their differences was measured too: 2 % fewer bytes of colours, none of colours with
alpha, a tenth more time.
"""

from collections.abc import Iterator

import numpy as np

from services.blur_worker.engine import compiling
from services.blur_worker.engine.deflate import stream_for
from services.blur_worker.engine.png.filters import UP, Rows, filter_rows
from services.blur_worker.engine.raster import Samples

_BYTES_AT_ONCE = 1 << 18


def deflated(samples: Samples) -> Iterator[bytes]:
    """Gives pixels, (height, width, channels), as a zlib stream in parts."""
    samples = np.require(samples, samples.dtype.newbyteorder(">"), ["C", "W"])
    height, width, channels = samples.shape
    rows = samples.reshape(height, width * channels).view(np.uint8)
    step, length = channels * samples.itemsize, rows.shape[1]
    at_once = max(1, _BYTES_AT_ONCE // length)
    filtered = np.empty((min(at_once, height), 1 + length), np.uint8)
    above = np.zeros(length, np.uint8)
    choose = filter_rows if compiling.AVAILABLE else _subtract_above
    stream = stream_for(samples.itemsize)
    for first in range(0, height, at_once):
        part = rows[first : first + at_once]
        out = filtered[: len(part)]
        choose(above, part, step, out)
        above = part[-1]
        if packed := stream.compress(out.data):
            yield packed
    yield stream.flush()


def _subtract_above(above: Rows, rows: Rows, _step: int, out: Rows) -> None:
    """The one filter that numpy does as quickly; costs a tenth more bytes."""
    out[:, 0] = UP
    np.subtract(rows[0], above, out=out[0, 1:])
    np.subtract(rows[1:], rows[:-1], out=out[1:, 1:])
