"""The Gaussian in numpy alone: the same steps, some rows at a time, ten times as slow as what is compiled."""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.gaussian.scheme import Scheme
from services.blur_worker.engine.raster import Samples

_Rows = NDArray[np.float32]
_SAMPLES_AT_ONCE = 1 << 21


def blur(source: Samples, scheme: Scheme, *, alpha: bool) -> Samples:
    """As `gaussian.blur`."""
    height, width, channels = source.shape
    rows = scheme.pixels(height)
    small_height = scheme.reduced(height)
    target = np.empty_like(source, order="C")
    at_once = max(4, 2 * scheme.radius, _SAMPLES_AT_ONCE // (scheme.scale * width * channels))
    for first in range(0, small_height, at_once):
        # One row more than is its own: between each two lie `scale` rows of the result.
        stop = min(first + at_once + scheme.border, small_height)
        needed = rows[first * scheme.scale : (stop + 2 * scheme.radius) * scheme.scale]
        small = _blur_small(_reduce(source, needed, scheme, alpha=alpha), scheme)
        _store(small, first, target, scheme, alpha=alpha)
    return target


def _reduce(source: Samples, rows: NDArray[np.int64], scheme: Scheme, *, alpha: bool) -> _Rows:
    _, width, channels = source.shape
    scale = scheme.scale
    columns = scheme.pixels(width)
    reduced = np.empty((len(rows) // scale, len(columns) // scale, channels), np.float32)
    for index in range(len(reduced)):
        pixels = source[rows[index * scale : (index + 1) * scale]].astype(np.float32)
        if alpha:
            pixels[..., :-1] *= pixels[..., -1:]
        sums = pixels.sum(axis=0)[columns]
        reduced[index] = sums.reshape(-1, scale, channels).sum(axis=1) / scale**2
    return reduced


def _blur_small(padded: _Rows, scheme: Scheme) -> _Rows:
    for axis in (1, 0):
        count = padded.shape[axis] - 2 * scheme.radius
        blurred = scheme.taps[0] * _from(padded, scheme.radius, count, axis)
        for tap in range(1, scheme.radius + 1):
            before = _from(padded, scheme.radius - tap, count, axis)
            after = _from(padded, scheme.radius + tap, count, axis)
            blurred += scheme.taps[tap] * (before + after)
        padded = blurred
    return padded


def _from(samples: _Rows, start: int, count: int, axis: int) -> _Rows:
    return samples[:, start : start + count] if axis else samples[start : start + count]


def _store(small: _Rows, first: int, target: Samples, scheme: Scheme, *, alpha: bool) -> None:
    """Enlarges rows of the reduced picture, beginning with the one called `first`, and rounds them."""
    height, width, _ = target.shape
    scale = scheme.scale
    if scale == 1:
        target[first : first + len(small)] = _rounded(small, target, alpha=alpha)
        return
    wide = _between(small, np.arange(width), scale, axis=1)
    for index in range(len(small) - 1):
        middle = (first + index) * scale  # row of the result halfway between these two
        rows = np.arange(max(middle - scale // 2, 0), min(middle + scale // 2, height))
        if len(rows):
            target[rows] = _rounded(
                _between(wide[index : index + 2], rows - middle, scale, axis=0), target, alpha=alpha
            )


def _between(samples: _Rows, pixels: NDArray[np.int64], scale: int, axis: int) -> _Rows:
    positions = (pixels + 0.5) / scale + 0.5
    left = np.floor(positions).astype(np.int64)
    weights = (positions - left).astype(np.float32).reshape((-1, 1) if axis else (-1, 1, 1))
    near = samples.take(left, axis)
    return near + weights * (samples.take(left + 1, axis) - near)


def _rounded(values: _Rows, target: Samples, *, alpha: bool) -> Samples:
    if alpha:
        opaque = values[..., -1:]
        seen = opaque >= 0.5
        values = np.concatenate([values[..., :-1] / np.where(seen, opaque, 1) * seen, opaque], axis=2)
    return (values + 0.5).clip(0, np.iinfo(target.dtype).max).astype(target.dtype)
