"""From quantized coefficients to the bytes of a JPEG."""

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.jpeg.encode.huffman import encoding_table
from services.blur_worker.engine.jpeg.encode.scan import BIT_WRITER, ENCODED_COMPONENT, encode_rows, room_for
from services.blur_worker.engine.jpeg.format.result_header import ResultHeader
from services.blur_worker.engine.stage_timer import StageTimer

BLOCKS_AT_ONCE = 1 << 13
_EOI = b"\xff\xd9"


class EncodedPlane(Protocol):
    """A component of the result."""

    h: int
    """Sampling factors; as `v`."""
    v: int
    columns: int
    """Blocks in a row."""
    rows: int
    zigzag: NDArray[np.int64]
    """The coefficients of a block that are not always 0, by their place in zig-zag order."""


class QuantizedPlane(EncodedPlane, Protocol):
    """One that is made some rows of blocks at a time."""

    def write_rows(self, begin: int, end: int, out: NDArray[np.int16]) -> None:
        """Put rows of blocks into `out`, (rows, coefficients, columns); the next ones at each call."""


def write_jpeg(planes: Sequence[QuantizedPlane], header: ResultHeader, timer: StageTimer) -> bytes:
    """Make and encode all rows."""
    mcu_rows = max(-(-plane.rows // plane.v) for plane in planes)
    mcu_columns = max(-(-plane.columns // plane.h) for plane in planes)
    blocks = mcu_columns * sum(plane.h * plane.v for plane in planes)
    at_once = min(mcu_rows, max(1, BLOCKS_AT_ONCE // blocks))
    sizes = [at_once * plane.v * len(plane.zigzag) * plane.columns for plane in planes]
    begins = np.cumsum([0, *sizes]).tolist()
    components = component_records(planes, header, begins)
    coefficients = np.empty(begins[-1], np.int16)
    marks = np.empty(sum(plane.v * plane.columns for plane in planes), np.uint64)
    out = np.empty(room_for(at_once * blocks), np.uint8)
    writer = np.zeros(1, BIT_WRITER)
    parts = [header.data]
    for begin in range(0, mcu_rows, at_once):
        count = min(at_once, mcu_rows - begin)
        for index, plane in enumerate(planes):
            first = begin * plane.v
            rows = components["rows"][index] = min(count * plane.v, plane.rows - first)
            shape = rows, len(plane.zigzag), plane.columns
            plane.write_rows(first, first + rows, coefficients[begins[index] :][: math.prod(shape)].reshape(shape))
        timer.lap("blur")
        encode_rows(coefficients, components, count, mcu_columns, writer, marks, out)
        parts.append(out[: writer["written"][0]].tobytes())
        writer["written"] = 0
        timer.lap("encode")
    return b"".join([*parts, last_bytes(writer)])


def component_records(planes: Sequence[EncodedPlane], header: ResultHeader, begins: Sequence[int]) -> NDArray[np.void]:
    """Return an ENCODED_COMPONENT record for each plane, of which the coefficients begin there."""
    components = np.zeros(len(planes), ENCODED_COMPONENT)
    for plane, begin, dc, ac, component in zip(
        planes, begins, header.dc_tables, header.ac_tables, components, strict=False
    ):
        component["h"], component["v"], component["columns"] = plane.h, plane.v, plane.columns
        component["row_step"] = len(plane.zigzag) * plane.columns
        component["begins"][plane.zigzag] = begin + np.arange(len(plane.zigzag)) * plane.columns
        component["count"] = len(plane.zigzag) - 1
        component["nonzero"][: len(plane.zigzag) - 1] = np.sort(plane.zigzag)[1:]
        component["dc_codes"], component["ac_codes"] = encoding_table(dc)[:16], encoding_table(ac)
    return components


def last_bytes(writer: NDArray[np.void]) -> bytes:
    """Return the last bits, filled up with ones (F.1.2.3), and EOI."""
    bits, count = int(writer["bits"][0]), int(writer["count"][0])
    missing = -count % 8
    left = ((bits & ((1 << count) - 1)) << missing) | ((1 << missing) - 1)
    return left.to_bytes((count + missing) // 8, "big").replace(b"\xff", b"\xff\x00") + _EOI
