"""Where the effect goes: masks of regions, and laying the changed pixels over the unchanged ones."""

import math

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.gaussian import scheme_of
from services.blur_worker.engine.raster import Raster
from services.common.domain.spec import BlurSpec, Effect, Gaussian, Pixelate, Region

_SLACK = 1e-3  # px; a region meant to end at a pixel's border must not take the next pixel by a rounding error

Area = tuple[int, int, int, int]
Mask = NDArray[np.uint8]


def mask_of(spec: BlurSpec, size: tuple[int, int]) -> Mask:
    """Gives how much of the effect each pixel gets, 0 to 255: (height, width).

    Every pixel that a padded outline touches gets 255, however little it is touched: nothing may show through. The
    feather falls off linearly outside the outline. Inverted, the same mask is turned round.
    """
    mask = np.zeros((size[1], size[0]), np.uint8)
    for region in spec.regions:
        _add(region, mask)
    return 255 - mask if spec.invert_regions else mask


def touched_by(mask: Mask) -> Area | None:
    """The smallest part that holds all that the mask touches; None: nothing."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1) if len(rows) else None


def reached(touched: Area, effect: Effect, raster: Raster) -> Area:
    """The part of the raster from which the effect on the touched part comes out as on the whole raster.

    It begins where the grid of the effect has a corner: cells, or the pixels that are averaged into one.
    """
    left, top, right, bottom = touched
    grid, margin = 1, 0
    match effect:
        case Gaussian():
            how = scheme_of(effect.sigma_px(*raster.size), raster.samples.itemsize)
            grid, margin = how.scale, how.reach
        case Pixelate():
            grid = effect.cell_px(*raster.size)
        case _:
            pass
    left, top = (max(0, (start - margin) // grid * grid) for start in (left, top))
    right, bottom = (-(-(end + margin) // grid) * grid for end in (right, bottom))
    return left, top, min(raster.size[0], right), min(raster.size[1], bottom)


def blend(original: Raster, changed: Raster, mask: Mask) -> Raster:
    """Lays the changed over the original where the mask says; where it says 0, the original stays to the bit."""
    result = original.samples.copy()
    np.copyto(result, changed.samples, where=(mask == 255)[:, :, np.newaxis])
    partly = (mask > 0) & (mask < 255)
    weights = mask[partly, np.newaxis] / 255
    before, after = (raster.samples[partly].astype(np.float64) for raster in (original, changed))
    if original.has_alpha:
        opaque = before[:, -1:] * (1 - weights) + after[:, -1:] * weights
        before[:, :-1] *= before[:, -1:] / np.maximum(opaque, 1e-9)
        after[:, :-1] *= after[:, -1:] / np.maximum(opaque, 1e-9)
        mixed = before * (1 - weights) + after * weights
        mixed[:, -1:] = opaque
    else:
        mixed = before * (1 - weights) + after * weights
    result[partly] = np.rint(mixed).clip(0, original.top).astype(result.dtype)
    return original.with_samples(result)


def _add(region: Region, mask: Mask) -> None:
    """Raises the mask, in place, to at least the region's."""
    height, width = mask.shape
    shorter = min(width, height)
    padding, feather = region.padding * shorter, region.feather * shorter
    # At least a pixel, so that no region is lost between two pixels.
    radius_x = max(region.width * width / 2 + padding, 0.5)
    radius_y = max(region.height * height / 2 + padding, 0.5)
    center_x, center_y = (region.left + region.width / 2) * width, (region.top + region.height / 2) * height
    columns = _covered(center_x, radius_x + feather, width)
    rows = _covered(center_y, radius_y + feather, height)
    # Of each pixel its point nearest to the centre.
    x = np.maximum(np.abs(np.arange(columns.start, columns.stop) + 0.5 - center_x) - 0.5 + _SLACK, 0)[np.newaxis, :]
    y = np.maximum(np.abs(np.arange(rows.start, rows.stop) + 0.5 - center_y) - 0.5 + _SLACK, 0)[:, np.newaxis]
    if region.shape == "box":
        distance = np.hypot(np.maximum(x - radius_x, 0), np.maximum(y - radius_y, 0))
    else:
        distance = _outside_ellipse(x, y, radius_x, radius_y)
    strength = np.where(distance <= 0, 255, 255 * (1 - distance / feather) if feather else 0)
    part = mask[rows, columns]
    np.maximum(part, np.rint(strength.clip(0, 255)).astype(np.uint8), out=part)


def _covered(center: float, radius: float, side: int) -> slice:
    return slice(max(0, math.floor(center - radius) - 1), min(side, math.ceil(center + radius) + 1))


def _outside_ellipse(
    x: NDArray[np.float64], y: NDArray[np.float64], radius_x: float, radius_y: float
) -> NDArray[np.float64]:
    """Distance to the ellipse in pixels, to the first order; 0 or less inside."""
    level = np.hypot(x / radius_x, y / radius_y)
    slope = np.hypot(x / radius_x**2, y / radius_y**2)
    outside: NDArray[np.float64] = (level - 1) * level / np.maximum(slope, 1e-12)
    return outside
