"""Writes quantized coefficients as the entropy-coded data of a baseline scan.

What keeps indices in range: `room_for` says how many bytes rows may take at most; coefficients are limited to those
that have a code; the rest are sizes of arrays.
"""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled
from services.blur_worker.engine.jpeg.huffman import NEAR

# Columns of a component's layout: blocks of a unit, rows of blocks and blocks in a row, where its arrays begin.
HORIZONTAL, VERTICAL, COLUMNS, ROWS, BASE, KINDS, ORDER = range(7)
# The writer's state between rows.
COUNT, WRITTEN, PREDICTION = range(3)
STATE = PREDICTION + 3

LARGEST = 1023
"""A quantized coefficient beyond has no code."""
_LONGEST_BLOCK = 64 * 26 // 8 * 2 + 16
# Multiplied by this, each power of two has six bits of its own at the top.
_DE_BRUIJN = 0x03F79D71B4CB0A89
_PLACES = np.zeros(64, np.int64)
_PLACES[[(_DE_BRUIJN << power & (1 << 64) - 1) >> 58 for power in range(64)]] = range(64)
_SIZES = np.array([value.bit_length() for value in range(2048)])


def room_for(blocks: int) -> int:
    """Bytes that so many blocks may take at most: 26 bits for each coefficient, each byte stuffed."""
    return blocks * _LONGEST_BLOCK + 64


@compiled(inline=True, uncounted=True)
def _drain(
    out: NDArray[np.uint8], bits: np.uint64, count: np.uint64, written: np.uint64
) -> tuple[np.uint64, np.uint64]:
    """Makes room for 32 bits; `bits` holds the last `count`. How many are left, and where the next byte goes."""
    if count > np.uint64(32):
        word = (bits >> (count - np.uint64(32))) & np.uint64(0xFFFFFFFF)
        # Whether none of four bytes is 0xFF, which a 0 would have to follow.
        if (~word - np.uint64(0x01010101)) & word & np.uint64(0x80808080) == np.uint64(0):
            out[written] = np.uint8(word >> np.uint64(24))
            out[written + np.uint64(1)] = np.uint8((word >> np.uint64(16)) & np.uint64(0xFF))
            out[written + np.uint64(2)] = np.uint8((word >> np.uint64(8)) & np.uint64(0xFF))
            out[written + np.uint64(3)] = np.uint8(word & np.uint64(0xFF))
            written += np.uint64(4)
            count -= np.uint64(32)
        else:
            while count >= np.uint64(8):
                count -= np.uint64(8)
                byte = np.uint8((bits >> count) & np.uint64(0xFF))
                out[written] = byte
                written += np.uint64(1)
                if byte == np.uint8(0xFF):
                    out[written] = np.uint8(0)
                    written += np.uint64(1)
    return count, written


@compiled(uncounted=True)
def _mark(
    coefficients: NDArray[np.int16], begin: np.uint64, count: int, place: int, marks: NDArray[np.uint64], at: np.uint64
) -> None:
    """Marks the blocks in a row that have something at this place."""
    for index in range(count):
        something = np.uint64(coefficients[begin + np.uint64(index)] != 0)
        marks[at + np.uint64(index)] |= something << np.uint64(place)


