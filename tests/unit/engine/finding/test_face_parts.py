"""The parts of the face detector that need no model."""

from itertools import pairwise

import numpy as np
import pytest

from services.blur_worker.engine.finding.faces.pyramid import pyramid
from services.blur_worker.engine.finding.faces.suppression import not_within, without_duplicates
from services.blur_worker.engine.finding.faces.tiling import spans
from services.blur_worker.engine.finding.faces.turning import turned, turned_back
from services.blur_worker.engine.finding.faces.wire_format import field, fields


@pytest.mark.parametrize("length", [1, 31, 512, 513, 700, 961, 4000])
def test_spans_cover_a_length_with_margins(length: int) -> None:
    parts = spans(length, 512, 32)
    assert parts[0].core_start == 0
    assert parts[-1].core_stop == length
    for first, second in pairwise(parts):
        assert first.core_stop == second.core_start
        assert first.stop - first.core_stop >= 31
        assert second.core_start - second.start >= 31
    for part in parts:
        assert 0 <= part.start < part.stop <= length
        assert part.stop - part.start <= 512


def test_suppression_keeps_the_most_confident() -> None:
    boxes = np.array([[0, 0, 10, 10, 0.5], [1, 1, 11, 11, 0.9], [50, 50, 60, 60, 0.4], [2, 2, 6, 6, 0.3]], np.float32)
    assert without_duplicates(boxes)[:, 4].tolist() == pytest.approx([0.9, 0.4])


def test_not_within() -> None:
    boxes = np.array([[0, 0, 4, 4, 0.5], [20, 20, 24, 24, 0.5]], np.float32)
    others = np.array([[1, 1, 9, 9, 0.9]], np.float32)
    assert not_within(boxes, others)[:, 0].tolist() == [20]
    assert len(not_within(boxes, others[:0])) == 2


def test_a_level_has_the_means_of_squares() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (400, 600, 3), np.uint8)
    levels = pyramid(pixels, 2)
    assert [level.reduction for level in levels] == [1, 2, 4]
    expected = pixels.reshape(200, 2, 300, 2, 3).mean(axis=(1, 3))
    assert np.abs(levels[1].pixels - expected).max() <= 0.5


@pytest.mark.parametrize("degrees", [-90.0, -45.0, 45.0, 90.0, 180.0])
def test_boxes_of_a_turned_image_lie_where_they_were(degrees: float) -> None:
    pixels = np.zeros((200, 300, 3), np.uint8)
    pixels[40:60, 210:230] = 255
    image = turned(pixels, degrees)
    rows, columns = np.nonzero(image[:, :, 0] > 128)
    box = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1, 0.7]], np.float32)
    left, top, right, bottom, confidence = turned_back(box, degrees, image, pixels)[0]
    assert ((left + right) / 2, (top + bottom) / 2) == pytest.approx((220, 50), abs=1.5)
    assert confidence == pytest.approx(0.7)


def test_wire_format() -> None:
    message = field(1, 300) + field(2, "name") + field(20, b"\x00\xff")
    assert list(fields(message)) == [(1, 300), (2, b"name"), (20, b"\x00\xff")]
    with pytest.raises(ValueError, match="ends"):
        list(fields(b"\x08\xff"))
