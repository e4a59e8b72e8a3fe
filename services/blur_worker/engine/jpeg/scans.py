"""Reads the entropy-coded data of sequential scans: blocks of coefficients, of which only what is asked for is kept.

What keeps indices in range: the bytes are followed by `stuffing.PADDING` zeros, a block takes at most 64 × 31 bits,
and after each block the position is compared with the end; table indices are masked or come from ten bits; blocks
outside the component are dropped; where a block goes was computed, and checked, from the frame header.
"""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled
from services.blur_worker.engine.jpeg.huffman import FAR, LIMITS, LOOK, ORDER, STARTS, SYMBOLS
from services.blur_worker.engine.jpeg.refitting import refit_block
from services.blur_worker.engine.jpeg.stuffing import look

OK, ENDS_EARLY, WRONG_CODE, WRONG_RESTART, TOO_MUCH = range(5)
"""What reading a scan comes to."""

# Columns of a component's layout.
HORIZONTAL, VERTICAL, COLUMNS, ROWS, DC, AC, BASE, PER_ROW, PER_COLUMN, RAGGED_RIGHT, RAGGED_BOTTOM = range(11)
LAYOUT = 11
SPARE = 72
"""Numbers behind those of the planes, in which blocks are worked on."""


@compiled(uncounted=True)
def _slow_symbol(tables: NDArray[np.int32], index: int, bits: np.uint64) -> tuple[np.int64, np.int64]:
    """A code of any length: the symbol and how many bits; -1 if there is no such code."""
    entry = np.int64(tables[index, SYMBOLS + np.int64(bits >> np.uint64(64 - LOOK))])
    if entry:
        return entry >> 8, entry & 0xFF
    code = np.int64(bits >> np.uint64(48))
    for length in range(LOOK + 1, 17):
        if code < tables[index, LIMITS + length]:
            place = tables[index, STARTS + length] + (code >> (16 - length))
            return np.int64(tables[index, ORDER + (place & 255)]), np.int64(length)
    return np.int64(-1), np.int64(0)


@compiled(uncounted=True)
def _value(bits: np.uint64, size: np.int64) -> np.int64:
    """The signed number in the first `size` bits, 1 to 15."""
    raw = np.int64(bits >> np.uint64(64 - size))
    return raw if raw >> (size - 1) else np.int64(raw - (1 << size) + 1)


@compiled(inline=True, uncounted=True)
def _read_block(
    data: NDArray[np.uint8],
    bits: np.uint64,
    count: np.uint64,
    at: np.uint64,
    tables: NDArray[np.int32],
    skips: NDArray[np.uint16],
    dc: int,
    ac: int,
    last: np.int64,
    factors: NDArray[np.float32],
    component: int,
    targets: NDArray[np.int64],
    row: int,
    out: NDArray[np.float32],
    base: int,
    spare: int,
    before: np.int64,
) -> tuple[np.uint64, np.uint64, np.uint64, np.int64, int]:
    """Puts a block's coefficients where they are wanted; the reader's state, the DC value, OK or what is wrong.

    Beyond the `last` that is wanted only the end of the block is looked for.

    `count` of the leading `bits` are certain, the others are the next bits too or 0; `at` is the next byte.
    """
    bits |= look(data, at) >> count
    at += (np.uint64(63) - count) >> np.uint64(3)
    count |= np.uint64(56)
    entry = np.int64(tables[dc, np.int64(bits >> np.uint64(64 - LOOK))])
    if entry:
        used = np.uint64(entry & 0xFF)
        before += entry >> 16
    else:
        size, length = _slow_symbol(tables, dc, bits)
        if size < 0:
            return bits, count, at, before, WRONG_CODE
        used = np.uint64(length + size)
        if size:
            before += _value(bits << np.uint64(length), size)
    bits <<= used
    count -= used
    out[np.uint64(base)] = before * factors[component, 0]
    index = np.int64(1)
    # Of 56 bits the tables take at most thirteen at a time; anything else is looked at with all of them.
    fresh = 0
    while index < 64:
        if fresh == 0:
            bits |= look(data, at) >> count
            at += (np.uint64(63) - count) >> np.uint64(3)
            count |= np.uint64(56)
            fresh = 4
        fresh -= 1
        if index > last:
            skip = np.int64(skips[ac, np.int64(bits >> np.uint64(64 - FAR))])
            # What leaves the block belongs to the next one.
            if skip and index + (skip >> 4 & 63) < 64:
                used = np.uint64(skip & 15)
                index += skip >> 4
                bits <<= used
                count -= used
                continue
        entry = np.int64(tables[ac, np.int64(bits >> np.uint64(64 - LOOK))])
        if entry:
            used = np.uint64(entry & 0xFF)
            index += (entry >> 8) & 0xFF
            value = entry >> 16
        else:
            bits |= look(data, at) >> count
            at += (np.uint64(63) - count) >> np.uint64(3)
            count |= np.uint64(56)
            fresh = 0
            symbol, length = _slow_symbol(tables, ac, bits)
            size = symbol & 15
            if symbol < 0 or (size == 0 and symbol not in (0, 0xF0)):
                return bits, count, at, before, WRONG_CODE
            used = np.uint64(length + size)
            index += np.int64(128) if symbol == 0 else symbol >> 4
            value = _value(bits << np.uint64(length), size) if size else np.int64(0)
        bits <<= used
        count -= used
        if index > 63:
            break
        target = targets[np.uint64(row), np.uint64(index)]
        # Without a branch, which would be guessed wrong too often.
        place = base + target if target >= 0 else spare + 71
        out[np.uint64(place)] = value * factors[np.uint64(component), np.uint64(index)]
        index += 1
    # The end of a block takes the index beyond 127; a run that leaves the block does not.
    return bits, count, at, before, OK if index == 64 or index > 127 else TOO_MUCH