@compiled(
    "void(int16[::1], int64[:, ::1], uint64[:, ::1], uint64[:, ::1], int64[:, ::1], int64, int64, uint64[::1],"
    " int64[::1], uint64[:, ::1], uint64[::1], uint8[::1])",
    uncounted=True,
)
def write_rows(
    coefficients: NDArray[np.int16],
    layout: NDArray[np.int64],
    dc: NDArray[np.uint64],
    ac: NDArray[np.uint64],
    order: NDArray[np.int64],
    mcu_rows: int,
    mcu_columns: int,
    bits_state: NDArray[np.uint64],
    state: NDArray[np.int64],
    begins: NDArray[np.uint64],
    marks: NDArray[np.uint64],
    out: NDArray[np.uint8],
) -> None:
    """Writes rows of interleaved units.

    Args:
        coefficients: For each component (rows of blocks, kinds, columns of blocks), one after the other.
        layout: A row for each component. Blocks beyond its own are written as flat continuations.
        dc: For each component the codes, see `encoding_table`.
        ac: See `dc`.
        order: For each component (place in the stream, kind) in turn, by place.
        mcu_rows: Rows to write.
        mcu_columns: Units in a row.
        bits_state: Bits not yet written.
        state: COUNT of them, bytes WRITTEN so far, the PREDICTION of each component.
        begins: (components, 64): room for where the coefficients of each place begin.
        marks: Room for as many as there are blocks in a row of units.
        out: Takes the bytes; has room.
    """
    bits, count, written = bits_state[0], np.uint64(state[COUNT]), np.uint64(state[WRITTEN])
    components = len(layout)
    for component in range(components):
        for index in range(layout[component, KINDS]):
            place, kind = order[layout[component, ORDER] + index, 0], order[layout[component, ORDER] + index, 1]
            begins[component, place] = layout[component, BASE] + kind * layout[component, COLUMNS]
    for row in range(mcu_rows):
        marked = 0
        for component in range(components):
            columns, kinds = layout[component, COLUMNS], layout[component, KINDS]
            for inner in range(layout[component, VERTICAL]):
                y = row * layout[component, VERTICAL] + inner
                for index in range(columns):
                    marks[marked + index] = 0
                for index in range(1, kinds if y < layout[component, ROWS] else 0):
                    place = order[layout[component, ORDER] + index, 0]
                    begin = begins[component, place] + np.uint64(y * kinds * columns)
                    _mark(coefficients, begin, columns, place, marks, np.uint64(marked))
                marked += columns
        for column in range(mcu_columns):
            marked = 0
            for component in range(components):
                columns, rows, kinds = (
                    layout[component, COLUMNS],
                    layout[component, ROWS],
                    layout[component, KINDS],
                )
                across, down = layout[component, HORIZONTAL], layout[component, VERTICAL]
                prediction = state[PREDICTION + component]
                for line in range(down):
                    y = row * down + line
                    for inner in range(across):
                        x = column * across + inner
                        difference, left, offset = np.int64(0), np.uint64(0), np.uint64(0)
                        if x < columns and y < rows:
                            offset = np.uint64(y * kinds * columns + x)
                            value = np.int64(coefficients[np.uint64(layout[component, BASE]) + offset])
                            difference = value - prediction
                            prediction = value
                            left = marks[np.uint64(marked + x)]
                        count, written = _drain(out, bits, count, written)
                        size = np.uint64(_SIZES[abs(difference)])
                        code = dc[component, size]
                        bits = (bits << (code & np.uint64(0xFF))) | (code >> np.uint64(8))
                        low = np.uint64(difference + (difference >> 63)) & ((np.uint64(1) << size) - np.uint64(1))
                        bits = (bits << size) | low
                        count += (code & np.uint64(0xFF)) + size
                        before = np.uint64(0)
                        while left:
                            lowest = left & (~left + np.uint64(1))
                            left ^= lowest
                            place = np.uint64(_PLACES[(lowest * np.uint64(_DE_BRUIJN)) >> np.uint64(58)])
                            run = place - before - np.uint64(1)
                            before = place
                            value = np.int64(coefficients[begins[np.uint64(component), place] + offset])
                            count, written = _drain(out, bits, count, written)
                            while run > np.uint64(15):
                                code = ac[component, 0xF0]
                                bits = (bits << (code & np.uint64(0xFF))) | (code >> np.uint64(8))
                                count += code & np.uint64(0xFF)
                                count, written = _drain(out, bits, count, written)
                                run -= np.uint64(16)
                            if -NEAR <= value < NEAR:
                                # Symbol and value in one.
                                code = ac[
                                    component, np.uint64(256) + run * np.uint64(2 * NEAR) + np.uint64(value + NEAR)
                                ]
                                bits = (bits << (code & np.uint64(0xFF))) | (code >> np.uint64(8))
                                count += code & np.uint64(0xFF)
                            else:
                                size = np.uint64(_SIZES[abs(value)])
                                code = ac[component, (run << np.uint64(4)) | size]
                                low = np.uint64(value + (value >> 63)) & ((np.uint64(1) << size) - np.uint64(1))
                                bits = (bits << (code & np.uint64(0xFF))) | (code >> np.uint64(8))
                                bits = (bits << size) | low
                                count += (code & np.uint64(0xFF)) + size
                        if before < np.uint64(63):
                            count, written = _drain(out, bits, count, written)
                            code = ac[component, 0]
                            bits = (bits << (code & np.uint64(0xFF))) | (code >> np.uint64(8))
                            count += code & np.uint64(0xFF)
                    marked += columns
                state[PREDICTION + component] = prediction
    bits_state[0] = bits
    state[COUNT] = np.int64(count)
    state[WRITTEN] = np.int64(written)
