"""The Gaussian in compiled loops, for 8 bits and for 16: only a few rows exist beside source and target."""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled
from services.blur_worker.engine.gaussian.rows import Row, add, blur_across, blur_down, enlarge, reduce, store
from services.blur_worker.engine.gaussian.scheme import Scheme
from services.blur_worker.engine.raster import Samples

_SIGNATURES = [
    f"void({of}[:, ::1], {of}[:, ::1], Tuple((i8, b1, i8, i8, i8)), f4[::1], i8[::1], i8[::1], i8[::1], f4[::1], f4)"
    for of in ("u1", "u2")
]


def blur(source: Samples, scheme: Scheme, *, alpha: bool) -> Samples:
    """As `gaussian.blur`."""
    height, width, channels = source.shape
    scale = scheme.scale
    target = np.empty_like(source, order="C")
    positions = (np.arange(width) + 0.5) / scale - 0.5 + scheme.border
    left = np.floor(positions)
    lefts = (left[:, np.newaxis] * channels + np.arange(channels)).ravel().astype(np.int64)
    _blur_rows(
        np.require(source, requirements=["C", "W"]).reshape(height, width * channels),
        target.reshape(height, width * channels),
        (channels, alpha, scale, scheme.border, scheme.reduced(width)),
        scheme.taps,
        scheme.pixels(height),
        scheme.pixels(width),
        lefts,
        np.repeat((positions - left).astype(np.float32), channels),
        np.float32(np.iinfo(source.dtype).max),
    )
    return target


@compiled(*_SIGNATURES)
def _blur_rows(
    source: Samples,
    target: Samples,
    shape: tuple[int, bool, int, int, int],
    taps: Row,
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    lefts: NDArray[np.int64],
    weights: Row,
    top: np.float32,
) -> None:
    """Rows come in reduced and blurred across, wait in a ring until all that a row needs are there, and go out."""
    channels, alpha, scale, border, small_width = shape
    height, length = source.shape
    radius = len(taps) - 1
    sums = np.empty(length, np.float32)
    padded = np.empty((small_width + 2 * radius) * channels, np.float32)
    ring = np.empty((2 * radius + 1, small_width * channels), np.float32)
    small = np.empty(small_width * channels, np.float32)
    above = np.empty(length, np.float32)
    below = np.empty(length, np.float32)
    for index in range(len(rows) // scale):
        for row in range(scale):
            add(source[rows[index * scale + row]], sums, channels, alpha, row == 0)
        reduce(sums, columns, (radius + border) * scale, channels, scale, padded)
        blur_across(padded, ring[index % len(ring)], taps, channels)
        if index < 2 * radius:
            continue
        blur_down(ring, index - radius, small, taps)
        if scale == 1:
            store(small, small, np.float32(0), target[index - 2 * radius], channels, alpha, top)
            continue
        above, below = below, above
        enlarge(small, below, lefts, weights, channels)
        if index == 2 * radius:
            continue
        first = (index - 2 * radius - 2) * scale + scale // 2
        for row in range(max(first, 0), min(first + scale, height)):
            part = np.float32((row - first + 0.5) / scale)
            store(above, below, part, target[row], channels, alpha, top)
