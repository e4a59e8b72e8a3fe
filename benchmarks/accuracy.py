"""Measure the error of a blurred file against the exact Gaussian of its original."""

import functools
import io
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter1d

_SIDE, _TAILS = 1200, 6


@dataclass(frozen=True)
class Error:
    """Peak signal to noise in dB, and the largest difference in levels of 255; encoding included."""

    psnr: float
    largest: float


def error_of(original: bytes, blurred: bytes, sigma: float) -> Error:
    """Compare with the float64 Gaussian of the original's decoded samples, in the upper left part and at its edges.

    Colours of fully transparent pixels do not count.
    """
    expected = _exact(original, sigma)
    difference = _pixels(blurred, _SIDE)[: len(expected), : expected.shape[1]] - expected
    if expected.shape[2] == 4:
        difference[expected[..., 3] < 0.5, :3] = 0
    return Error(10 * math.log10(255**2 / float(np.mean(difference**2))), float(np.abs(difference).max()))


@functools.lru_cache(maxsize=1)
def _exact(original: bytes, sigma: float) -> NDArray[np.float64]:
    values = _pixels(original, _SIDE + math.ceil(_TAILS * sigma))
    if values.shape[2] == 4:
        values[..., :3] *= values[..., 3:]
    for axis in (0, 1):
        values = gaussian_filter1d(values, sigma, axis=axis, mode="reflect", truncate=_TAILS)
    if values.shape[2] == 4:
        values[..., :3] /= np.maximum(values[..., 3:], 1e-9)
    return values[:_SIDE, :_SIDE]


def _pixels(data: bytes, side: int) -> NDArray[np.float64]:
    """Decode with Pillow; return shape (height, width, channels), the first `side` rows and columns at most."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)[:side, :side].astype(np.float64)
