"""How near a blurred file is to the exact Gaussian of the file it was made of."""

import io
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter1d


@dataclass(frozen=True)
class Error:
    """Peak signal to noise in dB, and the largest difference in levels of 255; encoding included."""

    psnr: float
    largest: float


def error_of(source: bytes, blurred: bytes, sigma: float) -> Error:
    """Against the Gaussian in float64 of the source's decoded samples, borders mirrored."""
    expected = pixels(source)
    for axis in (0, 1):
        expected = gaussian_filter1d(expected, sigma, axis=axis, mode="reflect", truncate=6)
    difference = pixels(blurred) - expected
    return Error(10 * math.log10(255**2 / float(np.mean(difference**2))), float(np.abs(difference).max()))


def pixels(data: bytes) -> NDArray[np.float64]:
    """Decoded by Pillow: (height, width, channels)."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image).astype(np.float64)
