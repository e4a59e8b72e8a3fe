"""The effects, each on one whole raster; kind and depth stay what they are."""

import numpy as np
from PIL import Image, ImageColor

from services.blur_worker.engine import gaussian
from services.blur_worker.engine.raster import Raster, Samples
from services.common.domain.spec import Effect, Gaussian, Pixelate, Solid

_ROWS_AT_ONCE = 128


def apply(effect: Effect, raster: Raster, displayed: tuple[int, int]) -> Raster:
    """Gives the raster wholly under the effect.

    Args:
        effect: What to do.
        raster: May be a part of the displayed image, cut where `regions.reached` says.
        displayed: Width and height of the displayed image, which relative sizes refer to.
    """
    match effect:
        case Gaussian():
            sigma = effect.sigma_px(*displayed)
            return raster.with_samples(gaussian.blur(raster.samples, sigma, alpha=raster.has_alpha))
        case Pixelate():
            return raster.with_samples(_pixelate(raster, effect.cell_px(*displayed)))
        case Solid():
            return raster.with_samples(_filled(raster, effect.color))


def _pixelate(raster: Raster, cell: int) -> Samples:
    """Each cell is the mean of its pixels; cells start at the top left, the last ones may be partial."""
    samples = raster.samples
    height, width, _ = samples.shape
    columns = np.arange(0, width, cell)
    widths = np.diff(columns, append=width)
    result = np.empty_like(samples)
    at_once = max(_ROWS_AT_ONCE // cell, 1) * cell
    for top in range(0, height, at_once):
        part = samples[top : top + at_once].astype(np.uint64)
        if raster.has_alpha:
            part[..., :-1] *= part[..., -1:]
        rows = np.arange(0, len(part), cell)
        heights = np.diff(rows, append=len(part))
        sums = np.add.reduceat(np.add.reduceat(part, columns, axis=1), rows, axis=0)
        areas = np.outer(heights, widths)[:, :, np.newaxis]
        means = sums / areas
        if raster.has_alpha:
            means[..., :-1] = sums[..., :-1] / np.maximum(sums[..., -1:], 1)
            means[..., :-1] *= means[..., -1:] >= 0.5  # as the Gaussian: what cannot be seen has no colour
        cells = np.rint(means).astype(samples.dtype)
        result[top : top + at_once] = np.repeat(np.repeat(cells, heights, axis=0), widths, axis=1)
    return result


def _filled(raster: Raster, color: str) -> Samples:
    """The colour in the raster's own terms, opaque: what is under a fill must not be told by its alpha either."""
    if raster.mode in {"L", "LA", "RGB", "RGBA"}:
        ink = ImageColor.getcolor(color, raster.mode)
    else:
        ink = Image.new("RGB", (1, 1), color).convert(raster.mode).getpixel((0, 0))  # type: ignore[assignment]
    filled = np.empty_like(raster.samples)
    filled[:] = np.array(ink) * (raster.top // 255)
    return filled
