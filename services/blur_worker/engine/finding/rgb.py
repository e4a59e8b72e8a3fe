"""Pixels as detectors take them."""

import numpy as np
from PIL import Image

from services.blur_worker.engine.finding.detector import RgbPixels
from services.blur_worker.engine.raster import Raster


def to_rgb(raster: Raster) -> RgbPixels:
    """Return the pixels as RGB of 8 bits, alpha blended over white."""
    image = raster.to_8_bit().to_pillow()
    if raster.has_alpha:
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image.convert("RGBA"))
        image = white
    return np.ascontiguousarray(image.convert("RGB"))
