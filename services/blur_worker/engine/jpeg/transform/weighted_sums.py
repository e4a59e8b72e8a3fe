"""The sums that a blur from coefficients to coefficients consists of: a little of many rows at a time.

Indices are unsigned: signed ones would each be tested for whether they count from the end, and not be vectors.
"""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled
from services.blur_worker.engine.jpeg.encode.scan import LARGEST

Four = tuple[np.float32, np.float32, np.float32, np.float32]

VECTOR = 16
"""Rows of sums are as long as a multiple of this: what does not fill a vector would be done number by number."""


@compiled(nrt=False)
def gather(
    source: NDArray[np.float32],
    near: int,
    far: int,
    sign: int,
    count: int,
    parts: NDArray[np.float32],
    part: int,
) -> None:
    """Put one tap where the sums find it: a row of coefficients, or what two of them have in common."""
    one, other, row = np.uint64(near), np.uint64(far), np.uint64(part)
    if sign == 0:
        for index in range(count):
            parts[row, np.uint64(index)] = source[one + np.uint64(index)]
    elif sign > 0:
        for index in range(count):
            parts[row, np.uint64(index)] = source[one + np.uint64(index)] + source[other + np.uint64(index)]
    else:
        for index in range(count):
            parts[row, np.uint64(index)] = source[one + np.uint64(index)] - source[other + np.uint64(index)]


@compiled(inline=True, nrt=False)
def _weights(weights: NDArray[np.float32], which: int, u: int, term: int) -> Four:
    return (
        weights[which, u, term], weights[which, u, term + 1], weights[which, u, term + 2], weights[which, u, term + 3],
    )  # fmt: skip


@compiled(inline=True, nrt=False)
def _sum_of_four(parts: NDArray[np.float32], row: np.uint64, i: np.uint64, weights: Four) -> np.float32:
    return (
        weights[0] * parts[row, i]
        + weights[1] * parts[row + np.uint64(1), i]
        + weights[2] * parts[row + np.uint64(2), i]
        + weights[3] * parts[row + np.uint64(3), i]
    )


@compiled(nrt=False)
def weigh(
    parts: NDArray[np.float32],
    weights: NDArray[np.float32],
    which: int,
    u: int,
    count: int,
    total: NDArray[np.float32],
    at: int,
) -> None:
    """Put sums of rows of parts, each times its weight, into `total` from `at` on.

    Several at a time, or most would be reading and writing `total`.
    """
    terms, begin = weights.shape[2], np.uint64(at)
    term = np.int64(0)
    if terms >= 8:
        first, second = _weights(weights, which, u, 0), _weights(weights, which, u, 4)
        for index in range(count):
            i = np.uint64(index)
            total[begin + i] = _sum_of_four(parts, np.uint64(0), i, first) + _sum_of_four(
                parts, np.uint64(4), i, second
            )
        term = np.int64(8)
    elif terms >= 4:
        first = _weights(weights, which, u, 0)
        for index in range(count):
            i = np.uint64(index)
            total[begin + i] = _sum_of_four(parts, np.uint64(0), i, first)
        term = np.int64(4)
    else:
        for index in range(count):
            total[begin + np.uint64(index)] = 0
    while term + 8 <= terms:
        row = np.uint64(term)
        first, second = _weights(weights, which, u, term), _weights(weights, which, u, term + 4)
        for index in range(count):
            i = np.uint64(index)
            total[begin + i] += _sum_of_four(parts, row, i, first) + _sum_of_four(parts, row + np.uint64(4), i, second)
        term += 8
    if term + 4 <= terms:
        first = _weights(weights, which, u, term)
        for index in range(count):
            i = np.uint64(index)
            total[begin + i] += _sum_of_four(parts, np.uint64(term), i, first)
        term += 4
    if term < terms:
        weight = weights[which, u, term]
        for index in range(count):
            total[begin + np.uint64(index)] += weight * parts[np.uint64(term), np.uint64(index)]


@compiled(nrt=False)
def near_border(
    plane: NDArray[np.float32],
    begin: int,
    window: int,
    kept: int,
    cells: int,
    weights: NDArray[np.float32],
    stencil: int,
    total: NDArray[np.float32],
) -> None:
    """Make the eight coefficients of one block with a stencil of its own."""
    at, which = np.uint64(begin), np.uint64(stencil)
    a = b = c = d = e = f = g = h = np.float32(0)
    for cell in range(window):
        for k in range(kept):
            value = plane[at + np.uint64(k * cells + cell)]
            tap = np.uint64(cell * kept + k)
            # One vector, which a loop would put back into memory each time.
            a += weights[which, tap, np.uint64(0)] * value
            b += weights[which, tap, np.uint64(1)] * value
            c += weights[which, tap, np.uint64(2)] * value
            d += weights[which, tap, np.uint64(3)] * value
            e += weights[which, tap, np.uint64(4)] * value
            f += weights[which, tap, np.uint64(5)] * value
            g += weights[which, tap, np.uint64(6)] * value
            h += weights[which, tap, np.uint64(7)] * value
    total[0], total[1], total[2], total[3], total[4], total[5], total[6], total[7] = a, b, c, d, e, f, g, h


@compiled(nrt=False)
def quantize(
    values: NDArray[np.float32],
    begin: int,
    end: int,
    scale: np.float32,
    out: NDArray[np.int16],
    at: int,
) -> None:
    """Round coefficients, each divided by its divisor, to what has a code."""
    for index in range(begin, end):
        value = values[np.uint64(index)] * scale
        value = min(max(value, np.float32(-LARGEST)), np.float32(LARGEST))
        rounded = np.int16(value + np.float32(0.5) if value > 0 else value - np.float32(0.5))
        out[np.uint64(at) + np.uint64(index)] = rounded
