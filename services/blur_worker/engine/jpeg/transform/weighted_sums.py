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

Two = tuple[Any, Any]


@compiled(inline=True, nrt=False)
def _load(source: NDArray[np.float32], at: int, count: int) -> Any:
    return load(source, at) if count >= VECTOR else load_some(source, at, count)


@compiled(inline=True, nrt=False)
def _add(
    sums: Two, even: Any, odd: Any, weights: NDArray[np.float32], which: np.uint64, tap: np.uint64, u: np.uint64
) -> Two:
    """Add a tap to coefficient `u`, which is even, and to the next one."""
    return (
        sums[0] + even * spread(weights[which, tap, u]),
        sums[1] + odd * spread(weights[which, tap, u + np.uint64(1)]),
    )


@compiled(inline=True, nrt=False)
def _put(sums: Two, u: int, wanted: int, out: NDArray[np.float32], at: int, row: int, count: int) -> None:
    """Put these coefficients, of those that are wanted, where they belong; coefficient 0 is at `at`."""
    if wanted > u:
        _put_one(sums[0], out, at + u * row, count)
    if wanted > u + 1:
        _put_one(sums[1], out, at + (u + 1) * row, count)


@compiled(inline=True, nrt=False)
def _put_one(vector: Any, out: NDArray[Any], at: int, count: int) -> None:
    if count >= VECTOR:
        store(vector, out, at)
    else:
        store_some(vector, out, at, count)


@compiled(nrt=False)
def weigh(
    source: NDArray[np.float32],
    places: NDArray[np.int64],
    stencils: Any,
    which: int,
    wanted: int,
    count: int,
    out: NDArray[np.float32],
    to: int,
    row: int,
) -> None:
    """Make coefficients of many blocks: all coefficients of as many as a vector has, before the next ones.

    So their sums stay in registers, and each tap is read, and folded, once for all of them.

    Args:
        source: What is weighed.
        places: Where the row of numbers of each tap begins in it: the near one, then the far one.
        stencils: A `FoldedStencil`.
        which: One of its stencils.
        wanted: How many coefficients are made.
        count: Numbers of each.
        out: Takes them.
        to: Where coefficient 0 begins.
        row: From there to coefficient 1.
    """
    taps, apart, weights = stencils
    stencil, none = np.uint64(which), spread(np.float32(0))
    for begin in range(0, count, VECTOR):
        # The last ones overlap those before them.
        index = max(0, min(begin, count - VECTOR))
        first = second = third = fourth = (none, none)
        for each in range(len(taps)):
            tap = np.uint64(each)
            even = _load(source, places[np.uint64(2) * tap] + index, count)
            odd = _load(source, places[np.uint64(2) * tap + np.uint64(1)] + index, count)
            if each >= apart:
                sign = taps[tap].sign
                even, odd = even + spread(sign) * odd, even + spread(-sign) * odd
            first = _add(first, even, odd, weights, stencil, tap, np.uint64(0))
            if wanted > 2:
                second = _add(second, even, odd, weights, stencil, tap, np.uint64(2))
            if wanted > 4:
                third = _add(third, even, odd, weights, stencil, tap, np.uint64(4))
                fourth = _add(fourth, even, odd, weights, stencil, tap, np.uint64(6))
        _put(first, 0, wanted, out, to + index, row, count)
        _put(second, 2, wanted, out, to + index, row, count)
        _put(third, 4, wanted, out, to + index, row, count)
        _put(fourth, 6, wanted, out, to + index, row, count)


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
        _put_one(rounded(load(values, at + index), factor, LARGEST), out, to + index, count - index)
