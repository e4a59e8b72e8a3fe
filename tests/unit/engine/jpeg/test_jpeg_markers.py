"""Markers in entropy-coded data, wherever they lie in a vector of bytes."""

import random
import re

import numpy as np
import pytest

from services.blur_worker.engine.containers.jpeg_segments import count_behind
from services.blur_worker.engine.jpeg.format import byte_stuffing

_MANY = 1_000_000


@pytest.mark.parametrize("length", [0, 1, 2, 63, 64, 65, 66, 127, 128, 129, 500])
def test_markers_are_counted_at_any_place(length: int) -> None:
    draw = random.Random(length)
    for _ in range(50):
        data = bytes(draw.choices([0xFF, 0xD3, 0xDA, 0xC4, 0x00, 0x7F], k=length))
        found = [after[0] for after in re.findall(rb"\xff(?=(.))", data, re.DOTALL)]
        markers = [after for after in found if after >= 0xC0 and not 0xD0 <= after <= 0xD7]
        assert count_behind(data, 0, _MANY, _MANY) == (len(markers), markers.count(0xDA))


@pytest.mark.parametrize("length", [0, 1, 61, 62, 63, 64, 65, 127, 128, 500])
def test_stuffing_is_removed_at_any_place(length: int) -> None:
    draw = random.Random(length)
    for _ in range(50):
        plain = bytes(draw.choices([0xFF, 0x00, 0x7F], weights=[1, 3, 9], k=length))
        for after in (b"", b"\x00" * 64):
            data = b"\xd8" + plain.replace(b"\xff", b"\xff\x00") + b"\xff\xd9" + after
            out, bounds = np.zeros(len(data) + 512, np.uint8), np.zeros(2, np.int64)
            end, count = byte_stuffing._remove_stuffing(np.frombuffer(data, np.uint8), 1, out, bounds)
            assert (end, count, bounds.tolist()) == (len(data) - len(after) - 2, 1, [0, length])
            assert out[:length].tobytes() == plain
