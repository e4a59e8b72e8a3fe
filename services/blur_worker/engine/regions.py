"""Where an effect applies: masks of regions, and blending the changed pixels into the unchanged ones."""

import numpy as np

from services.blur_worker.engine.effects import PixelEffect
from services.blur_worker.engine.outlines import Mask, draw
from services.blur_worker.engine.raster import Box, Raster, Size
from services.common.domain.spec import BlurSpec


def hides_whole(spec: BlurSpec) -> bool:
    """Return whether all of an image is hidden, not only regions; with something to find, nothing may be found."""
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
    inside = mask == 255
    if inside.all():
        return changed
    result = original.samples.copy()
    # All channels of a row in one go.
    across = inside.shape[0], -1
    where = np.repeat(inside, result.shape[2], axis=1)
    np.copyto(result.reshape(across), changed.samples.reshape(across), where=where)
    partly = (mask > 0) & ~inside
    if not partly.any():
        return original.with_samples(result)
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
