"""The sums that a blur from coefficients to coefficients consists of: a little of many rows at a time.

Indices are unsigned: signed ones would each be looked at for whether they count from the end, and not be vectors.
"""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled
from services.blur_worker.engine.jpeg.entropy import LARGEST

VECTOR = 16
"""Rows of sums are as long as a multiple of this: what does not fill a vector would be done number by number."""


@compiled(uncounted=True)
def gather(
    source: NDArray[np.float32],
    near: np.uint64,
    far: np.uint64,
    sign: int,
    count: int,
    parts: NDArray[np.float32],
    part: np.uint64,
) -> None:
    """Puts one part where the sums find it: a row of coefficients, or what two of them have in common."""
    if sign == 0:
        for index in range(count):
            parts[part, np.uint64(index)] = source[near + np.uint64(index)]
    elif sign > 0:
        for index in range(count):
            parts[part, np.uint64(index)] = source[near + np.uint64(index)] + source[far + np.uint64(index)]
    else:
        for index in range(count):
            parts[part, np.uint64(index)] = source[near + np.uint64(index)] - source[far + np.uint64(index)]


@compiled(uncounted=True)
def weigh(
    parts: NDArray[np.float32], weights: NDArray[np.float32], which: int, u: int, count: int, total: NDArray[np.float32]
) -> None:
    """Adds up rows of parts, each times its weight; several at a time, or most would be reading and writing `total`."""
    for index in range(count):
        total[np.uint64(index)] = 0
    terms = weights.shape[2]
    term = 0
    while term + 8 <= terms:
        r = np.uint64(term)
        a, b, c, d = (
            weights[which, u, term],
            weights[which, u, term + 1],
            weights[which, u, term + 2],
            weights[which, u, term + 3],
        )
        e, f, g, h = (
            weights[which, u, term + 4],
            weights[which, u, term + 5],
            weights[which, u, term + 6],
            weights[which, u, term + 7],
        )
        for index in range(count):
            i = np.uint64(index)
            total[i] += (
                a * parts[r, i]
                + b * parts[r + np.uint64(1), i]
                + c * parts[r + np.uint64(2), i]
                + d * parts[r + np.uint64(3), i]
            ) + (
                e * parts[r + np.uint64(4), i]
                + f * parts[r + np.uint64(5), i]
                + g * parts[r + np.uint64(6), i]
                + h * parts[r + np.uint64(7), i]
            )
        term += 8
    if term + 4 <= terms:
        r = np.uint64(term)
        a, b, c, d = (
            weights[which, u, term],
            weights[which, u, term + 1],
            weights[which, u, term + 2],
            weights[which, u, term + 3],
        )
        for index in range(count):
            i = np.uint64(index)
            total[i] += (
                a * parts[r, i]
                + b * parts[r + np.uint64(1), i]
                + c * parts[r + np.uint64(2), i]
                + d * parts[r + np.uint64(3), i]
            )
        term += 4
    if term < terms:
        a = weights[which, u, term]
        for index in range(count):
            total[np.uint64(index)] += a * parts[np.uint64(term), np.uint64(index)]


@compiled(uncounted=True)
def near_border(
    plane: NDArray[np.float32],
    at: np.uint64,
    window: int,
    kept: int,
    cells: int,
    stencils: NDArray[np.float32],
    which: np.uint64,
    total: NDArray[np.float32],
) -> None:
    """Makes the eight coefficients of one block with a stencil of its own."""
    a = b = c = d = e = f = g = h = np.float32(0)
    for cell in range(window):
        for k in range(kept):
            value = plane[at + np.uint64(k * cells + cell)]
            tap = np.uint64(cell * kept + k)
            # One vector, which a loop would put back into memory each time.
            a += stencils[which, tap, np.uint64(0)] * value
            b += stencils[which, tap, np.uint64(1)] * value
            c += stencils[which, tap, np.uint64(2)] * value
            d += stencils[which, tap, np.uint64(3)] * value
            e += stencils[which, tap, np.uint64(4)] * value
            f += stencils[which, tap, np.uint64(5)] * value
            g += stencils[which, tap, np.uint64(6)] * value
            h += stencils[which, tap, np.uint64(7)] * value
    total[0], total[1], total[2], total[3], total[4], total[5], total[6], total[7] = a, b, c, d, e, f, g, h


@compiled(uncounted=True)
def quantize(
    values: NDArray[np.float32], begin: int, end: int, scale: np.float32, out: NDArray[np.int16], at: np.uint64
) -> None:
    """Rounds coefficients, each divided by its divisor, to what has a code."""
    for index in range(begin, end):
        value = values[np.uint64(index)] * scale
        value = min(max(value, np.float32(-LARGEST)), np.float32(LARGEST))
        out[at + np.uint64(index)] = np.int16(value + np.float32(0.5) if value > 0 else value - np.float32(0.5))
