"""The Gaussian in compiled loops, for 8 bits and for 16: only a few rows exist beside source and target."""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled
from services.blur_worker.engine.gaussian.scheme import Scheme
from services.blur_worker.engine.raster import Samples

_Row = NDArray[np.float32]
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


@compiled()
def _add_four(
    out: _Row, taps: _Row, before: tuple[_Row, _Row, _Row, _Row], after: tuple[_Row, _Row, _Row, _Row]
) -> None:
    # Four at a time: to read and write the sum for each takes twice as long.
    w0, w1, w2, w3 = taps[0], taps[1], taps[2], taps[3]
    a0, a1, a2, a3 = before
    b0, b1, b2, b3 = after
    for index in range(len(out)):
        out[index] += (
            w0 * (a0[index] + b0[index])
            + w1 * (a1[index] + b1[index])
            + w2 * (a2[index] + b2[index])
            + w3 * (a3[index] + b3[index])
        )


@compiled()
def _add(row: Samples, sums: _Row, channels: int, alpha: bool, first: bool) -> None:
    """Adds a row of pixels to the sums; colours weighed by their alpha, if they have one."""
    if first:
        sums[:] = 0
    if not alpha:
        for index in range(len(sums)):
            sums[index] += row[index]
        return
    for pixel in range(0, len(sums), channels):
        opaque = np.float32(row[pixel + channels - 1])
        for channel in range(channels - 1):
            sums[pixel + channel] += opaque * row[pixel + channel]
        sums[pixel + channels - 1] += opaque


@compiled()
def _reduce(sums: _Row, columns: NDArray[np.int64], lead: int, channels: int, scale: int, padded: _Row) -> None:
    """Averages across; `lead` pixels lie before the row's own, which are the only ones not looked up."""
    area = np.float32(1 / (scale * scale))
    first = lead // scale
    stop = first + len(sums) // channels // scale
    if scale == 1:
        padded[first * channels : stop * channels] = sums
    else:
        for small in range(stop - first):
            for channel in range(channels):
                total = np.float32(0)
                for pixel in range(scale):
                    total += sums[(small * scale + pixel) * channels + channel]
                padded[(first + small) * channels + channel] = total * area
    for small in range(len(columns) // scale):
        if first <= small < stop:
            continue
        for channel in range(channels):
            total = np.float32(0)
            for pixel in range(scale):
                total += sums[columns[small * scale + pixel] * channels + channel]
            padded[small * channels + channel] = total * area


@compiled()
def _blur_across(padded: _Row, out: _Row, taps: _Row, channels: int) -> None:
    middle = (len(taps) - 1) * channels
    straight = padded[middle:]
    for index in range(len(out)):
        out[index] = taps[0] * straight[index]
    for tap in range(1, len(taps), 4):
        near, far = middle - tap * channels, middle + tap * channels
        step = channels
        _add_four(
            out,
            taps[tap : tap + 4],
            (padded[near:], padded[near - step :], padded[near - 2 * step :], padded[near - 3 * step :]),
            (padded[far:], padded[far + step :], padded[far + 2 * step :], padded[far + 3 * step :]),
        )


@compiled()
def _blur_down(ring: NDArray[np.float32], center: int, out: _Row, taps: _Row) -> None:
    count = len(ring)
    straight = ring[center % count]
    for index in range(len(out)):
        out[index] = taps[0] * straight[index]
    for tap in range(1, len(taps), 4):
        up, down = center - tap, center + tap
        _add_four(
            out,
            taps[tap : tap + 4],
            (ring[up % count], ring[(up - 1) % count], ring[(up - 2) % count], ring[(up - 3) % count]),
            (ring[down % count], ring[(down + 1) % count], ring[(down + 2) % count], ring[(down + 3) % count]),
        )


@compiled()
def _enlarge(small: _Row, out: _Row, lefts: NDArray[np.int64], weights: _Row, channels: int) -> None:
    for index in range(len(out)):
        left = lefts[index]
        out[index] = small[left] + weights[index] * (small[left + channels] - small[left])


@compiled()
def _store(
    above: _Row, below: _Row, part: np.float32, out: Samples, channels: int, alpha: bool, top: np.float32
) -> None:
    """Rounds what lies between two rows; what is quite transparent has no colour."""
    half, zero = np.float32(0.5), np.float32(0)
    if not alpha:
        for index in range(len(out)):
            out[index] = min(max(above[index] + part * (below[index] - above[index]) + half, zero), top)
        return
    for pixel in range(0, len(out), channels):
        last = pixel + channels - 1
        opaque = above[last] + part * (below[last] - above[last])
        out[last] = min(max(opaque + half, zero), top)
        factor = np.float32(1) / opaque if opaque >= half else zero
        for index in range(pixel, last):
            color = (above[index] + part * (below[index] - above[index])) * factor
            out[index] = min(max(color + half, zero), top)


@compiled(*_SIGNATURES)
def _blur_rows(
    source: Samples,
    target: Samples,
    shape: tuple[int, bool, int, int, int],
    taps: _Row,
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    lefts: NDArray[np.int64],
    weights: _Row,
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
            _add(source[rows[index * scale + row]], sums, channels, alpha, row == 0)
        _reduce(sums, columns, (radius + border) * scale, channels, scale, padded)
        _blur_across(padded, ring[index % len(ring)], taps, channels)
        if index < 2 * radius:
            continue
        _blur_down(ring, index - radius, small, taps)
        if scale == 1:
            _store(small, small, np.float32(0), target[index - 2 * radius], channels, alpha, top)
            continue
        above, below = below, above
        _enlarge(small, below, lefts, weights, channels)
        if index == 2 * radius:
            continue
        first = (index - 2 * radius - 2) * scale + scale // 2
        for row in range(max(first, 0), min(first + scale, height)):
            part = np.float32((row - first + 0.5) / scale)
            _store(above, below, part, target[row], channels, alpha, top)
