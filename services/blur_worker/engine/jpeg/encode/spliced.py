"""A scan of which some MCUs are encoded, and the bits of all others copied (T.81, F.1.2).

What keeps indices in range: see `scan`; a copied block takes no more bits than one that is encoded.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled
from services.blur_worker.engine.jpeg.decode.bits import peek
from services.blur_worker.engine.jpeg.decode.marked import MarkedScan
from services.blur_worker.engine.jpeg.encode.scan import (
    BIT_WRITER,
    ENCODED_COMPONENT,
    LARGEST,
    Bits,
    append,
    encode_block,
    room_for,
)
from services.blur_worker.engine.jpeg.encode.writer import BLOCKS_AT_ONCE, EncodedPlane, component_records, last_bytes
from services.blur_worker.engine.jpeg.format.markers import UnsupportedJpeg
from services.blur_worker.engine.jpeg.format.result_header import ResultHeader


def splice_jpeg(
    planes: Sequence[EncodedPlane],
    begins: Sequence[int],
    coefficients: NDArray[np.float32],
    scan: MarkedScan,
    anew: NDArray[np.bool_],
    header: ResultHeader,
) -> bytes:
    """Encode the MCUs that are marked in `anew`, copy the others.

    Args:
        planes: Of the result.
        begins: Where the coefficients of each begin.
        coefficients: (rows, 64, columns) of each plane, of which only those of MCUs that are encoded matter.
        scan: What is copied, which has the Huffman tables of the header.
        anew: (rows of MCUs, columns of MCUs). Whatever follows a change of DC coefficients must be encoded too.
        header: Of the result.

    Raises:
        UnsupportedJpeg: A DC coefficient has no code.
    """
    mcu_rows, mcu_columns = anew.shape
    blocks = mcu_columns * sum(plane.h * plane.v for plane in planes)
    at_once = min(mcu_rows, max(1, BLOCKS_AT_ONCE // blocks))
    components = component_records(planes, header, begins)
    components["rows"] = [plane.rows for plane in planes]
    out = np.empty(room_for(at_once * blocks), np.uint8)
    writer = np.zeros(1, BIT_WRITER)
    parts = [header.data]
    for row in range(0, mcu_rows, at_once):
        first, end = row * mcu_columns, min(row + at_once, mcu_rows) * mcu_columns
        if not _splice(
            coefficients,
            components,
            first,
            end,
            mcu_columns,
            anew.reshape(-1),
            scan.data,
            scan.ends,
            scan.preds,
            writer,
            out,
        ):
            raise UnsupportedJpeg("coefficients that have no code")
        parts.append(out[: writer["written"][0]].tobytes())
        writer["written"] = 0
    return b"".join([*parts, last_bytes(writer)])


@compiled(inline=True, nrt=False)
def _copy(data: NDArray[np.uint8], begin: int, end: int, state: Bits, out: NDArray[np.uint8]) -> Bits:
    """Append bits of other entropy-coded data."""
    bits, count, written = state
    position = begin
    while position < end:
        length = min(end - position, 32)
        code = (peek(data, position) >> np.uint64(64 - length)) << np.uint64(8) | np.uint64(length)
        bits, count, written = append(out, bits, count, written, code)
        position += length
    return bits, count, written


@compiled(inline=True, nrt=False)
def _nonzero(coefficients: NDArray[np.float32], component: np.record, at: np.uint64) -> np.uint64:
    """Return which AC coefficients of a block are not 0, as bits."""
    marks = np.uint64(0)
    for k in range(1, 64):
        marks |= np.uint64(coefficients[component.begins[np.uint64(k)] + at] != 0) << np.uint64(k)
    return marks


@compiled(nrt=False)
def _has_code(dc: int) -> bool:
    """Whether a difference to another such DC coefficient has a code (table F.1)."""
    return -LARGEST - 1 <= dc <= LARGEST


@compiled(
    "boolean(float32[::1], Components, int64, int64, int64, boolean[::1], uint8[::1], int64[::1], int64[:, ::1], "
    "Writer, uint8[::1])",
    types={"Components": np.zeros(1, ENCODED_COMPONENT), "Writer": np.zeros(1, BIT_WRITER)},
    nrt=False,
)
def _splice(
    coefficients: NDArray[np.float32],
    components: NDArray[np.void],
    first: int,
    end: int,
    mcu_columns: int,
    anew: NDArray[np.bool_],
    data: NDArray[np.uint8],
    ends: NDArray[np.int64],
    preds: NDArray[np.int64],
    writers: NDArray[np.void],
    out: NDArray[np.uint8],
) -> bool:
    """Write the MCUs from `first` to before `end`; return whether all DC coefficients have a code."""
    writer = writers[0]
    state = (writer.bits, writer.count, writer.written)
    mcu = first
    while mcu < end:
        if not anew[mcu]:
            begin = int(ends[mcu - 1]) if mcu else 0
            while mcu < end and not anew[mcu]:
                mcu += 1
            state = _copy(data, begin, int(ends[mcu - 1]), state, out)
            continue
        row, column = mcu // mcu_columns, mcu % mcu_columns
        for index in range(len(components)):
            component = components[index]
            if mcu and not anew[mcu - 1]:
                component.pred = preds[mcu - 1, index]
                if not _has_code(int(component.pred)):
                    return False
            for v in range(component.v):
                for h in range(component.h):
                    y, x = row * component.v + v, column * component.h + h
                    dc, at, nonzero = component.pred, np.uint64(0), np.uint64(0)
                    if x < component.columns and y < component.rows:
                        at = np.uint64(y * component.row_step + x)
                        dc = np.int64(coefficients[component.begins[0] + at])
                        nonzero = _nonzero(coefficients, component, at)
                        if not _has_code(int(dc)):
                            return False
                    state = encode_block(coefficients, component, dc, at, nonzero, state, out)
        mcu += 1
    writer.bits, writer.count, writer.written = state
    return True
