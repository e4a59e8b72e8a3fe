"""Makes the coefficients of the blurred picture from the kept ones of the source, some rows of blocks at a time.

What keeps indices in range: all sizes come from `Axis`, whose windows lie within its cells, and from arrays made for
it.
"""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled

LARGEST = 1023
"""A quantized coefficient beyond has no code."""

# What a blur along the rows needs to know beside its arrays.
TOGETHER, FIRST, START, COUNT = range(4)


@compiled()
def _add_four(
    out: NDArray[np.float32],
    one: NDArray[np.float32],
    two: NDArray[np.float32],
    three: NDArray[np.float32],
    four: NDArray[np.float32],
    weights: NDArray[np.float32],
) -> None:
    # Four at a time: reading and writing `out` for each row would take longer than the sums.
    a, b, c, d = weights[0], weights[1], weights[2], weights[3]
    for index in range(len(out)):
        out[index] += a * one[index] + b * two[index] + c * three[index] + d * four[index]


@compiled()
def _add_one(out: NDArray[np.float32], one: NDArray[np.float32], weight: np.float32) -> None:
    for index in range(len(out)):
        out[index] += weight * one[index]


@compiled()
def _across(
    source: NDArray[np.float32],
    x: NDArray[np.int64],
    starts: NDArray[np.int64],
    which: NDArray[np.int64],
    stencils: NDArray[np.float32],
    sums: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Blurs one row (kept, cells) along itself into (coefficients, blocks)."""
    together, first, start, count = x[TOGETHER], x[FIRST], x[START], x[COUNT]
    kept, window = stencils.shape[2], stencils.shape[3]
    last = first + count * together
    for u in range(out.shape[0]):
        # Far from the borders all blocks have one stencil, and rows are added instead of blocks.
        for phase in range(together if count > 0 else 0):
            total = sums[:count]
            total[:] = 0
            for k in range(kept):
                weights = stencils[phase, u, k]
                cell = 0
                while cell + 4 <= window:
                    at = start + cell
                    _add_four(
                        total,
                        source[k, at : at + count],
                        source[k, at + 1 : at + 1 + count],
                        source[k, at + 2 : at + 2 + count],
                        source[k, at + 3 : at + 3 + count],
                        weights[cell : cell + 4],
                    )
                    cell += 4
                while cell < window:
                    _add_one(total, source[k, start + cell : start + cell + count], weights[cell])
                    cell += 1
            if together == 1:
                out[u, first:last] = total
            else:
                for index in range(count):
                    out[u, first + index * together + phase] = total[index]
        for block in range(out.shape[1]):
            if block < first or block >= last or count == 0:
                value = np.float32(0)
                for k in range(kept):
                    weights = stencils[which[block], u, k]
                    seen = source[k, starts[block] : starts[block] + window]
                    for cell in range(window):
                        value += weights[cell] * seen[cell]
                out[u, block] = value


@compiled()
def _down(mid: NDArray[np.float32], start: int, stencil: NDArray[np.float32], total: NDArray[np.float32]) -> None:
    """Adds up rows of (window, kept, coefficients × blocks), which is a ring of the last ones."""
    kept, window = stencil.shape
    total[:] = 0
    for k in range(kept):
        weights = stencil[k]
        cell = 0
        while cell + 4 <= window:
            at = start + cell
            _add_four(
                total,
                mid[at % window, k],
                mid[(at + 1) % window, k],
                mid[(at + 2) % window, k],
                mid[(at + 3) % window, k],
                weights[cell : cell + 4],
            )
            cell += 4
        while cell < window:
            _add_one(total, mid[(start + cell) % window, k], weights[cell])
            cell += 1


@compiled()
def _quantize(values: NDArray[np.float32], scale: np.float32, out: NDArray[np.int16]) -> None:
    for index in range(len(out)):
        value = values[index] * scale
        value = min(max(value, np.float32(-LARGEST)), np.float32(LARGEST))
        out[index] = np.int16(value + np.float32(0.5) if value > 0 else value - np.float32(0.5))


@compiled(
    "void(float32[:, :, ::1], int64[::1], int64[::1], int64[::1], float32[:, :, :, ::1], int64[::1], int64[::1],"
    " float32[:, :, :, ::1], int64[::1], float32[:, :, ::1], int64, int64, float32[:, ::1], int16[:, :, ::1],"
    " float32[:, :, ::1])"
)
def blur_rows(
    plane: NDArray[np.float32],
    x: NDArray[np.int64],
    x_starts: NDArray[np.int64],
    x_which: NDArray[np.int64],
    x_stencils: NDArray[np.float32],
    y_starts: NDArray[np.int64],
    y_which: NDArray[np.int64],
    y_stencils: NDArray[np.float32],
    done: NDArray[np.int64],
    mid: NDArray[np.float32],
    begin: int,
    end: int,
    scales: NDArray[np.float32],
    quantized: NDArray[np.int16],
    exact: NDArray[np.float32],
) -> None:
    """Makes the rows of blocks from `begin` to `end`, which follow those made before.

    Args:
        plane: (cells down × kept down, kept across, cells across), the source's coefficients.
        x: What is called TOGETHER to COUNT above.
        x_starts: As in `Axis`; likewise the others.
        x_which: See there.
        x_stencils: See there; cut to the coefficients wanted.
        y_starts: See there.
        y_which: See there.
        y_stencils: See there; cut likewise.
        done: How many rows of cells have been blurred across.
        mid: (window down, kept down, coefficients × blocks across): the last of those, as a ring.
        begin: First row of blocks to make.
        end: The one after the last.
        scales: (coefficients down, coefficients across): what a coefficient is multiplied by before it is rounded.
        quantized: (end - begin, coefficients, blocks across): the result.
        exact: The same before rounding, or empty.
    """
    down, wide = scales.shape
    blocks = quantized.shape[2]
    window, y_kept = mid.shape[:2]
    sums = np.empty(plane.shape[2], np.float32)
    total = np.empty(wide * blocks, np.float32)
    for row in range(begin, end):
        while done[0] < y_starts[row] + window:
            for v in range(y_kept):
                out = mid[done[0] % window, v].reshape((wide, blocks))
                _across(plane[done[0] * y_kept + v], x, x_starts, x_which, x_stencils, sums, out)
            done[0] += 1
        for v in range(down):
            _down(mid, y_starts[row], y_stencils[y_which[row], v], total)
            for u in range(wide):
                values = total[u * blocks : (u + 1) * blocks]
                _quantize(values, scales[v, u], quantized[row - begin, v * wide + u])
                if exact.size:
                    exact[row - begin, v * wide + u] = values
