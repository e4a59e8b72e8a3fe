"""How a Gaussian is computed: reduced by averaging, blurred small, enlarged linearly, all edges mirrored."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_TAILS = {1: 4.0, 2: 4.5}
"""By bytes of a sample: after how many standard deviations the kernel ends; what is cut off weighs 6e-5 and 7e-6."""
_LEAST_SMALL_SIGMA = {1: 2.5, 2: 5.0}
"""By bytes of a sample: how wide, in samples of the reduced picture, the blur must remain for reducing to lose nothing.

Against the exact Gaussian, photographs of 8 bits stay within a level (59 dB, which is their rounding) even at 1; 2.5
gives 48 dB for stripes and checkerboards of any period too, 5 gives 16 bits what they deserve.
"""
_LEAST_SIGMA = 1e-3
_UNROLLED = 4


@dataclass(frozen=True)
class Scheme:
    """What both implementations follow to the letter, so that their pixels are the same."""

    scale: int
    """Each sample of the reduced picture is the mean of scale × scale pixels; a power of two."""
    taps: NDArray[np.float32]
    """Of the blur of the reduced picture: the middle one, then those on either side; all of them sum to 1.

    Their number is one more than a multiple of four, which is how many the kernels add at a time.
    """

    @property
    def radius(self) -> int:
        """Of the taps, in samples of the reduced picture."""
        return len(self.taps) - 1

    @property
    def border(self) -> int:
        """Samples of the reduced picture on each side beyond the picture, for the enlargement."""
        return 0 if self.scale == 1 else 1

    @property
    def reach(self) -> int:
        """How many pixels away a pixel still counts."""
        return (self.radius + 2 * self.border) * self.scale

    def reduced(self, side: int) -> int:
        """How many samples a side of the reduced picture has, borders included."""
        return -(-side // self.scale) + 2 * self.border

    def pixels(self, side: int) -> NDArray[np.int64]:
        """Which pixels the reduced samples are the means of, `scale` for each, `radius` more samples on both sides."""
        beyond = self.radius + self.border
        first, stop = -beyond * self.scale, (self.reduced(side) - self.border + self.radius) * self.scale
        return mirrored(first, stop, side)


@lru_cache(maxsize=64)
def scheme_of(sigma: float, sample_bytes: int) -> Scheme:
    """Gives the scheme for a standard deviation in pixels.

    Averaging k × k pixels adds a variance of (k² - 1) / 12, the linear enlargement twice that; the blur between them is
    narrower by both. Averaging commutes with mirrored borders.
    """
    scale = 1
    while sigma / (2 * scale) >= _LEAST_SMALL_SIGMA[sample_bytes]:
        scale *= 2
    small = max(math.sqrt(sigma**2 - (scale**2 - 1) / 4) / scale, _LEAST_SIGMA)
    taps = np.exp(-0.5 * (np.arange(math.ceil(_TAILS[sample_bytes] * small) + 1) / small) ** 2)
    taps = np.pad(taps / (2 * taps.sum() - taps[0]), (0, -(len(taps) - 1) % _UNROLLED))
    return Scheme(scale, taps.astype(np.float32))


def mirrored(first: int, stop: int, side: int) -> NDArray[np.int64]:
    """Indices of the pixels seen at these positions, where a side and its mirror image repeat for ever."""
    positions = np.arange(first, stop) % (2 * side)
    return np.minimum(positions, 2 * side - 1 - positions)
