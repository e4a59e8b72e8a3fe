"""Where the effect goes: masks of regions, and laying the changed pixels over the unchanged ones."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.blur_worker.engine.gaussian import reach
from services.common.spec import BlurSpec, Effect, Gaussian, Pixelate, Region

_SLACK = 1e-3  # px; a region meant to end at a pixel's border must not take the next pixel by a rounding error
_PREMULTIPLIED = {"RGBA": "RGBa", "LA": "La"}

Area = tuple[int, int, int, int]


def mask_of(spec: BlurSpec, size: tuple[int, int]) -> Image.Image:
    """Gives how much of the effect each pixel gets, in mode L.

    Every pixel that a padded outline touches gets 255, however little it is touched: nothing may show through. The
    feather falls off linearly outside the outline. Inverted, the same mask is turned round.
    """
    mask = np.zeros((size[1], size[0]), np.uint8)
    for region in spec.regions:
        _add(region, mask)
    return Image.fromarray(255 - mask if spec.invert_regions else mask)


def reached(touched: Area, effect: Effect, size: tuple[int, int]) -> Area:
    """The part of an image of this size from which the effect on the touched part can be computed."""
    left, top, right, bottom = touched
    match effect:
        case Gaussian():
            margin = reach(effect.sigma_px(*size))
            left, top, right, bottom = left - margin, top - margin, right + margin, bottom + margin
        case Pixelate():
            cell = effect.cell_px(*size)
            left, top, right, bottom = (
                left // cell * cell,
                top // cell * cell,
                -(-right // cell * cell),
                -(-bottom // cell * cell),
            )
        case _:
            pass
    return max(0, left), max(0, top), min(size[0], right), min(size[1], bottom)


def blend(original: Image.Image, changed: Image.Image, mask: Image.Image) -> Image.Image:
    """Lays the changed over the original where the mask says; where it says 0, the original stays to the bit."""
    if original.mode == "I;16":
        weights = np.asarray(mask) / 255
        before, after = np.asarray(original), np.asarray(changed)
        return Image.fromarray(np.rint(before * (1 - weights) + after * weights).astype(np.uint16))
    premultiplied = _PREMULTIPLIED.get(original.mode, original.mode)
    mixed = Image.composite(changed.convert(premultiplied), original.convert(premultiplied), mask)
    result = original.copy()
    result.paste(mixed.convert(original.mode), mask=mask.point([0] + [255] * 255))
    return result


def _add(region: Region, mask: NDArray[np.uint8]) -> None:
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