@compiled(
    "int64(uint8[::1], int64[::1], int64, int64, int64, int64[:, ::1], int32[:, ::1], uint16[:, ::1], float32[:, ::1],"
    " float32[:, ::1], float32[:, ::1], int64[:, ::1], int64[::1], uint8[::1], int64[::1], float32[::1])",
    uncounted=True,
)
def read_scan(
    data: NDArray[np.uint8],
    bounds: NDArray[np.int64],
    interval: int,
    mcu_rows: int,
    mcu_columns: int,
    layout: NDArray[np.int64],
    tables: NDArray[np.int32],
    skips: NDArray[np.uint16],
    factors: NDArray[np.float32],
    across: NDArray[np.float32],
    down: NDArray[np.float32],
    targets: NDArray[np.int64],
    last: NDArray[np.int64],
    places: NDArray[np.uint8],
    predictions: NDArray[np.int64],
    out: NDArray[np.float32],
) -> int:
    """Reads a sequential scan, and keeps the lowest coefficients of each block.

    Args:
        data: Its bytes as `stuffing.unstuff` left them, then `stuffing.PADDING` zeros.
        bounds: Begin of each piece, and end of the last one.
        interval: Units in each piece; those of the whole scan where there are no restarts.
        mcu_rows: Rows of units; of one block each, if there is a single component.
        mcu_columns: Units in a row.
        layout: A row for each component of the scan.
        tables: DC and AC tables, to which `layout` refers.
        skips: For each of them, if it is one of AC, what is to be skipped: see `skipping_table`.
        factors: For each component what to multiply its coefficients by, in the order of the stream.
        across: For each component (8, 8), row by row: what its last column of blocks is multiplied by, where `layout`
            says so; the last one changes nothing.
        down: The same for the last row.
        targets: For each component where to put each coefficient, in the order of the stream, seen from where the
            block begins; below 0, it is not wanted. The first one is 0. The last row are `ZIGZAG` themselves.
        last: For each row of `targets` the last place in the stream that is wanted.
        places: `ZIGZAG`.
        predictions: Room for a number for each component.
        out: Takes the coefficients, all 0 so far; the last `SPARE` are for blocks under way.

    Returns:
        OK, or what is wrong.
    """
    spare = len(out) - SPARE
    piece, left = 0, 0
    bits, count, at = np.uint64(0), np.uint64(0), np.uint64(0)
    end = np.int64(0)
    for row in range(mcu_rows):
        for column in range(mcu_columns):
            if left == 0:
                if piece and np.int64(at) * 8 - np.int64(count) + 7 < end * 8:
                    return TOO_MUCH
                if piece + 1 >= len(bounds):
                    return WRONG_RESTART
                bits, count, at = np.uint64(0), np.uint64(0), np.uint64(bounds[piece])
                end = bounds[piece + 1]
                for component in range(len(layout)):
                    predictions[component] = 0
                left = interval
                piece += 1
            left -= 1
            for component in range(len(layout)):
                dc, ac = layout[component, DC], layout[component, AC]
                columns, rows = layout[component, COLUMNS], layout[component, ROWS]
                before = predictions[component]
                for down_in in range(layout[component, VERTICAL]):
                    y = row * layout[component, VERTICAL] + down_in
                    for across_in in range(layout[component, HORIZONTAL]):
                        x = column * layout[component, HORIZONTAL] + across_in
                        beyond = y >= rows or x >= columns
                        ragged = (layout[component, RAGGED_RIGHT] and x == columns - 1) or (
                            layout[component, RAGGED_BOTTOM] and y == rows - 1
                        )
                        base = (
                            layout[component, BASE] + y * layout[component, PER_ROW] + x * layout[component, PER_COLUMN]
                        )
                        aside = beyond or ragged
                        kind = len(layout) if aside else component
                        bits, count, at, before, state = _read_block(
                            data, bits, count, at, tables, skips, dc, ac, last[kind], factors, component, targets,
                            kind, out, spare if aside else base, spare, before,
                        )  # fmt: skip
                        if aside:
                            if ragged and not beyond:
                                refit_block(
                                    out, spare,
                                    across, component if x == columns - 1 else len(layout),
                                    down, component if y == rows - 1 else len(layout),
                                    targets, component, places, base,
                                )  # fmt: skip
                            for index in range(SPARE):
                                out[spare + index] = 0
                        if state:
                            return state
                        if np.int64(at) * 8 - np.int64(count) > end * 8:
                            return ENDS_EARLY
                predictions[component] = before
    if np.int64(at) * 8 - np.int64(count) + 7 < end * 8:
        return TOO_MUCH
    return OK if piece + 1 == len(bounds) else WRONG_RESTART
