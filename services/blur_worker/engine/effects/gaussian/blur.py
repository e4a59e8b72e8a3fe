"""The Gaussian in compiled loops. Besides source and target only a few rows exist at a time."""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled
from services.blur_worker.engine.effects.gaussian.kernel import ANY_SCALE, kernel_for
from services.blur_worker.engine.effects.gaussian.rows import (
    Row,
    accumulate,
    convolve_columns,
    convolve_row,
    downsample,
    store,
    upsample,
)
from services.blur_worker.engine.raster import Samples

_SIGNATURES = [
    f"void({image}, {image}, Tuple((i8, b1, i8, i8, i8)), f4[::1], f4[::1], i8[::1], i8[::1], i8[::1], f4[::1], f4)"
    for image in ("u1[:, ::1]", "u2[:, ::1]")
]


def blur(samples: Samples, sigma: float, *, alpha: bool, at_most: int = ANY_SCALE) -> Samples:
    """Return the blurred samples.

    Samples are blurred as stored, in whatever colour space. Edges are mirrored, the border pixel included
    (`d c b a | a b c d`).

    Args:
        samples: Shape (height, width, channels), uint8 or uint16.
        sigma: Standard deviation in pixels, > 0.
        alpha: Whether the last channel is alpha. Colours are then blurred premultiplied, so that those of transparent
            pixels do not bleed into others; where the result is fully transparent its colours are 0.
        at_most: The largest `Kernel.scale`.
    """
    height, width, channels = samples.shape
    max_value = np.iinfo(samples.dtype).max
    kernel = kernel_for(sigma, samples.itemsize, at_most)
    scale = kernel.scale
    result = np.empty_like(samples, order="C")
    positions = (np.arange(width) + 0.5) / scale - 0.5 + kernel.border
    left = np.floor(positions)
    lefts = (left[:, np.newaxis] * channels + np.arange(channels)).ravel().astype(np.int64)
    any_transparent = alpha and bool((samples[..., -1] != max_value).any())
    _blur_rows(
        np.require(samples, requirements=["C", "W"]).reshape(height, width * channels),
        result.reshape(height, width * channels),
        (channels, any_transparent, scale, kernel.border, kernel.downsampled(width)),
        kernel.taps_along(width),
        kernel.taps_along(height),
        kernel.source_indices(height),
        kernel.source_indices(width),
        lefts,
        np.repeat((positions - left).astype(np.float32), channels),
        np.float32(max_value),
    )
    return result


@compiled(*_SIGNATURES)
def _blur_rows(
    source: Samples,
    target: Samples,
    shape: tuple[int, bool, int, int, int],
    taps_across: Row,
    taps_down: Row,
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    lefts: NDArray[np.int64],
    weights: Row,
    max_value: np.float32,
) -> None:
    """Downsample and convolve each row, keep the last ones in a ring, and from them compute the rows of the target.

    Args:
        source: Shape (height, width × channels).
        target: Like the source.
        shape: Channels, whether the last one is alpha, `Kernel.scale`, `Kernel.border`, the downsampled width.
        taps_across: `Kernel.taps_along` the width.
        taps_down: `Kernel.taps_along` the height.
        rows: `Kernel.source_indices` of the height.
        columns: `Kernel.source_indices` of the width.
        lefts: For each sample of a row of the target: the downsampled sample at its left.
        weights: For each sample of a row of the target: the weight of the downsampled sample at its right.
        max_value: 255 or 65535.
    """
    channels, alpha, scale, border, small_width = shape
    height, length = source.shape
    reach, radius = len(taps_across) - 1, len(taps_down) - 1
    sums = np.empty(length, np.float32)
    padded = np.empty((small_width + 2 * reach) * channels, np.float32)
    ring = np.empty((2 * radius + 1, small_width * channels), np.float32)
    small = np.empty(small_width * channels, np.float32)
    above = np.empty(length, np.float32)
    below = np.empty(length, np.float32)
    for index in range(len(rows) // scale):
        for row in range(scale):
            accumulate(source[rows[index * scale + row]], sums, channels, alpha, row == 0)
        downsample(sums, columns, (reach + border) * scale, channels, scale, padded)
        convolve_row(padded, ring[index % len(ring)], taps_across, channels)
        if index < 2 * radius:
            continue
        convolve_columns(ring, index - radius, small, taps_down)
        if scale == 1:
            store(small, small, np.float32(0), target[index - 2 * radius], channels, alpha, max_value)
            continue
        above, below = below, above
        upsample(small, below, lefts, weights, channels)
        if index == 2 * radius:
            continue
        first = (index - 2 * radius - 2) * scale + scale // 2
        for row in range(max(first, 0), min(first + scale, height)):
            weight_below = np.float32((row - first + 0.5) / scale)
            store(above, below, weight_below, target[row], channels, alpha, max_value)
