"""How a Gaussian is computed: downsample by averaging, blur, upsample linearly; all edges mirrored."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_TRUNCATE = {1: 4.0, 2: 4.5}
"""By bytes of a sample: where the kernel ends, in standard deviations; what is cut off weighs 6e-5 and 7e-6."""
_MIN_DOWNSAMPLED_SIGMA = {1: 2.5, 2: 5.0}
"""By bytes of a sample: the least standard deviation, in downsampled pixels, at which downsampling loses nothing.

Against the exact Gaussian, photographs of 8 bits stay within a level (59 dB, which is their rounding) even at 1; 2.5
gives 48 dB for stripes and checkerboards of any period too, and 5 gives 16 bits a like precision.
"""
_MIN_SIGMA = 1e-3
_SMALL_PIXELS, _LEAST_DOWNSAMPLED_SIDE = 1 << 16, 32
ANY_SCALE = 1 << 30
_UNROLLED_TAPS = 4


@dataclass(frozen=True)
class Kernel:
    """A Gaussian of one standard deviation, for samples of one depth."""

    scale: int
    """Each downsampled pixel is the mean of scale × scale pixels; a power of two, 1 for no downsampling."""
    taps: NDArray[np.float32]
    """Weights of the blur of the downsampled image: of the pixel itself, then of those at distance 1, 2 ….

    The whole kernel sums to 1. There are one more than a multiple of four of them: loops add four at a time.
    """

    @property
    def radius(self) -> int:
        """The distance of the last tap, in downsampled pixels."""
        return len(self.taps) - 1

    @property
    def border(self) -> int:
        """Downsampled pixels beyond each edge of the image, for the linear upsampling."""
        return 0 if self.scale == 1 else 1

    @property
    def reach(self) -> int:
        """The largest distance, in pixels, of a pixel that the result of another one depends on."""
        return (self.radius + 2 * self.border) * self.scale

    def downsampled(self, side: int) -> int:
        """Return the downsampled length of a side of the image, both borders included."""
        return -(-side // self.scale) + 2 * self.border

    def taps_along(self, side: int) -> NDArray[np.float32]:
        """Return the weights for a side of the image, no more than it has pixels: beyond, its mirror images repeat."""
        if self.scale > 1 or self.radius <= side:
            return self.taps
        weights, distances = np.zeros(2 * side), np.arange(len(self.taps))
        np.add.at(weights, distances % (2 * side), self.taps)
        np.add.at(weights, -distances[1:] % (2 * side), self.taps[1:])
        weights[side] /= 2  # the same pixel in both directions
        return _padded(weights[: side + 1])

    def source_indices(self, side: int) -> NDArray[np.int64]:
        """Return the pixels of a side that are averaged, `scale` for each downsampled pixel.

        Downsampled pixels reach from the last of `taps_along` before the first border to that after the last one.
        """
        radius = len(self.taps_along(side)) - 1
        first = -(radius + self.border) * self.scale
        stop = (self.downsampled(side) - self.border + radius) * self.scale
        return _mirrored(first, stop, side)


def most_scale(width: int, height: int) -> int:
    """Return the largest scale for an image of this size, in pixels.

    A small image must not become a few pixels: 10 × 10 of them, averaged by two, are off by 8 levels. It costs nothing
    not to average them. For others there is no limit.
    """
    return max(1, min(width, height) // _LEAST_DOWNSAMPLED_SIDE) if width * height <= _SMALL_PIXELS else ANY_SCALE


@lru_cache(maxsize=64)
def kernel_for(sigma: float, sample_bytes: int, at_most: int = ANY_SCALE) -> Kernel:
    """Return the kernel for a standard deviation in pixels, > 0, samples of 1 or 2 bytes, and a scale of `at_most`.

    Averaging k × k pixels adds a variance of (k² - 1) / 12, the linear upsampling twice that; the blur in between is
    narrower by both. Averaging commutes with mirrored edges.
    """
    scale = 1
    while sigma / (2 * scale) >= _MIN_DOWNSAMPLED_SIGMA[sample_bytes] and 2 * scale <= at_most:
        scale *= 2
    downsampled_sigma = max(math.sqrt(sigma**2 - (scale**2 - 1) / 4) / scale, _MIN_SIGMA)
    distances = np.arange(math.ceil(_TRUNCATE[sample_bytes] * downsampled_sigma) + 1)
    taps = np.exp(-0.5 * (distances / downsampled_sigma) ** 2)
    return Kernel(scale, _padded(taps / (2 * taps.sum() - taps[0])))


def _padded(taps: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.pad(taps, (0, -(len(taps) - 1) % _UNROLLED_TAPS)).astype(np.float32)


def _mirrored(first: int, stop: int, side: int) -> NDArray[np.int64]:
    """Return indices of pixels for these positions along a side that alternates with its mirror image for ever."""
    positions = np.arange(first, stop) % (2 * side)
    return np.minimum(positions, 2 * side - 1 - positions)
