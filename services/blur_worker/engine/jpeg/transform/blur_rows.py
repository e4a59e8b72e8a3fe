"""The compiled blur: from coefficients of the original to those of the result, some rows of blocks at a time.

What keeps indices in range: all sizes come from `AxisGaussian`, whose windows lie within its cells, and from arrays
that are made for it.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled
from services.blur_worker.engine.jpeg.transform.dct_gaussian import AxisGaussian, axis_gaussian
from services.blur_worker.engine.jpeg.transform.weighted_sums import VECTOR, gather, near_border, quantize, weigh

_LINE = 64
"""Bytes of a line of the processor's cache."""
_TILE = 512
"""Numbers of a row that are worked on at a time: what belongs together is to stay in the processor's first cache."""


class Buffers(NamedTuple):
    """What is kept from one call to the next."""

    done: NDArray[np.int64]
    """(1,): how many rows of cells have been blurred across."""
    ring: NDArray[np.float32]
    """(window down, kept down, most coefficients wanted across, blocks), flat: the last of those."""
    parts: NDArray[np.float32]
    """A row for each tap."""
    total: NDArray[np.float32]
    """One more of those rows."""


def buffers(x: AxisGaussian, y: AxisGaussian, wanted: int) -> Buffers:
    """Make room for a blur of which so many coefficients are wanted across."""
    blocks = len(x.starts)
    length = -(-max(x.cells, min(_TILE, wanted * blocks)) // VECTOR) * VECTOR
    taps = max(each.weights.shape[2] for each in (x.inner_stencils, y.inner_stencils, y.border_stencils))
    ring = np.empty(y.window * y.kept * wanted * blocks, np.float32)
    return Buffers(np.zeros(1, np.int64), ring, _aligned(taps * length).reshape(taps, length), _aligned(length))


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
    parts: NDArray[np.float32],
    total: NDArray[np.float32],
    out: NDArray[np.float32],
    out_at: int,
    wanted: int,
) -> None:
    """Blur one row (kept, cells) along itself into (coefficients, blocks)."""
    taps, weights, alike = x.inner_stencils
    blocks, last = len(x.starts), x.first + x.inner * x.together
    begin = row * x.kept * x.cells
    whole = -(-x.inner // VECTOR) * VECTOR
    for parity in range(2 if x.inner else 0):
        if parity == 0 or not alike:
            for part in range(taps.shape[1]):
                tap = taps[parity, part]
                base = begin + tap.k * x.cells + x.start
                gather(plane, base + tap.near, base + tap.far, tap.sign, x.inner, parts, part)
        for u in range(parity, wanted, 2):
            to = np.uint64(out_at + u * blocks + x.first)
            if x.together == 1:
                weigh(parts, weights, np.int64(0), u, x.inner, out, to)
                continue
            for phase in range(x.together):
                weigh(parts, weights, phase, u, whole, total, np.uint64(0))
                to = np.uint64(out_at + u * blocks + x.first + phase)
                for index in range(x.inner):
                    out[to + np.uint64(index * x.together)] = total[np.uint64(index)]
    for block in range(blocks):
        if block < x.first or block >= last:
            at = begin + x.starts[block]
            near_border(plane, at, x.window, x.kept, x.cells, x.border_weights, x.which[block], total)
            for u in range(wanted):
                out[out_at + u * blocks + block] = total[u]


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
    done, ring, parts, total = buffers
    wanted = coefficients = np.int64(0)
    for v in range(len(widths)):
        wanted = max(wanted, widths[v])
        coefficients += widths[v]
    blocks = len(x.starts)
    length = wanted * blocks
    for row in range(begin, end):
        start = y.starts[row]
        while done[0] < start + y.window:
            for v in range(y.kept):
                at = ((done[0] % y.window) * y.kept + v) * length
                _blur_across(plane, done[0] * y.kept + v, x, parts, total, ring, at, wanted)
            done[0] += 1
        inner = y.first <= row < y.first + y.inner * y.together
        which = (row - y.first) % y.together if inner else y.which[row]
        taps, weights, alike = y.inner_stencils if inner else y.border_stencils
        for tile in range(0, length, _TILE):
            for parity in range(2):
                if parity == 0 or not alike:
                    for part in range(taps.shape[1]):
                        tap = taps[parity, part]
                        near = (((start + tap.near) % y.window) * y.kept + tap.k) * length + tile
                        far = (((start + tap.far) % y.window) * y.kept + tap.k) * length + tile
                        gather(ring, near, far, tap.sign, min(_TILE, length - tile), parts, part)
                at = (row - begin) * coefficients * blocks + tile
                for v in range(len(widths)):
                    count = min(_TILE, widths[v] * blocks - tile)
                    if v % 2 == parity and count > 0:
                        weigh(parts, weights, which, v, count, total, np.uint64(0))
                        for u in range(tile // blocks, (tile + count - 1) // blocks + 1):
                            first, last = max(0, u * blocks - tile), min(count, (u + 1) * blocks - tile)
                            quantize(total, first, last, scales[v, u], quantized, at)
                        if exact.size:
                            for index in range(count):
                                exact[at + index] = total[index]
                    at += widths[v] * blocks
