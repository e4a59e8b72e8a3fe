"""The steps of the Gaussian on single rows, in compiled loops."""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled
from services.blur_worker.engine.raster import Samples

Row = NDArray[np.float32]


@compiled()
def _add_four(out: Row, taps: Row, before: tuple[Row, Row, Row, Row], after: tuple[Row, Row, Row, Row]) -> None:
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


@compiled(inline=True)
def _add_weighed(row: Samples, sums: Row, channels: int) -> None:
    # Inlined where the channels are a constant, it is done many pixels at a time: in half the time.
    for pixel in range(len(sums) // channels):
        first = pixel * channels
        opaque = np.float32(row[first + channels - 1])
        for channel in range(channels - 1):
            sums[first + channel] += opaque * row[first + channel]
        sums[first + channels - 1] += opaque


@compiled()
def add(row: Samples, sums: Row, channels: int, alpha: bool, first: bool) -> None:
    """Adds a row of pixels to the sums; colours weighed by their alpha, if they have one."""
    if first:
        sums[:] = 0
    if not alpha:
        for index in range(len(sums)):
            sums[index] += row[index]
        return
    if channels == 4:
        _add_weighed(row, sums, 4)
    else:
        _add_weighed(row, sums, channels)


@compiled()
def reduce(sums: Row, columns: NDArray[np.int64], lead: int, channels: int, scale: int, padded: Row) -> None:
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
def blur_across(padded: Row, out: Row, taps: Row, channels: int) -> None:
    """Blurs along a row, which has as many more samples on both sides as there are taps beside the middle one."""
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
def blur_down(ring: NDArray[np.float32], center: int, out: Row, taps: Row) -> None:
    """Blurs across rows: the one of this number, and those before and after it in the ring."""
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
def enlarge(small: Row, out: Row, lefts: NDArray[np.int64], weights: Row, channels: int) -> None:
    """Puts each pixel between the sample at its left and the one after it."""
    for index in range(len(out)):
        left = lefts[index]
        out[index] = small[left] + weights[index] * (small[left + channels] - small[left])


@compiled(inline=True)
def _store_weighed(above: Row, below: Row, part: np.float32, out: Samples, channels: int, top: np.float32) -> None:
    half, zero = np.float32(0.5), np.float32(0)
    for pixel in range(len(out) // channels):
        first = pixel * channels
        last = first + channels - 1
        opaque = above[last] + part * (below[last] - above[last])
        factor = np.float32(1) / opaque if opaque >= half else zero
        for channel in range(channels - 1):
            index = first + channel
            color = (above[index] + part * (below[index] - above[index])) * factor
            out[index] = min(max(color + half, zero), top)
        out[last] = min(max(opaque + half, zero), top)


@compiled()
def store(above: Row, below: Row, part: np.float32, out: Samples, channels: int, alpha: bool, top: np.float32) -> None:
    """Rounds what lies between two rows; what is quite transparent has no colour."""
    half, zero = np.float32(0.5), np.float32(0)
    if not alpha:
        for index in range(len(out)):
            out[index] = min(max(above[index] + part * (below[index] - above[index]) + half, zero), top)
        return
    if channels == 4:
        _store_weighed(above, below, part, out, 4, top)
    else:
        _store_weighed(above, below, part, out, channels, top)
