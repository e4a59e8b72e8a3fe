"""An image and its reductions."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from services.blur_worker.engine.finding.detector import RgbPixels

_STRIP_PIXELS = 1 << 20
_SMALLEST = 192
"""A level whose shorter side is at most this is not reduced further: the network sees faces that fill it."""


@dataclass(frozen=True, kw_only=True)
class Level:
    """An image at 1 / `reduction` of its size."""

    reduction: int
    pixels: RgbPixels

    @property
    def megapixels(self) -> float:
        """Millions of pixels of the level."""
        height, width, _ = self.pixels.shape
        return float(height * width / 1e6)


def pyramid(pixels: RgbPixels, first: int) -> list[Level]:
    """Return an image, then its reduction by `first` (if it is above 1), by twice that, and so on."""
    levels = [Level(reduction=1, pixels=pixels)]
    if first > 1 and min(pixels.shape[:2]) >= first:
        levels.append(Level(reduction=first, pixels=_reduced(pixels, first)))
    while min(levels[-1].pixels.shape[:2]) > _SMALLEST:
        levels.append(Level(reduction=levels[-1].reduction * 2, pixels=_reduced(levels[-1].pixels, 2)))
    return levels


def _reduced(pixels: RgbPixels, factor: int) -> RgbPixels:
    """Return the means of squares. In strips: Pillow's copy of an image takes more memory than the image."""
    height, width = pixels.shape[:2]
    rows = max(1, _STRIP_PIXELS // (width * factor)) * factor
    reduced = np.empty((-(-height // factor), -(-width // factor), 3), np.uint8)
    for top in range(0, height, rows):
        strip = np.asarray(Image.fromarray(pixels[top : top + rows]).reduce(factor))
        reduced[top // factor : top // factor + len(strip)] = strip
    return reduced
