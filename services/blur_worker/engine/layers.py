"""Which effect hides which pixels: regions of the same effect are one, and where effects overlap the stronger wins."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.blur_worker.engine.effects.strength import Strength, strength
from services.blur_worker.engine.outlines import Mask, draw
from services.blur_worker.engine.raster import Box, Size
from services.blur_worker.engine.regions import bounding_box, region_mask
from services.common.domain.spec import BlurSpec, Effect, Region

Drawn = tuple[slice, slice, Mask]
"""Rows and columns of a region, and its mask there."""
_PIXELS_OF_A_LAYER, _MANY_REGIONS = 30_000, 64
"""A layer more costs as much time as so many pixels; how near to each other more regions are is not looked at."""


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

    Regions of one effect that lie far apart are several layers, whose boxes do not overlap: what lies between them
    would cost time. With Redact each union of regions that overlap or touch is a layer: its cells depend on its size.
    All but the regions (`invert_regions`) is one layer.
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
        for union in (_unions(regions, size) if effect.reads_surroundings else _apart(regions, size))
        for layer in _union(effect, union)
    ]


def _apart(regions: list[Region], size: Size) -> list[list[Drawn]]:
    """Group drawn regions so that the boxes of groups do not overlap, and take few pixels."""
    # In an order of their own, and each once: the groups depend on no other order.
    groups = [([each], _bounds([each])) for each in (draw(region, size) for region in dict.fromkeys(regions))]
    groups.sort(key=lambda group: group[1])
    if len(groups) > _MANY_REGIONS:
        return [[each for drawn, _ in groups for each in drawn]]
    merged: list[tuple[list[Drawn], Box]] = []
    while groups:
        drawn, box = groups.pop()
        near = next((at for at, (_, other) in enumerate(merged) if _are_near(box, other)), None)
        if near is None:
            merged.append((drawn, box))
        else:
            # Their union may be near to others.
            others, _ = merged.pop(near)
            groups.append((drawn + others, _bounds(drawn + others)))
    return [drawn for drawn, _ in merged]


def _are_near(one: Box, other: Box) -> bool:
    """Return whether two boxes overlap, or one around both costs no more than the two."""
    left, top = min(one[0], other[0]), min(one[1], other[1])
    right, bottom = max(one[2], other[2]), max(one[3], other[3])
    across, down = right - left - _width(one) - _width(other), bottom - top - _height(one) - _height(other)
    together, alone = (right - left) * (bottom - top), _width(one) * _height(one) + _width(other) * _height(other)
    return max(across, down) < 0 or together <= alone + _PIXELS_OF_A_LAYER


def _width(box: Box) -> int:
    return box[2] - box[0]


def _height(box: Box) -> int:
    return box[3] - box[1]


def _bounds(drawn: Sequence[Drawn]) -> Box:
    """Return the box around drawn regions."""
    return (
        min(columns.start for _, columns, _ in drawn),
        min(rows.start for rows, _, _ in drawn),
        max(columns.stop for _, columns, _ in drawn),
        max(rows.stop for rows, _, _ in drawn),
    )


def _union(effect: Effect, drawn: Sequence[Drawn]) -> list[Layer]:
    left, top, right, bottom = _bounds(drawn)
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


def _unions(regions: list[Region], size: Size) -> list[list[Drawn]]:
    """Group drawn regions of which pixels overlap or touch, also by a corner or by their feathers."""
    all_drawn = [draw(region, size) for region in regions]
    if len(regions) == 1:
        return [all_drawn]
    # Each pixel has the number of a region that covers it, with a border of a pixel on all sides; 0 for none.
    numbers = np.zeros((size[1] + 2, size[0] + 2), np.int32)
    parents = list(range(len(regions) + 1))

    def root(number: int) -> int:
        while parents[number] != number:
            number = parents[number]
        return number

    for number, (rows, columns, mask) in enumerate(all_drawn, 1):
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
    for number, drawn in enumerate(all_drawn, 1):
        groups[root(number)].append(drawn)
    return list(groups.values())
