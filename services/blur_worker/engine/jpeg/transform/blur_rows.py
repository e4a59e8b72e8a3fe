"""The compiled blur: from coefficients of the original to those of the result, some rows of blocks at a time.

What keeps indices in range: all sizes come from `AxisGaussian`, whose windows lie within its cells, and from arrays
that are made for it.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled
from services.blur_worker.engine.jpeg.transform.dct_gaussian import AxisGaussian, axis_gaussian
from services.blur_worker.engine.jpeg.transform.weighted_sums import near_border, quantize, weigh
from services.blur_worker.engine.jpeg.vectors import VECTOR

_LINE = 64
"""Bytes of a line of the processor's cache."""
_TILE = 512
"""Numbers of a row that are worked on at a time: what belongs together is to stay in the processor's first cache."""


class Buffers(NamedTuple):
    """What is kept from one call to the next."""

    done: NDArray[np.int64]
    """(1,): how many rows of cells have been blurred across."""
    ring: NDArray[np.float32]
    """(window down, kept down, most coefficients wanted across, blocks in whole vectors), flat: the last of those."""
    places: NDArray[np.int64]
    """(taps, 2), flat: where the numbers of each tap begin."""
    sums: NDArray[np.float32]
    """(8, numbers in whole vectors), flat."""


def buffers(x: AxisGaussian, y: AxisGaussian, wanted: int) -> Buffers:
    """Make room for a blur of which so many coefficients are wanted across."""
    row = _in_vectors(len(x.starts))
    length = max(_in_vectors(x.cells), min(_TILE, row))
    stencils = x.inner_stencils, y.inner_stencils, y.border_stencils
    places = np.zeros(2 * max(len(each.taps) for each in stencils), np.int64)
    ring = _aligned(y.window * y.kept * wanted * row)
    return Buffers(np.zeros(1, np.int64), ring, places, _aligned(8 * length))


