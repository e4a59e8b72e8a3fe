"""The outlines of regions: which pixels they cover, and whether a point is inside."""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.capsules import SLACK, Mask, Segments, fill_outline
from services.blur_worker.engine.feather import add_feather
from services.blur_worker.engine.raster import Size
from services.common.domain.spec import Point, Region

__all__ = ["Mask", "contains", "draw"]

_MIN_RADIUS = 0.5  # px: at least a pixel, so that no region is lost between two pixels


def draw(region: Region, size: Size) -> tuple[slice, slice, Mask]:
    """Return the rows and columns, of a displayed image of this size, that a region may touch, and its mask there."""
    if region.shape in {"polygon", "brush"}:
        return _draw_segments(region, size)
    width, height = size
    shorter = min(width, height)
    padding, feather = region.padding * shorter, region.feather * shorter
    radius_x = max(region.width * width / 2 + padding, _MIN_RADIUS)
    radius_y = max(region.height * height / 2 + padding, _MIN_RADIUS)
    center_x, center_y = (region.left + region.width / 2) * width, (region.top + region.height / 2) * height
    columns = _covered(center_x, radius_x + feather, width)
    rows = _covered(center_y, radius_y + feather, height)
    # Of each pixel the point that is nearest to the centre.
    x = np.maximum(np.abs(np.arange(columns.start, columns.stop) + 0.5 - center_x) - 0.5 + SLACK, 0)[np.newaxis, :]
    y = np.maximum(np.abs(np.arange(rows.start, rows.stop) + 0.5 - center_y) - 0.5 + SLACK, 0)[:, np.newaxis]
    if not feather:
        is_box = region.shape == "box"
        inside = (x <= radius_x) & (y <= radius_y) if is_box else np.hypot(x / radius_x, y / radius_y) <= 1
        return rows, columns, inside * np.uint8(255)
    if region.shape == "box":
        distance = np.hypot(np.maximum(x - radius_x, 0), np.maximum(y - radius_y, 0))
    else:
        distance = _distance_to_ellipse(x, y, radius_x, radius_y)
    strength = np.where(distance <= 0, 255, 255 * (1 - distance / feather))
    return rows, columns, np.rint(strength.clip(0, 255)).astype(np.uint8)


def _draw_segments(region: Region, size: Size) -> tuple[slice, slice, Mask]:
    segments = _segments(region, size)
    feather = region.feather * min(size)
    reach = segments[:, 4] + feather
    columns, rows = (
        _between(
            float((np.minimum(segments[:, axis], segments[:, axis + 2]) - reach).min()),
            float((np.maximum(segments[:, axis], segments[:, axis + 2]) + reach).max()),
            size[axis],
        )
        for axis in (0, 1)
    )
    mask = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint8)
    closed = region.shape == "polygon"
    fill_outline(segments, closed, columns.start, rows.start, mask)
    if not mask.any():  # between two pixels
        segments[:, 4] = np.maximum(segments[:, 4], _MIN_RADIUS)
        fill_outline(segments, closed, columns.start, rows.start, mask)
    if feather:
        add_feather(mask, feather)
    return rows, columns, mask


def _segments(region: Region, size: Size) -> Segments:
    """Return the edges of a polygon, or the segments of strokes; of a dot one without a length."""
    shorter = min(size)
    padding = region.padding * shorter
    if region.shape == "polygon":
        corners = np.array(region.points) * size
        radii = np.full((len(corners), 1), padding)
        return np.concatenate([corners, np.roll(corners, -1, axis=0), radii], axis=1)
    parts = []
    for stroke in region.strokes:
        points = np.array(stroke.points) * size
        ends = points[1:] if len(points) > 1 else points
        radii = np.full((len(ends), 1), max(stroke.width * shorter / 2 + padding, _MIN_RADIUS))
        parts.append(np.concatenate([points[: len(ends)], ends, radii], axis=1))
    return np.concatenate(parts)


def _covered(center: float, radius: float, side: int) -> slice:
    return _between(center - radius, center + radius, side)


def _between(begin: float, end: float, side: int) -> slice:
    return slice(max(0, math.floor(begin) - 1), min(side, math.ceil(end) + 1))


def _distance_to_ellipse(
    x: NDArray[np.float64], y: NDArray[np.float64], radius_x: float, radius_y: float
) -> NDArray[np.float64]:
    """Return the distance in pixels, to the first order; 0 or less inside."""
    level = np.hypot(x / radius_x, y / radius_y)
    slope = np.hypot(x / radius_x**2, y / radius_y**2)
    distance: NDArray[np.float64] = (level - 1) * level / np.maximum(slope, 1e-12)
    return distance


def contains(region: Region, point: Point, size: Size) -> bool:
    """Return whether a point lies in a region's outline, without its padding and feather.

    Args:
        region: As drawn.
        point: In fractions of the image.
        size: Of the displayed image in pixels.
    """
    if region.shape in {"box", "ellipse"}:
        across = abs(point[0] - (region.left + region.width / 2)) / (region.width / 2)
        down = abs(point[1] - (region.top + region.height / 2)) / (region.height / 2)
        return max(across, down) <= 1 if region.shape == "box" else across**2 + down**2 <= 1
    segments = _segments(replace(region, padding=0), size)
    x, y = point[0] * size[0], point[1] * size[1]
    if region.shape == "polygon":
        return _winding(segments, x, y) != 0
    begins, along = segments[:, :2], segments[:, 2:4] - segments[:, :2]
    to_point = (x, y) - begins
    nearest = np.clip((to_point * along).sum(axis=1) / np.maximum((along**2).sum(axis=1), 1e-12), 0, 1)
    distance = np.hypot(*(to_point - nearest[:, np.newaxis] * along).T)
    return bool((distance <= segments[:, 4]).any())


def _winding(edges: Segments, x: float, y: float) -> int:
    """Return how often edges go around a point: the edges to its right that cross its row, by their direction."""
    down, up = (edges[:, 1] <= y) & (y < edges[:, 3]), (edges[:, 3] <= y) & (y < edges[:, 1])
    crossing = edges[down | up]
    # From top to bottom, whatever their direction: edges that lie on each other have to cross at the same point.
    ordered = np.where((crossing[:, 1] <= crossing[:, 3])[:, np.newaxis], crossing, crossing[:, [2, 3, 0, 1, 4]])
    left, top, right, bottom = ordered[:, :4].T
    direction = np.where(down[down | up], 1, -1)
    return int(direction[left + (y - top) / (bottom - top) * (right - left) > x].sum())
