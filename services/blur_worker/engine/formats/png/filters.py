"""PNG's filters: each row as its differences from the bytes to the left and above, which are small where it is smooth.

Rows are bytes; `step` is the number of bytes of a whole pixel. Source: PNG specification, third edition, clause 9.
"""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled

Rows = NDArray[np.uint8]
SUB, UP, AVERAGE, PAETH = 1, 2, 3, 4


@compiled()
def _apply_all_filters(above: Rows, row: Rows, step: int, out: Rows) -> None:
    for at in range(len(row)):
        out[UP, at] = row[at] - above[at]
    for at in range(min(step, len(row))):
        out[SUB, at] = row[at]
        out[AVERAGE, at] = row[at] - (above[at] >> 1)
        out[PAETH, at] = row[at] - above[at]
    own, left, up, corner = row[step:], row[:-step], above[step:], above[:-step]
    sub, average, paeth = out[SUB, step:], out[AVERAGE, step:], out[PAETH, step:]
    # One loop for each, so that the compiler vectorises each.
    for at in range(len(own)):
        sub[at] = own[at] - left[at]
    for at in range(len(own)):
        average[at] = own[at] - np.uint8((np.int16(left[at]) + np.int16(up[at])) >> 1)
    for at in range(len(own)):
        a, b, c = np.int16(left[at]), np.int16(up[at]), np.int16(corner[at])
        distance_a, distance_b, distance_c = abs(b - c), abs(a - c), abs(a + b - c - c)
        nearest = b if distance_b <= distance_c else c
        nearest = a if distance_a <= distance_b and distance_a <= distance_c else nearest
        paeth[at] = own[at] - np.uint8(nearest)


@compiled("void(u1[::1], u1[:, ::1], i8, u1[:, ::1])")
def filter_rows(above: Rows, rows: Rows, step: int, out: Rows) -> None:
    """Filter each row by the filter that leaves the smallest sum of absolute differences.

    Args:
        above: Shape (length,): the row above the first one, zeros for the first row of the image.
        rows: Shape (count, length).
        step: Bytes of a pixel.
        out: Shape (count, 1 + length): the filter types and the differences.
    """
    length = rows.shape[1]
    differences = np.empty((5, length), np.uint8)
    for index in range(len(rows)):
        _apply_all_filters(above, rows[index], step, differences)
        best, least = SUB, np.int64(1) << 60
        for filter_type in range(SUB, PAETH + 1):
            total = np.int64(0)
            candidate = differences[filter_type]
            for at in range(length):
                total += abs(np.int32(np.int8(candidate[at])))
            if total < least:
                best, least = filter_type, total
        out[index, 0] = best
        for at in range(length):
            out[index, 1 + at] = differences[best, at]
        above = rows[index]


@compiled()
def _paeth_predictor(a: np.int64, b: np.int64, c: np.int64) -> np.int64:
    """Return the Paeth predictor: of left (a), above (b) and upper left (c) the nearest to a + b - c.

    Selected by masks: branches would be mispredicted half the time.
    """
    to_a, to_b = b - c, a - c
    to_c = abs(to_a + to_b)
    to_a, to_b = abs(to_a), abs(to_b)
    nearest = c ^ ((b ^ c) & -np.int64(to_b <= to_c))
    return nearest ^ ((nearest ^ a) & -np.int64(to_a <= min(to_b, to_c)))


# Each pixel depends on the one before. Where that pays, all channels are in one loop, so that the processor works on
# them in parallel. Indices are unsigned, so that numba adds no check for negative ones.


@compiled()
def _undo_sub(row: Rows, step: int, out: Rows) -> None:
    for channel in range(step):
        out[channel] = row[channel]
        value = np.int64(out[channel])
        for at in range(np.uint64(channel + step), np.uint64(len(row)), np.uint64(step)):
            value += row[at]
            out[at] = value


