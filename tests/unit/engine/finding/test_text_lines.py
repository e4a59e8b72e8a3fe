"""Rectangles around connected pixels, rows of lines, and their boxes."""

import math

import numpy as np
import pytest
from PIL import Image, ImageDraw

from services.blur_worker.engine.finding.text.line_shapes import COLUMNS, smallest_rectangles
from services.blur_worker.engine.finding.text.lines import Line, lines_in
from services.blur_worker.engine.finding.text.rows import rows


def line(x: float, y: float, degrees: float = 0, length: float = 100, thickness: float = 10) -> Line:
    angle = math.radians(degrees)
    return Line(
        x=x, y=y, ux=math.cos(angle), uy=math.sin(angle), length=length, thickness=thickness, confidence=1
    )  # fmt: skip


@pytest.mark.parametrize("degrees", [0, 7, 45, 80, 90, 133])
def test_the_smallest_rectangle_is_the_one_that_was_drawn(degrees: float) -> None:
    drawn = line(150, 120, degrees, 120, 24)
    across = np.array([-drawn.uy, drawn.ux])
    along = np.array([drawn.ux, drawn.uy])
    corners = [np.array([150, 120]) + s * 60 * along + t * 12 * across for s, t in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    image = Image.new("L", (300, 240))
    ImageDraw.Draw(image).polygon([(x - 0.5, y - 0.5) for x, y in corners], fill=204)
    found = np.empty((4, COLUMNS))
    assert smallest_rectangles(np.array(image), 76, 10, found) == 1
    x, y, ux, uy, length, thickness, mean = found[0]
    assert (x, y) == pytest.approx((150, 120), abs=1)
    assert abs(ux * drawn.ux + uy * drawn.uy) > math.cos(math.radians(1.5))
    assert (length, thickness) == pytest.approx((120, 24), abs=3)
    assert mean == pytest.approx(0.8)


def test_components_are_apart_and_small_or_doubtful_ones_are_left_out() -> None:
    map_ = np.zeros((60, 200), np.uint8)
    map_[10:20, 10:90] = 200
    map_[10:20, 110:190] = 200
    map_[40:42, 10:13] = 255  # six pixels
    map_[40:50, 50:120] = 90  # a probability of 0.35
    map_[20:24, 90] = 255
    map_[20, 89] = 255  # a corner in common: connected
    found = lines_in(map_, 1, 0.5)
    assert len(found) == 2
    assert len(lines_in(map_, 1, 0.3)) == 3
    assert sorted(round(one.x) for one in lines_in(map_, 0.5, 0.5)) == sorted(round(2 * one.x) for one in found)


def test_an_image_full_of_pixels_is_one_component() -> None:
    found = np.empty((1, COLUMNS))
    assert smallest_rectangles(np.full((50, 70), 255, np.uint8), 1, 1, found) == 1
    assert found[0, 4:].tolist() == pytest.approx([70, 50, 1])


def test_slanted_lines_are_cut_into_pieces_that_cover_them() -> None:
    whole = line(300, 300, 20, 400, 20)
    pieces = whole.pieces()
    assert len(pieces) > 1
    assert sum(piece.length for piece in pieces) == pytest.approx(400)
    area = sum((b[2] - b[0]) * (b[3] - b[1]) for b in (piece.box() for piece in pieces))
    box = whole.box()
    assert area < 0.4 * (box[2] - box[0]) * (box[3] - box[1])
    assert min(piece.box()[0] for piece in pieces) == pytest.approx(box[0])
    assert max(piece.box()[3] for piece in pieces) == pytest.approx(box[3])
    assert len(line(0, 0, 0, 4000).pieces()) == 1
    assert len(line(0, 0, 90, 4000).pieces()) == 1


def test_lines_that_continue_each_other_are_a_row() -> None:
    lines = [line(165, 100), line(50, 101), line(50, 130), line(400, 100), line(165, 100, 30)]
    assert sorted(rows(lines)) == [[1, 0], [2], [3], [4]]
    assert rows([]) == []
