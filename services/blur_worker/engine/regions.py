"""Where an effect applies: masks of regions, and blending the changed pixels into the unchanged ones."""

import math

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.effects import PixelEffect
from services.blur_worker.engine.raster import Box, Raster, Size
from services.common.domain.spec import BlurSpec, Region

_SLACK = 1e-3  # px; a region meant to end at a pixel's border must not include the next pixel by a rounding error

Mask = NDArray[np.uint8]
"""Shape (height, width): the share of the effect that each pixel gets, from 0 (none) to 255 (all)."""


def hides_whole(spec: BlurSpec) -> bool:
    """Return whether all of the image is hidden, not what regions say; with something to find, nothing may be found."""
    return not spec.regions and not spec.find


def region_mask(spec: BlurSpec, size: Size) -> Mask:
    """Return the mask of the spec's regions on a displayed image of this size.

    Every pixel that a padded outline touches, however little, gets 255, so that nothing shows through. The feather
    falls off linearly outside of the outline.
    """
    mask = np.zeros((size[1], size[0]), np.uint8)
    for region in spec.regions:
        rows, columns, drawn = draw(region, size)
        part = mask[rows, columns]
        np.maximum(part, drawn, out=part)
    return 255 - mask if spec.invert_regions else mask


def bounding_box(mask: Mask) -> Box | None:
    """Return the smallest box around all pixels above 0, None if there are none."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1) if len(rows) else None


def input_box(output: Box, effect: PixelEffect, size: Size) -> Box:
    """Return the part of an image of this size on which the effect gives the same output as on the whole image."""
    grid, margin = effect.grid, effect.margin
    left, top, right, bottom = output
    left, top = (max(0, (start - margin) // grid * grid) for start in (left, top))
    right, bottom = (-(-(end + margin) // grid) * grid for end in (right, bottom))
    return left, top, min(size[0], right), min(size[1], bottom)


def blend(original: Raster, changed: Raster, mask: Mask) -> Raster:
    """Return the original with the changed pixels blended in; bit-identical where the mask is 0.

    Args:
        original: Colours with alpha are blended premultiplied.
        changed: Of the same mode and shape.
        mask: For these pixels.
    """
    result = original.samples.copy()
    np.copyto(result, changed.samples, where=(mask == 255)[:, :, np.newaxis])
    partly = (mask > 0) & (mask < 255)
    weights = mask[partly, np.newaxis] / 255
    before, after = (raster.samples[partly].astype(np.float64) for raster in (original, changed))
    if original.has_alpha:
        alpha = before[:, -1:] * (1 - weights) + after[:, -1:] * weights
        before[:, :-1] *= before[:, -1:] / np.maximum(alpha, 1e-9)
        after[:, :-1] *= after[:, -1:] / np.maximum(alpha, 1e-9)
    blended = before * (1 - weights) + after * weights
    if original.has_alpha:
        blended[:, -1:] = alpha
    result[partly] = np.rint(blended).clip(0, original.max_value).astype(result.dtype)
    return original.with_samples(result)


def draw(region: Region, size: Size) -> tuple[slice, slice, Mask]:
    """Return the rows and columns, of a displayed image of this size, that a region may touch, and its mask there."""
    width, height = size
    shorter = min(width, height)
    padding, feather = region.padding * shorter, region.feather * shorter
    # At least a pixel, so that no region is lost between two pixels.
    radius_x = max(region.width * width / 2 + padding, 0.5)
    radius_y = max(region.height * height / 2 + padding, 0.5)
    center_x, center_y = (region.left + region.width / 2) * width, (region.top + region.height / 2) * height
    columns = _covered(center_x, radius_x + feather, width)
    rows = _covered(center_y, radius_y + feather, height)
    # Of each pixel the point that is nearest to the centre.
    x = np.maximum(np.abs(np.arange(columns.start, columns.stop) + 0.5 - center_x) - 0.5 + _SLACK, 0)[np.newaxis, :]
    y = np.maximum(np.abs(np.arange(rows.start, rows.stop) + 0.5 - center_y) - 0.5 + _SLACK, 0)[:, np.newaxis]
    if region.shape == "box":
        distance = np.hypot(np.maximum(x - radius_x, 0), np.maximum(y - radius_y, 0))
    else:
        distance = _distance_to_ellipse(x, y, radius_x, radius_y)
    strength = np.where(distance <= 0, 255, 255 * (1 - distance / feather) if feather else 0)
    return rows, columns, np.rint(strength.clip(0, 255)).astype(np.uint8)


def _covered(center: float, radius: float, side: int) -> slice:
    return slice(max(0, math.floor(center - radius) - 1), min(side, math.ceil(center + radius) + 1))


def _distance_to_ellipse(
    x: NDArray[np.float64], y: NDArray[np.float64], radius_x: float, radius_y: float
) -> NDArray[np.float64]:
    """Return the distance in pixels, to the first order; 0 or less inside."""
    level = np.hypot(x / radius_x, y / radius_y)
    slope = np.hypot(x / radius_x**2, y / radius_y**2)
    distance: NDArray[np.float64] = (level - 1) * level / np.maximum(slope, 1e-12)
    return distance
