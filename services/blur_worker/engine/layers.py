"""Which effect hides which pixels: regions of the same effect are one, and where effects overlap the stronger wins."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from services.blur_worker.engine.effects.strength import Strength, strength
from services.blur_worker.engine.outlines import Mask, draw
from services.blur_worker.engine.raster import Box, Size
from services.blur_worker.engine.regions import bounding_box, region_mask
from services.common.domain.spec import BlurSpec, Effect, Region


@dataclass(frozen=True)
class Layer:
    """An effect, and the pixels that it hides."""

    effect: Effect
    box: Box
    """The smallest box around all pixels that are hidden."""
    mask: Mask
    """Mask of the pixels of the box."""


def layers(spec: BlurSpec, size: Size) -> list[Layer]:
    """Return what hides a displayed image of this size, from the strongest effect to the weakest.

    All regions of one effect are one layer, except with Redact: there each union of regions that overlap or touch is
    one, since its cells depend on its size. All but the regions (`invert_regions`) is one layer.
    """
    if spec.invert_regions:
        return _crop(spec.effect, (0, 0), region_mask(spec, size))
    # Blurs that come to the same in pixels are the same effect; fills are if they are equal.
    groups: dict[tuple[Strength, Effect | None], tuple[Effect, list[Region]]] = {}
    for region in spec.regions:
        effect = region.effect or spec.effect
        key = strength(effect, size), effect if effect.irreversible else None
        _, others = groups.pop(key, (effect, []))
        # At the end again: of two fills, the one of the later region lies above.
        groups[key] = effect, [*others, region]
    ordered = sorted(groups, key=lambda key: key[0])
    return [
        layer
        for effect, regions in (groups[key] for key in reversed(ordered))
        for union in (_unions(regions, size) if effect.reads_surroundings else [regions])
        for layer in _union(effect, union, size)
    ]


def _union(effect: Effect, regions: list[Region], size: Size) -> list[Layer]:
    drawn = [draw(region, size) for region in regions]
    top, bottom = min(rows.start for rows, _, _ in drawn), max(rows.stop for rows, _, _ in drawn)
    left, right = min(columns.start for _, columns, _ in drawn), max(columns.stop for _, columns, _ in drawn)
    mask = np.zeros((bottom - top, right - left), np.uint8)
    for rows, columns, part in drawn:
        target = mask[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        np.maximum(target, part, out=target)
    return _crop(effect, (left, top), mask)


def _crop(effect: Effect, corner: tuple[int, int], mask: Mask) -> list[Layer]:
    """Return the layer, given its mask and where that lies; none if it is empty."""
    box = bounding_box(mask)
    if box is None:
        return []
    left, top, right, bottom = box
    x, y = corner
    return [Layer(effect, (x + left, y + top, x + right, y + bottom), mask[top:bottom, left:right])]


def _unions(regions: list[Region], size: Size) -> list[list[Region]]:
    """Group regions of which pixels overlap or touch, also by a corner or by their feathers."""
    if len(regions) == 1:
        return [regions]
    # Each pixel has the number of a region that covers it, with a border of a pixel on all sides; 0 for none.
    numbers = np.zeros((size[1] + 2, size[0] + 2), np.int32)
    parents = list(range(len(regions) + 1))

    def root(number: int) -> int:
        while parents[number] != number:
            number = parents[number]
        return number

    for number, region in enumerate(regions, 1):
        rows, columns, mask = draw(region, size)
        covered = np.pad(mask > 0, 1)
        near = covered.copy()
        for axis in (0, 1):
            near |= np.roll(near, 1, axis) | np.roll(near, -1, axis)
        part = numbers[rows.start : rows.stop + 2, columns.start : columns.stop + 2]
        touched = np.zeros(number, np.bool_)
        touched[part[near]] = True
        for other in np.flatnonzero(touched[1:]) + 1:
            parents[root(int(other))] = number
        part[covered] = number
    groups = defaultdict(list)
    for number, region in enumerate(regions, 1):
        groups[root(number)].append(region)
    return list(groups.values())
