"""The sums that a blur from coefficients to coefficients consists of: a vector of many rows at a time.

Indices of numbers are unsigned: signed ones would each be tested for whether they count from the end.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled
from services.blur_worker.engine.jpeg.encode.scan import LARGEST
from services.blur_worker.engine.jpeg.vectors import (
    SHORT,
    VECTOR,
    load,
    load_short,
    load_some,
    rounded,
    spread,
    spread_short,
    store,
    store_some,
)

Four = tuple[Any, Any, Any, Any]


@compiled(inline=True, nrt=False)
def _load(source: NDArray[np.float32], at: int, count: int) -> Any:
    return load(source, at) if count >= VECTOR else load_some(source, at, count)


@compiled(nrt=False)
def copy(source: NDArray[np.float32], at: int, count: int, parts: NDArray[np.float32], to: int) -> None:
    """Put a row of coefficients where the sums find it, as a multiple of VECTOR."""
    for index in range(0, count, VECTOR):
        store(_load(source, at + index, count - index), parts, to + index)


@compiled(nrt=False)
def fold(
    source: NDArray[np.float32], near: int, far: int, count: int, parts: NDArray[np.float32], added: int, taken: int
) -> None:
    """Put the sum and the difference of two rows where the sums find them, each as a multiple of VECTOR."""
    minus = spread(np.float32(-1))
    for index in range(0, count, VECTOR):
        one, other = _load(source, near + index, count - index), _load(source, far + index, count - index)
        store(one + other, parts, added + index)
        store(one + minus * other, parts, taken + index)


@compiled(inline=True, nrt=False)
def _weights(weights: NDArray[np.float32], which: int, u: int, term: int) -> Four:
    one, row, at = np.uint64(which), np.uint64(u), np.uint64(term)
    return (
        spread(weights[one, row, at]),
        spread(weights[one, row, at + np.uint64(1)]),
        spread(weights[one, row, at + np.uint64(2)]),
        spread(weights[one, row, at + np.uint64(3)]),
    )


@compiled(inline=True, nrt=False)
def _sum_of_four(parts: NDArray[np.float32], at: int, length: int, weights: Four) -> Any:
    return (
        weights[0] * load(parts, at)
        + weights[1] * load(parts, at + length)
        + weights[2] * load(parts, at + 2 * length)
        + weights[3] * load(parts, at + 3 * length)
    )


@compiled(inline=True, nrt=False)
def _put(vector: Any, out: NDArray[Any], at: int, count: int) -> None:
    if count >= VECTOR:
        store(vector, out, at)
    else:
        store_some(vector, out, at, count)


@compiled(nrt=False)
def weigh(
    parts: NDArray[np.float32],
    begin: int,
    length: int,
    weights: NDArray[np.float32],
    which: int,
    coefficients: range,
    count: int,
    out: NDArray[np.float32],
    to: int,
    row: int,
) -> None:
    """Make coefficients of the same parity: sums of rows of parts, each of `length` and times its weight.

    Several parts at a time, or most would be reading and writing sums.

    Args:
        parts: What is weighed.
        begin: Where the first part of this parity begins.
        length: From one part to the next.
        weights: Of a `FoldedStencil`.
        which: A stencil.
        coefficients: Of the result.
        count: Numbers of each.
        out: Takes them.
        to: Where coefficient 0 begins.
        row: From there to coefficient 1.
    """
    terms = weights.shape[2]
    for u in coefficients:
        at, term = to + u * row, np.int64(0)
        while term < terms:
            part, taken = begin + term * length, np.int64(4 if terms - term >= 4 else 1)
            first = second = _weights(weights, which, u, term if taken == 4 else 0)
            ninth = spread(weights[np.uint64(which), np.uint64(u), np.uint64(terms - 1)])
            if terms - term >= 8:
                second, taken = _weights(weights, which, u, term + 4), np.int64(9 if terms - term == 9 else 8)
            for index in range(0, count, VECTOR):
                sums = load_some(out, at + index, count - index) if term else spread(np.float32(0))
                if taken >= 8:
                    sums = sums + (
                        _sum_of_four(parts, part + index, length, first)
                        + _sum_of_four(parts, part + 4 * length + index, length, second)
                    )
                elif taken == 4:
                    sums = sums + _sum_of_four(parts, part + index, length, first)
                if taken % 4 == 1:
                    sums = sums + ninth * load(parts, part + (taken - 1) * length + index)
                _put(sums, out, at + index, count - index)
            term += taken


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
    sums = spread_short(np.float32(0))
    at = stencil * window * kept * SHORT
    for cell in range(window):
        for k in range(kept):
            value = plane[np.uint64(begin + k * cells + cell)]
            sums = sums + load_short(weights, at) * spread_short(value)
            at += SHORT
    store(sums, total, np.int64(0))


@compiled(nrt=False)
def quantize(
    values: NDArray[np.float32], at: int, count: int, scale: np.float32, out: NDArray[np.int16], to: int
) -> None:
    """Round coefficients, each divided by its divisor, to what has a code."""
    factor = spread(scale)
    for index in range(0, count, VECTOR):
        _put(rounded(load(values, at + index) * factor, LARGEST), out, to + index, count - index)
