"""The steps of the Gaussian on single rows, in compiled loops. Rows are float32, channels interleaved."""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled
from services.blur_worker.engine.raster import Samples

Row = NDArray[np.float32]


@compiled()
def accumulate(row: Samples, sums: Row, channels: int, alpha: bool, first: bool) -> None:
    """Add a row of pixels to the sums, or with `first` start them; with alpha, premultiplied colours."""
    if first:
        sums[:] = 0
    if not alpha:
        for index in range(len(sums)):
            sums[index] += row[index]
        return
    if channels == 4:
        _accumulate_premultiplied(row, sums, 4)
    else:
        _accumulate_premultiplied(row, sums, channels)


@compiled(inline=True)
def _accumulate_premultiplied(row: Samples, sums: Row, channels: int) -> None:
    # Inlined where `channels` is a constant, so that the compiler vectorises it: half the time.
    for pixel in range(len(sums) // channels):
        first = pixel * channels
        alpha = np.float32(row[first + channels - 1])
        for channel in range(channels - 1):
            sums[first + channel] += alpha * row[first + channel]
        sums[first + channels - 1] += alpha


@compiled()
def downsample(sums: Row, columns: NDArray[np.int64], lead: int, channels: int, scale: int, padded: Row) -> None:
    """Average a row horizontally into `padded`.

    Args:
        sums: Of `scale` rows.
        columns: Which pixels are averaged, `scale` for each pixel of `padded`.
        lead: How many of them come before those of the row itself; only those before and after it are looked up.
        channels: Samples of a pixel.
        scale: Pixels of an average in each direction.
        padded: The result.
    """
    area = np.float32(1 / (scale * scale))
    first = lead // scale
    stop = first + len(sums) // channels // scale
    if scale == 1:
        for index in range(len(sums)):  # assigning to a slice takes numba seconds to compile
            padded[first * channels + index] = sums[index]
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
def convolve_row(padded: Row, out: Row, taps: Row, channels: int) -> None:
    """Convolve a row horizontally; it has `len(taps) - 1` more pixels on either side than `out`."""
    middle = (len(taps) - 1) * channels
    straight = padded[middle:]
    for index in range(len(out)):
        out[index] = taps[0] * straight[index]
    for tap in range(1, len(taps), 4):
        near, far = middle - tap * channels, middle + tap * channels
        step = channels
        _add_four_taps(
            out,
            taps[tap : tap + 4],
            (padded[near:], padded[near - step :], padded[near - 2 * step :], padded[near - 3 * step :]),
            (padded[far:], padded[far + step :], padded[far + 2 * step :], padded[far + 3 * step :]),
        )


@compiled()
def convolve_columns(ring: NDArray[np.float32], center: int, out: Row, taps: Row) -> None:
    """Convolve vertically: the row of number `center` with those before and after it, each at its number's place."""
    count = len(ring)
    straight = ring[center % count]
    for index in range(len(out)):
        out[index] = taps[0] * straight[index]
    for tap in range(1, len(taps), 4):
        up, down = center - tap, center + tap
        _add_four_taps(
            out,
            taps[tap : tap + 4],
            (ring[up % count], ring[(up - 1) % count], ring[(up - 2) % count], ring[(up - 3) % count]),
            (ring[down % count], ring[(down + 1) % count], ring[(down + 2) % count], ring[(down + 3) % count]),
        )


@compiled()
def _add_four_taps(out: Row, taps: Row, before: tuple[Row, Row, Row, Row], after: tuple[Row, Row, Row, Row]) -> None:
    # Four at a time: reading and writing the sum for each of them takes twice as long.
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
def upsample(small: Row, out: Row, lefts: NDArray[np.int64], weights: Row, channels: int) -> None:
    """Interpolate a row horizontally; `lefts` and `weights` as those of `blur._blur_rows`."""
    for index in range(len(out)):
        left = lefts[index]
        out[index] = small[left] + weights[index] * (small[left + channels] - small[left])


@compiled()
def store(
    above: Row, below: Row, weight_below: np.float32, out: Samples, channels: int, alpha: bool, max_value: np.float32
) -> None:
    """Interpolate between two rows and round to samples; a fully transparent pixel gets no colour."""
    half, zero = np.float32(0.5), np.float32(0)
    if not alpha:
        for index in range(len(out)):
            value = above[index] + weight_below * (below[index] - above[index])
            out[index] = min(max(value + half, zero), max_value)
        return
    if channels == 4:
        _store_premultiplied(above, below, weight_below, out, 4, max_value)
    else:
        _store_premultiplied(above, below, weight_below, out, channels, max_value)


@compiled(inline=True)
def _store_premultiplied(
    above: Row, below: Row, weight_below: np.float32, out: Samples, channels: int, max_value: np.float32
) -> None:
    half, zero = np.float32(0.5), np.float32(0)
    for pixel in range(len(out) // channels):
        first = pixel * channels
        last = first + channels - 1
        alpha = above[last] + weight_below * (below[last] - above[last])
        factor = np.float32(1) / alpha if alpha >= half else zero
        for channel in range(channels - 1):
            index = first + channel
            color = (above[index] + weight_below * (below[index] - above[index])) * factor
            out[index] = min(max(color + half, zero), max_value)
        out[last] = min(max(alpha + half, zero), max_value)
