"""References in float64: effects computed in the most direct way, and measures of the distance to them."""

import math

import numpy as np
from numpy.typing import NDArray

Exact = NDArray[np.float64]


def gaussian(samples: Exact, sigma: float) -> Exact:
    """The Gaussian of (height, width, channels), edges mirrored for ever, as a product with a matrix for each axis."""
    reach = math.ceil(7 * sigma)
    positions = np.arange(-reach, reach + 1)
    with np.errstate(over="ignore"):
        taps = np.exp(-0.5 * (positions / sigma) ** 2)
    for axis in (0, 1):
        side = samples.shape[axis]
        seen = np.minimum((at := (np.arange(side)[:, np.newaxis] + positions) % (2 * side)), 2 * side - 1 - at)
        matrix = np.zeros((side, side))
        np.add.at(matrix, (np.arange(side)[:, np.newaxis], seen), taps / taps.sum())
        samples = np.moveaxis(np.tensordot(matrix, samples, axes=(1, axis)), 0, axis)
    return samples


def gaussian_premultiplied(samples: Exact, sigma: float, top: int = 255) -> Exact:
    """The Gaussian of premultiplied colours, not premultiplied again; the last channel is alpha."""
    alpha = samples[..., -1:]
    weighed = gaussian(np.concatenate([samples[..., :-1] * alpha, alpha], axis=2), sigma)
    seen = np.rint(weighed[..., -1:]).clip(0, top) > 0
    colors = weighed[..., :-1] / np.maximum(weighed[..., -1:], 1e-9) * seen
    return np.concatenate([colors, weighed[..., -1:]], axis=2)


def pixelated(samples: Exact, cell: int) -> Exact:
    """Each cell of cell × cell pixels, from the top left, replaced by its mean."""
    result = np.empty_like(samples)
    for top in range(0, samples.shape[0], cell):
        for left in range(0, samples.shape[1], cell):
            part = np.s_[top : top + cell, left : left + cell]
            result[part] = samples[part].mean(axis=(0, 1))
    return result


def psnr(got: Exact, expected: Exact, top: float = 255) -> float:
    """Peak signal-to-noise ratio in dB; 99 if both are equal."""
    error = float(np.mean((got - expected) ** 2))
    return 99.0 if error == 0 else 10 * math.log10(top**2 / error)


def ssim(got: Exact, expected: Exact, top: float = 255) -> float:
    """Structural similarity over windows of 7 × 7 pixels. Source: Wang et al., Image quality assessment, 2004."""
    window = min(7, *got.shape[:2])

    def mean(values: Exact) -> Exact:
        windows = np.lib.stride_tricks.sliding_window_view(values, (window, window), axis=(0, 1))
        result: Exact = windows.mean(axis=(-1, -2))
        return result

    c1, c2 = (0.01 * top) ** 2, (0.03 * top) ** 2
    mean_got, mean_expected = mean(got), mean(expected)
    variance_got, variance_expected = mean(got**2) - mean_got**2, mean(expected**2) - mean_expected**2
    covariance = mean(got * expected) - mean_got * mean_expected
    similar = (2 * mean_got * mean_expected + c1) * (2 * covariance + c2)
    return float(np.mean(similar / ((mean_got**2 + mean_expected**2 + c1) * (variance_got + variance_expected + c2))))
