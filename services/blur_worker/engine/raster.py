"""Pixels as the engine works on them."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Samples = NDArray[np.unsignedinteger]
"""Of 8 or 16 bits; (height, width, channels) unless said otherwise."""


@dataclass(frozen=True)
class Raster:
    """A whole image or a part of one, upright."""

    mode: str
    """L, LA, RGB, RGBA, CMYK or, from a JPEG for a JPEG, YCbCr."""
    samples: Samples
    """(height, width, channels); 8 or 16 bits."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.samples.shape[1], self.samples.shape[0]

    @property
    def has_alpha(self) -> bool:
        """Whether the last channel tells how opaque a pixel is; colours are not multiplied by it."""
        return self.mode.endswith("A")

    @property
    def top(self) -> int:
        """The largest sample: 255 or 65535."""
        return int(np.iinfo(self.samples.dtype).max)

    @property
    def is_deep(self) -> bool:
        """Whether samples have 16 bits."""
        return self.samples.dtype == np.uint16

    def with_samples(self, samples: Samples) -> "Raster":
        """Other pixels of the same kind."""
        return replace(self, samples=samples)

    def cut(self, area: tuple[int, int, int, int]) -> "Raster":
        """The part from left, top to before right, bottom; shares its memory."""
        left, top, right, bottom = area
        return self.with_samples(self.samples[top:bottom, left:right])

    def turned(self, orientation: int) -> "Raster":
        """Upright, from how EXIF says that it is stored: 1 to 8."""
        samples = self.samples
        if orientation >= 5:
            samples = samples.transpose(1, 0, 2)
        if orientation in {2, 3, 6, 7}:
            samples = samples[:, ::-1]
        if orientation in {3, 4, 7, 8}:
            samples = samples[::-1]
        return self.with_samples(samples)

    def narrowed(self) -> "Raster":
        """With 8 bits a sample: the upper ones."""
        return self.with_samples((self.samples >> 8).astype(np.uint8)) if self.is_deep else self

    def to_image(self) -> Image.Image:
        """As Pillow's image; Pillow has 16 bits only for a single channel."""
        mode = "I;16" if self.is_deep else self.mode
        assert not self.is_deep or self.mode == "L"
        return Image.frombuffer(mode, self.size, np.ascontiguousarray(self.samples), "raw", mode, 0, 1)


def raster_of(image: Image.Image) -> Raster:
    """From Pillow's image in one of the modes of `Raster`, or I;16."""
    samples: Samples = np.asarray(image)
    mode = "L" if image.mode == "I;16" else image.mode
    return Raster(mode, samples if samples.ndim == 3 else samples[:, :, np.newaxis])
