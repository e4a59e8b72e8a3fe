"""Writes quantized coefficients as the entropy-coded data of a baseline scan.

What keeps indices in range: `room_for` says how many bytes rows may take at most; coefficients are limited to those
that have a code; the rest are sizes of arrays.
"""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled

# Columns of a component's layout: blocks of a unit, blocks in a row, which tables, where its arrays begin.
HORIZONTAL, VERTICAL, COLUMNS, ROWS, DC, AC, BASE, KINDS, ORDER = range(9)
LAYOUT = 9
# The writer's state between rows.
BITS, COUNT, WRITTEN, PREDICTION = range(4)
STATE = PREDICTION + 3

_LONGEST_BLOCK = 64 * 26 // 8 * 2 + 16


def room_for(blocks: int) -> int:
    """Bytes that so many blocks may take at most: 26 bits for each coefficient, each byte stuffed."""
    return blocks * _LONGEST_BLOCK + 64


@compiled()
def _flush(out: NDArray[np.uint8], bits: np.uint64, count: np.uint64, written: np.int64) -> tuple[np.uint64, np.int64]:
    """Writes all whole bytes; `bits` holds the last `count` bits. What is left, and where the next byte goes."""
    while count >= np.uint64(8):
        count -= np.uint64(8)
        byte = np.uint8((bits >> count) & np.uint64(0xFF))
        out[written] = byte
        written += 1
        if byte == np.uint8(0xFF):
            out[written] = 0
            written += 1
    return count, written


@compiled()
def _size(value: np.int64) -> int:
    """How many bits a number needs, without its sign."""
    left, size = abs(value), 0
    while left:
        left >>= 1
        size += 1
    return size


@compiled(
    "void(int16[::1], int64[:, ::1], uint32[:, ::1], int64[:, ::1], int64, int64, uint64[::1], int64[::1], uint8[::1])"
)
def write_rows(
    coefficients: NDArray[np.int16],
    layout: NDArray[np.int64],
    tables: NDArray[np.uint32],
    order: NDArray[np.int64],
    mcu_rows: int,
    mcu_columns: int,
    bits_state: NDArray[np.uint64],
    state: NDArray[np.int64],
    out: NDArray[np.uint8],
) -> None:
    """Writes rows of interleaved units.

    Args:
        coefficients: For each component (rows of blocks, kinds, columns of blocks), one after the other.
        layout: A row for each component. Blocks beyond its own are written as flat continuations.
        tables: As `encoding_table` gives them.
        order: For each component (kinds, place in the stream and kind) in turn, by place.
        mcu_rows: Rows to write.
        mcu_columns: Units in a row.
        bits_state: Bits not yet written.
        state: COUNT of them, bytes WRITTEN so far, the PREDICTION of each component.
        out: Takes the bytes; has room.
    """
    bits, count, written = bits_state[0], np.uint64(state[COUNT]), state[WRITTEN]
    seen = np.zeros((len(layout), 4, 64, 2), np.int64)
    seen_count = np.zeros((len(layout), 4), np.int64)
    for row in range(mcu_rows):
        # Most kinds are 0 in the whole row of a blurred picture.
        for component in range(len(layout)):
            place = layout[component]
            for inner in range(place[VERTICAL]):
                y = min(row * place[VERTICAL] + inner, place[ROWS] - 1)
                used = 0
                for index in range(1, place[KINDS]):
                    kind = order[place[ORDER] + index, 1]
                    base = place[BASE] + (y * place[KINDS] + kind) * place[COLUMNS]
                    any_bits = np.int16(0)
                    for value in coefficients[base : base + place[COLUMNS]]:
                        any_bits |= value
                    if any_bits:
                        seen[component, inner, used, 0] = order[place[ORDER] + index, 0]
                        seen[component, inner, used, 1] = base
                        used += 1
                seen_count[component, inner] = used
        for column in range(mcu_columns):
            for component in range(len(layout)):
                place = layout[component]
                dc, ac = tables[place[DC]], tables[place[AC]]
                for inner in range(place[HORIZONTAL] * place[VERTICAL]):
                    across = column * place[HORIZONTAL] + inner % place[HORIZONTAL]
                    line = inner // place[HORIZONTAL]
                    y = row * place[VERTICAL] + line
                    beyond = across >= place[COLUMNS] or y >= place[ROWS]
                    difference = np.int64(0)
                    if not beyond:
                        value = np.int64(coefficients[place[BASE] + y * place[KINDS] * place[COLUMNS] + across])
                        difference = value - state[PREDICTION + component]
                        state[PREDICTION + component] = value
                    size = _size(difference)
                    code = dc[size]
                    low = np.uint64(difference if difference >= 0 else difference + (1 << size) - 1)
                    bits = (bits << np.uint64(code & 0xFF)) | np.uint64(code >> 8)
                    bits = (bits << np.uint64(size)) | low
                    count += np.uint64(code & 0xFF) + np.uint64(size)
                    before = 0
                    if not beyond:
                        for index in range(seen_count[component, line]):
                            value = np.int64(coefficients[seen[component, line, index, 1] + across])
                            if value == 0:
                                continue
                            at = seen[component, line, index, 0]
                            run = at - before - 1
                            before = at
                            if count > np.uint64(16):
                                count, written = _flush(out, bits, count, written)
                            while run > 15:
                                code = ac[0xF0]
                                bits = (bits << np.uint64(code & 0xFF)) | np.uint64(code >> 8)
                                count += np.uint64(code & 0xFF)
                                if count > np.uint64(16):
                                    count, written = _flush(out, bits, count, written)
                                run -= 16
                            size = _size(value)
                            code = ac[run << 4 | size]
                            low = np.uint64(value if value >= 0 else value + (1 << size) - 1)
                            bits = (bits << np.uint64(code & 0xFF)) | np.uint64(code >> 8)
                            bits = (bits << np.uint64(size)) | low
                            count += np.uint64(code & 0xFF) + np.uint64(size)
                    if before < 63:
                        code = ac[0]
                        bits = (bits << np.uint64(code & 0xFF)) | np.uint64(code >> 8)
                        count += np.uint64(code & 0xFF)
                    if count > np.uint64(16):
                        count, written = _flush(out, bits, count, written)
    bits_state[0] = bits
    state[COUNT] = np.int64(count)
    state[WRITTEN] = written
