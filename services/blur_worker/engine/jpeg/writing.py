"""From quantized coefficients to the bytes of a JPEG."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.jpeg import entropy
from services.blur_worker.engine.jpeg.envelope import Envelope
from services.blur_worker.engine.jpeg.huffman import encoding_table
from services.blur_worker.engine.stage_timer import StageTimer

_BLOCKS_AT_ONCE = 1 << 13
_EOI = b"\xff\xd9"

Kinds = list[tuple[int, int]]
"""Place in the stream, and which kind of coefficient stands there."""


class Plane(Protocol):
    """Where coefficients come from."""

    horizontal: int
    """Sampling factors; as `vertical`."""
    vertical: int
    columns: int
    """Blocks in a row."""
    rows: int
    kinds: int
    """Coefficients of a block that are not always 0."""

    def order(self) -> Kinds:
        """Those, by place."""

    def rows_of(self, begin: int, end: int, out: NDArray[np.int16]) -> None:
        """Puts rows of blocks into `out`, (rows, kinds, columns); the next ones at each call."""


def write(planes: Sequence[Plane], envelope: Envelope, timer: StageTimer) -> bytes:
    """Makes and encodes all rows."""
    mcu_rows = max(-(-plane.rows // plane.vertical) for plane in planes)
    mcu_columns = max(-(-plane.columns // plane.horizontal) for plane in planes)
    blocks = mcu_columns * sum(plane.horizontal * plane.vertical for plane in planes)
    at_once = min(mcu_rows, max(1, _BLOCKS_AT_ONCE // blocks))
    sizes = [at_once * plane.vertical * plane.kinds * plane.columns for plane in planes]
    begins = np.cumsum([0, *sizes]).tolist()
    made = np.empty(begins[-1], np.int16)
    order = np.array([each for plane in planes for each in plane.order()])
    dc, ac = (np.stack([encoding_table(each) for each in tables]) for tables in (envelope.dc, envelope.ac))
    bits, state = np.zeros(1, np.uint64), np.zeros(entropy.STATE, np.int64)
    begins_of_places = np.zeros((len(planes), 64), np.uint64)
    marks = np.empty(sum(plane.vertical * plane.columns for plane in planes), np.uint64)
    out = np.empty(entropy.room_for(at_once * blocks), np.uint8)
    parts = [envelope.head]
    for begin in range(0, mcu_rows, at_once):
        count = min(at_once, mcu_rows - begin)
        layout, first_kind = [], 0
        for plane, base in zip(planes, begins, strict=False):
            first = begin * plane.vertical
            rows = min(count * plane.vertical, plane.rows - first)
            part = made[base : base + rows * plane.kinds * plane.columns].reshape(rows, plane.kinds, plane.columns)
            plane.rows_of(first, first + rows, part)
            layout.append([plane.horizontal, plane.vertical, plane.columns, rows, base, plane.kinds, first_kind])
            first_kind += plane.kinds
        timer.lap("blur")
        entropy.write_rows(
            made, np.array(layout), dc, ac, order, count, mcu_columns, bits, state, begins_of_places, marks, out
        )
        parts.append(out[: state[entropy.WRITTEN]].tobytes())
        state[entropy.WRITTEN] = 0
        timer.lap("encode")
    parts.append(_rest(int(bits[0]), int(state[entropy.COUNT])))
    return b"".join([*parts, _EOI])


def _rest(bits: int, count: int) -> bytes:
    """The last bits, filled up with ones."""
    missing = -count % 8
    left = ((bits & ((1 << count) - 1)) << missing) | ((1 << missing) - 1)
    return left.to_bytes((count + missing) // 8, "big").replace(b"\xff", b"\xff\x00")
