"""Pixels in memory, as the engine works on them."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Samples = NDArray[np.unsignedinteger]
"""uint8 or uint16; shape (height, width, channels) unless stated otherwise."""
Size = tuple[int, int]
"""Width and height in pixels."""
Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels; right and bottom are exclusive."""


@dataclass(frozen=True)
class Raster:
    """The pixels of an image as displayed, or of a part of it."""

    mode: str
    """The channels, by Pillow's names: L, LA, RGB, RGBA, CMYK, or YCbCr (only of a JPEG that stays a JPEG)."""
    samples: Samples
    """Shape (height, width, channels); colours are not premultiplied by alpha."""

    @classmethod
    def from_pillow(cls, image: Image.Image) -> "Raster":
        """Take over a Pillow image in one of the modes above, or in I;16 (as L of 16 bits)."""
        samples: Samples = np.asarray(image)
        mode = "L" if image.mode == "I;16" else image.mode
        return cls(mode, samples if samples.ndim == 3 else samples[:, :, np.newaxis])

    def to_pillow(self) -> Image.Image:
        """Return a Pillow image; of 16-bit rasters only those of mode L have one."""
        assert not self.is_16_bit or self.mode == "L"
        mode = "I;16" if self.is_16_bit else self.mode
        return Image.frombuffer(mode, self.size, np.ascontiguousarray(self.samples), "raw", mode, 0, 1)

    @property
    def size(self) -> Size:
        """Width and height in pixels."""
        return self.samples.shape[1], self.samples.shape[0]

    @property
    def has_alpha(self) -> bool:
        """Whether the last channel is alpha."""
        return self.mode.endswith("A")

    @property
    def max_value(self) -> int:
        """The largest value of a sample: 255 or 65535."""
        return int(np.iinfo(self.samples.dtype).max)

    @property
    def is_16_bit(self) -> bool:
        """Whether samples have 16 bits instead of 8."""
        return self.samples.dtype == np.uint16

    def with_samples(self, samples: Samples) -> "Raster":
        """Return a raster of the same mode with other samples."""
        return replace(self, samples=samples)

    def crop(self, box: Box) -> "Raster":
        """Return a part of the raster; it shares the memory."""
        left, top, right, bottom = box
        return self.with_samples(self.samples[top:bottom, left:right])

    def oriented(self, orientation: int) -> "Raster":
        """Return the raster as displayed, given the EXIF orientation (1 to 8) under which it is stored."""
        samples = self.samples
        if orientation >= 5:
            samples = samples.transpose(1, 0, 2)
        if orientation in {2, 3, 6, 7}:
            samples = samples[:, ::-1]
        if orientation in {3, 4, 7, 8}:
            samples = samples[::-1]
        return self.with_samples(samples)

    def with_transparent(self, color: tuple[int, ...]) -> "Raster":
        """Return the raster with an alpha channel: 0 wherever a pixel has exactly this colour."""
        opaque = (self.samples != np.array(color)).any(axis=2, keepdims=True)
        alpha = (opaque * self.max_value).astype(self.samples.dtype)
        return Raster(f"{self.mode}A", np.concatenate([self.samples, alpha], axis=2))

    def to_8_bit(self) -> "Raster":
        """Return the raster with the upper 8 bits of each sample."""
        return self.with_samples((self.samples >> 8).astype(np.uint8)) if self.is_16_bit else self
