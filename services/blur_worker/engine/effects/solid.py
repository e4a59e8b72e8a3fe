"""Solid fill: nothing is left of what was there."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from PIL import Image, ImageColor

from services.blur_worker.engine.raster import Raster


@dataclass(frozen=True)
class SolidFill:
    """A `PixelEffect`."""

    color: str
    """As `#rrggbb`."""
    grid: ClassVar[int] = 1
    margin: ClassVar[int] = 0

    def apply(self, raster: Raster) -> Raster:
        """Fill with the colour, opaque: alpha must not reveal what was there either."""
        if raster.mode in {"L", "LA", "RGB", "RGBA"}:
            fill = ImageColor.getcolor(self.color, raster.mode)
        else:
            fill = Image.new("RGB", (1, 1), self.color).convert(raster.mode).getpixel((0, 0))  # type: ignore[assignment]
        # In the order of C: samples that were turned are in another one, and to reshape those would copy them.
        filled = np.empty(raster.samples.shape, raster.samples.dtype)
        color = np.array(fill, filled.dtype).reshape(-1) * filled.dtype.type(raster.max_value // 255)
        # A row at a time: pixel by pixel takes eight times as long.
        filled.reshape(len(filled), -1)[:] = np.tile(color, raster.size[0])
        return raster.with_samples(filled)