@compiled()
def _undo_average(above: Rows, row: Rows, step: int, out: Rows) -> None:
    for channel in range(step):
        value = np.int64(0)
        for at in range(np.uint64(channel), np.uint64(len(row)), np.uint64(step)):
            value = (row[at] + ((value + above[at]) >> 1)) & 255
            out[at] = value


@compiled()
def _undo_paeth_of_three(above: Rows, row: Rows, out: Rows) -> None:
    a0, a1, a2 = np.int64(0), np.int64(0), np.int64(0)
    c0, c1, c2 = a0, a1, a2
    for pixel in range(np.uint64(len(row) // 3)):
        at0 = pixel * np.uint64(3)
        at1, at2 = at0 + np.uint64(1), at0 + np.uint64(2)
        b0, b1, b2 = np.int64(above[at0]), np.int64(above[at1]), np.int64(above[at2])
        a0 = (np.int64(row[at0]) + _paeth_predictor(a0, b0, c0)) & 255
        a1 = (np.int64(row[at1]) + _paeth_predictor(a1, b1, c1)) & 255
        a2 = (np.int64(row[at2]) + _paeth_predictor(a2, b2, c2)) & 255
        out[at0], out[at1], out[at2] = a0, a1, a2
        c0, c1, c2 = b0, b1, b2


@compiled()
def _undo_paeth_of_four(above: Rows, row: Rows, out: Rows) -> None:
    a0, a1, a2, a3 = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    c0, c1, c2, c3 = a0, a1, a2, a3
    for pixel in range(np.uint64(len(row) // 4)):
        at0 = pixel * np.uint64(4)
        at1, at2, at3 = at0 + np.uint64(1), at0 + np.uint64(2), at0 + np.uint64(3)
        b0, b1, b2, b3 = np.int64(above[at0]), np.int64(above[at1]), np.int64(above[at2]), np.int64(above[at3])
        a0 = (np.int64(row[at0]) + _paeth_predictor(a0, b0, c0)) & 255
        a1 = (np.int64(row[at1]) + _paeth_predictor(a1, b1, c1)) & 255
        a2 = (np.int64(row[at2]) + _paeth_predictor(a2, b2, c2)) & 255
        a3 = (np.int64(row[at3]) + _paeth_predictor(a3, b3, c3)) & 255
        out[at0], out[at1], out[at2], out[at3] = a0, a1, a2, a3
        c0, c1, c2, c3 = b0, b1, b2, b3


@compiled()
def _undo_paeth(above: Rows, row: Rows, step: int, out: Rows) -> None:
    if step == 3:
        _undo_paeth_of_three(above, row, out)
        return
    if step == 4:
        _undo_paeth_of_four(above, row, out)
        return
    for channel in range(step):
        a, c = np.int64(0), np.int64(0)
        for at in range(np.uint64(channel), np.uint64(len(row)), np.uint64(step)):
            b = np.int64(above[at])
            a = (np.int64(row[at]) + _paeth_predictor(a, b, c)) & 255
            c = b
            out[at] = a


@compiled("b1(u1[::1], u1[:, ::1], i8, u1[:, ::1])")
def unfilter_rows(above: Rows, filtered: Rows, step: int, out: Rows) -> bool:
    """Undo the filters of consecutive rows; return False if one has an unknown filter type.

    Args:
        above: Shape (length,): the row above the first one, zeros for the first row of the image.
        filtered: Shape (count, 1 + length), length at least `step`.
        step: Bytes of a pixel.
        out: Shape (count, length).
    """
    for index in range(len(filtered)):
        filter_type, row, done = filtered[index, 0], filtered[index, 1:], out[index]
        if filter_type > PAETH:
            return False
        if filter_type == SUB:
            _undo_sub(row, step, done)
        elif filter_type == AVERAGE:
            _undo_average(above, row, step, done)
        elif filter_type == PAETH:
            _undo_paeth(above, row, step, done)
        elif filter_type == UP:
            for at in range(len(row)):
                done[at] = row[at] + above[at]
        else:
            for at in range(len(row)):
                done[at] = row[at]
        above = done
    return True