def _in_vectors(count: int) -> int:
    return -(-count // VECTOR) * VECTOR


def _aligned(count: int) -> NDArray[np.float32]:
    """So many zeros from the beginning of a cache line on: a vector across two lines takes twice as long."""
    room = np.zeros(count + _LINE // 4, np.float32)
    begin = -room.ctypes.data % _LINE // 4
    return room[begin : begin + count]


def unnamed(fields: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the same without names: numba takes a hundred times as long to see the type of a named tuple."""
    return tuple(unnamed(each) if isinstance(each, tuple) else each for each in fields)


@compiled(nrt=False)
def _blur_across(
    plane: NDArray[np.float32],
    row: int,
    x: AxisGaussian,
    places: NDArray[np.int64],
    sums: NDArray[np.float32],
    out: NDArray[np.float32],
    out_at: int,
    out_row: int,
    wanted: int,
) -> None:
    """Blur one row (kept, cells) along itself into (coefficients, blocks), of which rows are `out_row` apart."""
    taps, _, _ = x.inner_stencils
    begin, length, inner = row * x.kept * x.cells, len(sums) // 8, x.inner * x.together
    for index in range(len(taps)):
        tap = taps[index]
        places[2 * index] = begin + x.start + tap.near_k * x.cells + tap.near
        places[2 * index + 1] = begin + x.start + tap.far_k * x.cells + tap.far
    if x.together == 1:
        weigh(plane, places, x.inner_stencils, np.int64(0), wanted, x.inner, out, out_at + x.first, out_row)
    for phase in range(x.together if x.together > 1 else 0):
        weigh(plane, places, x.inner_stencils, phase, wanted, x.inner, sums, np.int64(0), length)
        for u in range(wanted):
            for index in range(x.inner):
                at = out_at + x.first + u * out_row + phase + index * x.together
                out[np.uint64(at)] = sums[np.uint64(u * length + index)]
    for index in range(len(x.starts) - inner):
        block = index if index < x.first else index + inner
        at = begin + x.starts[block]
        near_border(plane, at, x.window, x.kept, x.cells, x.border_weights, x.which[block], sums)
        for u in range(wanted):
            out[np.uint64(out_at + u * out_row + block)] = sums[np.uint64(u)]


_AXIS = axis_gaussian(8, 1.0)
_EXAMPLES = {"Axis": unnamed(_AXIS), "Buffers": unnamed(buffers(_AXIS, _AXIS, 1))}


@compiled(
    "void(float32[::1], Axis, Axis, Buffers, int64[::1], float32[:, ::1], int64, int64, int16[::1], float32[::1])",
    types=_EXAMPLES,
    nrt=False,
)
def blur_rows(
    plane: NDArray[np.float32],
    x_fields: tuple[Any, ...],
    y_fields: tuple[Any, ...],
    buffers: tuple[Any, ...],
    widths: NDArray[np.int64],
    scales: NDArray[np.float32],
    begin: int,
    end: int,
    quantized: NDArray[np.int16],
    exact: NDArray[np.float32],
) -> None:
    """Make the rows of blocks from `begin` to before `end`, which follow those made before.

    Args:
        plane: (cells down × kept down, kept across, cells across), flat: coefficients of the original.
        x_fields: The blur along rows: an `AxisGaussian`, unnamed.
        y_fields: The blur along columns.
        buffers: Those for it, unnamed.
        widths: How many coefficients are wanted across, for each down.
        scales: (8, 8): what a coefficient is multiplied by before it is rounded.
        begin: A row of blocks of the result.
        end: Likewise.
        quantized: (end - begin, coefficients, blocks), flat: the result.
        exact: The same before rounding, or empty.
    """
    x, y = AxisGaussian(*x_fields), AxisGaussian(*y_fields)
    done, ring, places, sums = buffers
    wanted = coefficients = np.int64(0)
    for v in range(len(widths)):
        wanted = max(wanted, widths[v])
        coefficients += widths[v]
    blocks, length = len(x.starts), len(sums) // 8
    ring_row = -(-blocks // VECTOR) * VECTOR
    for row in range(begin, end):
        start = y.starts[row]
        while done[0] < start + y.window:
            for v in range(y.kept):
                at = ((done[0] % y.window) * y.kept + v) * wanted * ring_row
                _blur_across(plane, done[0] * y.kept + v, x, places, sums, ring, at, ring_row, wanted)
            done[0] += 1
        inner = y.first <= row < y.first + y.inner * y.together
        which = (row - y.first) % y.together if inner else y.which[row]
        stencils = y.inner_stencils if inner else y.border_stencils
        taps, _, _ = stencils
        oldest = start % y.window
        for u in range(wanted):
            # Of the rows of the result's blocks those that want this coefficient.
            needed = np.int64(0)
            for v in range(len(widths)):
                needed = v + 1 if widths[v] > u else needed
            for tile in range(0, blocks, _TILE):
                count = min(_TILE, blocks - tile)
                for index in range(len(taps)):
                    tap = taps[index]
                    near, far = oldest + tap.near, oldest + tap.far
                    near -= y.window if near >= y.window else 0
                    far -= y.window if far >= y.window else 0
                    places[2 * index] = ((near * y.kept + tap.near_k) * wanted + u) * ring_row + tile
                    places[2 * index + 1] = ((far * y.kept + tap.far_k) * wanted + u) * ring_row + tile
                # Behind the last block there is room for a whole vector.
                whole = -(-count // VECTOR) * VECTOR
                weigh(ring, places, stencils, which, needed, whole, sums, np.int64(0), length)
                at = (row - begin) * coefficients * blocks + u * blocks + tile
                for v in range(needed):
                    if u < widths[v]:
                        quantize(sums, v * length, count, scales[v, u], quantized, at)
                        for index in range(count if exact.size else 0):
                            exact[at + index] = sums[v * length + index]
                    at += widths[v] * blocks
