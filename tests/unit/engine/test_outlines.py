"""Polygons and brushes against definitions by distances and angles."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.blur_worker.engine.outlines import Mask, contains, draw
from services.common.domain.spec import Point, Region, Stroke

FRACTIONS = st.floats(0, 1)
POINTS = st.tuples(FRACTIONS, FRACTIONS)
SIDES = st.integers(1, 40)
_PER_PIXEL = 12


def mask_of(region: Region, width: int, height: int) -> Mask:
    mask = np.zeros((height, width), np.uint8)
    rows, columns, drawn = draw(region, (width, height))
    mask[rows, columns] = drawn
    return mask


def distances(points: NDArray[np.float64], segments: list[tuple[Point, Point]]) -> NDArray[np.float64]:
    """Return the distance of each point (…, 2) to the nearest segment."""
    nearest = np.full(points.shape[:-1], np.inf)
    for begin, end in segments:
        along = np.subtract(end, begin)
        at = ((points - begin) @ along / max(float(along @ along), 1e-300)).clip(0, 1)
        nearest = np.minimum(nearest, np.hypot(*np.moveaxis(points - begin - at[..., np.newaxis] * along, -1, 0)))
    return nearest


def encloses(points: NDArray[np.float64], corners: list[Point]) -> NDArray[np.bool_]:
    """Return which points (…, 2) a polygon goes around, by the sum of angles."""
    turned = np.zeros(points.shape[:-1])
    for begin, end in zip(corners, corners[1:] + corners[:1], strict=True):
        one, other = (np.moveaxis(np.subtract(corner, points), -1, 0) for corner in (begin, end))
        turned += np.arctan2(one[0] * other[1] - one[1] * other[0], one[0] * other[0] + one[1] * other[1])
    return np.abs(turned) > math.pi


def sampled(width: int, height: int) -> NDArray[np.float64]:
    """Return points in every pixel, shape (height, width, points, 2)."""
    offsets = (np.arange(_PER_PIXEL) + 0.5) / _PER_PIXEL
    y, x = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    dy, dx = (part.ravel() for part in np.meshgrid(offsets, offsets, indexing="ij"))
    return np.stack([x[..., np.newaxis] + dx, y[..., np.newaxis] + dy], axis=-1)


def check(mask: Mask, outside: NDArray[np.float64]) -> None:
    """Check a mask, given how far each point of each pixel (rows, columns, points) is from the outline."""
    nearest = outside.min(axis=-1)
    assert (mask[nearest <= 0] == 255).all(), "a touched pixel is not hidden"
    assert (mask[nearest > math.sqrt(2) / _PER_PIXEL] == 0).all(), "a pixel that is not touched is hidden"


@given(st.lists(POINTS, min_size=3, max_size=9), SIDES, SIDES, st.sampled_from([0.0, 0.03, 0.4]))
@settings(deadline=None, max_examples=150)
def test_a_polygon_hides_what_it_touches(fractions: list[Point], width: int, height: int, padding: float) -> None:
    corners = [(x * width, y * height) for x, y in fractions]
    points = sampled(width, height)
    edges = list(zip(corners, corners[1:] + corners[:1], strict=True))
    outside = np.where(encloses(points, corners), 0, distances(points, edges) - padding * min(width, height))
    mask = mask_of(Region.polygon(fractions, padding), width, height)
    if (outside <= 0).any():  # else it may lie between two pixels
        check(mask, outside)


@given(
    st.lists(st.tuples(st.lists(POINTS, min_size=1, max_size=5), st.floats(0.01, 1)), min_size=1, max_size=3),
    SIDES,
    SIDES,
    st.sampled_from([0.0, 0.1]),
)
@settings(deadline=None, max_examples=150)
def test_a_brush_hides_what_it_touches(
    strokes: list[tuple[list[Point], float]], width: int, height: int, padding: float
) -> None:
    points = sampled(width, height)
    outside = np.full(points.shape[:-1], np.inf)
    for fractions, thickness in strokes:
        line = [(x * width, y * height) for x, y in fractions]
        radius = max((thickness / 2 + padding) * min(width, height), 0.5)
        outside = np.minimum(outside, distances(points, list(pairwise(line)) or [(line[0], line[0])]) - radius)
    region = Region.brush([Stroke(tuple(line), thickness) for line, thickness in strokes], padding)
    check(mask_of(region, width, height), outside)


@given(POINTS, POINTS, SIDES, SIDES)
@settings(deadline=None)
def test_a_polygon_of_four_right_angles_is_a_box(corner: Point, extent: Point, width: int, height: int) -> None:
    (left, top), (across, down) = corner, extent
    box = Region("box", left, top, max(across * (1 - left), 1e-9), max(down * (1 - top), 1e-9))
    assume(box.left + box.width <= 1 and box.top + box.height <= 1)
    assume(min(box.width * width, box.height * height) > 1)
    right, bottom = box.left + box.width, box.top + box.height
    corners = [(box.left, box.top), (right, box.top), (right, bottom), (box.left, bottom)]
    for each in (corners, corners[::-1]):
        assert (mask_of(Region.polygon(each), width, height) == mask_of(box, width, height)).all()


@pytest.mark.parametrize(
    "region",
    [
        Region.polygon([(0.5, 0.5)] * 3),
        Region.polygon([(0.2, 0.5), (0.8, 0.5), (0.5, 0.5)]),
        Region.polygon([(0, 0), (0, 1), (0, 0.5)]),
        Region.polygon([(1, 0), (1, 1), (1, 0.5)]),
        Region.polygon([(1, 1)] * 3),
        Region.brush([Stroke(((0, 0),), 1e-9)]),
        Region.brush([Stroke(((1, 1), (1, 1)), 1e-9)]),
        Region.brush([Stroke(((0.5, 0.5), (0.5, 0.5)), 1e-9)]),
    ],
)
def test_the_smallest_region_hides_a_pixel(region: Region) -> None:
    assert 1 <= (mask_of(region, 10, 10) == 255).sum() <= 22


def test_what_a_polygon_encloses_twice_is_inside() -> None:
    turns = [2 * math.pi * 2 * index / 5 for index in range(5)]
    star = Region.polygon([(0.5 + 0.5 * math.sin(turn), 0.5 - 0.5 * math.cos(turn)) for turn in turns])
    mask = mask_of(star, 100, 100)
    assert (mask[40:60, 40:60] == 255).all()
    assert mask[5, 5] == 0
    eight = Region.polygon([(0, 0), (1, 1), (1, 0), (0, 1)])
    assert (mask_of(eight, 100, 100)[50, [10, 90]] == 255).all()


@given(st.lists(POINTS, min_size=3, max_size=8), POINTS)
@settings(deadline=None, max_examples=200)
def test_what_a_polygon_contains(fractions: list[Point], point: Point) -> None:
    size = 64, 40
    corners, at = [(x * 64, y * 40) for x, y in fractions], np.multiply(point, size)
    assume(distances(at, list(zip(corners, corners[1:] + corners[:1], strict=True))) > 1e-6)
    assert contains(Region.polygon(fractions, padding=0.5), point, size) == encloses(at, corners)


@given(st.lists(POINTS, min_size=1, max_size=8), POINTS)
@settings(deadline=None, max_examples=200)
def test_what_a_brush_contains(fractions: list[Point], point: Point) -> None:
    line, at = [(x * 64, y * 40) for x, y in fractions], np.multiply(point, (64, 40))
    distance = distances(at, list(pairwise(line)) or [(line[0], line[0])])
    assume(abs(distance - 4) > 1e-6)
    region = Region.brush([Stroke(tuple(fractions), 0.2)], padding=0.5)
    assert contains(region, point, (64, 40)) == (distance < 4)


@pytest.mark.parametrize(
    "region",
    [
        Region.polygon([(0.4, 0.4), (0.6, 0.4), (0.6, 0.6), (0.4, 0.6)], feather=0.2),
        Region.brush([Stroke(((0.5, 0.5),), 0.2)], feather=0.2),
        Region.brush([Stroke(((0.5, 0),), 0.2), Stroke(((0.5, 0.5),), 0.2)], feather=0.2),
    ],
)
def test_the_feather_is_outside_and_falls_off(region: Region) -> None:
    row = mask_of(region, 100, 100)[50].astype(int)
    assert (row[41:59] == 255).all()
    assert (np.diff(row[60:80]) < 0).all()
    assert 100 < row[70] < 155
    assert (row[81:] == 0).all()
    assert (row[:19] == 0).all()
    assert (row == row[::-1]).all()


@given(FRACTIONS, FRACTIONS, st.sampled_from([0.05, 0.3, 1.0]))
@settings(deadline=None, max_examples=40)
def test_feathers_are_those_of_boxes_to_a_pixel(left: float, top: float, feather: float) -> None:
    box = Region("box", left * 0.8, top * 0.8, 0.2, 0.2, feather=feather)
    right, bottom = box.left + 0.2, box.top + 0.2
    corners = [(box.left, box.top), (right, box.top), (right, bottom), (box.left, bottom)]
    drawn = (mask_of(each, 80, 60) for each in (box, Region.polygon(corners, feather=feather)))
    one, other = (mask.astype(int) for mask in drawn)
    assert np.abs(one - other).max() <= 255 / (feather * 60) + 1


def test_a_region_of_many_points_is_drawn_in_time() -> None:
    turns = np.linspace(0, 40 * math.pi, 500)
    spiral = tuple((0.5 + turn / 300 * math.cos(turn), 0.5 + turn / 300 * math.sin(turn)) for turn in turns.tolist())
    strokes = [Stroke(spiral, 0.2)] * 4
    mask = mask_of(Region.brush(strokes, feather=1), 3000, 2000)
    assert mask[1000, 1500] == 255
