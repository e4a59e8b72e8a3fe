"""Makes the coefficients of the blurred picture from the kept ones of the source, some rows of blocks at a time.

What keeps indices in range: all sizes come from `Axis`, whose windows lie within its cells, and from arrays made for
it.
"""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled
from services.blur_worker.engine.jpeg.entropy import LARGEST

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
    begin: int,
) -> None:
    # Several at a time: reading and writing `out` for each row would take longer than the sums.
    a, b, c, d = weights[begin], weights[begin + 1], weights[begin + 2], weights[begin + 3]
    for index in range(len(out)):
        out[index] += a * one[index] + b * two[index] + c * three[index] + d * four[index]


@compiled()
def _add_eight(
    out: NDArray[np.float32],
    one: NDArray[np.float32],
    two: NDArray[np.float32],
    three: NDArray[np.float32],
    four: NDArray[np.float32],
    five: NDArray[np.float32],
    six: NDArray[np.float32],
    seven: NDArray[np.float32],
    eight: NDArray[np.float32],
    weights: NDArray[np.float32],
    begin: int,
) -> None:
    a, b, c, d = weights[begin], weights[begin + 1], weights[begin + 2], weights[begin + 3]
    e, f, g, h = weights[begin + 4], weights[begin + 5], weights[begin + 6], weights[begin + 7]
    for index in range(len(out)):
        out[index] += (a * one[index] + b * two[index] + c * three[index] + d * four[index]) + (
            e * five[index] + f * six[index] + g * seven[index] + h * eight[index]
        )


@compiled()
def _across(
    source: NDArray[np.float32],
    x: NDArray[np.int64],
    starts: NDArray[np.int64],
    which: NDArray[np.int64],
    stencils: NDArray[np.float32],
    taps: NDArray[np.int64],
    sums: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Blurs one row (kept, cells) along itself into (coefficients, blocks)."""
    together, first, start, count = x[TOGETHER], x[FIRST], x[START], x[COUNT]
    last = first + count * together
    rows, at = taps[0], start + taps[1]
    for u in range(out.shape[0]):
        # Far from the borders all blocks have one stencil, and rows are added instead of blocks.
        for phase in range(together if count > 0 else 0):
            weights = stencils[phase, u]
            total = out[u, first:last] if together == 1 else sums[:count]
            total[:] = 0
            tap = 0
            while tap + 8 <= len(weights):
                _add_eight(
                    total,
                    source[rows[tap], at[tap] : at[tap] + count],
                    source[rows[tap + 1], at[tap + 1] : at[tap + 1] + count],
                    source[rows[tap + 2], at[tap + 2] : at[tap + 2] + count],
                    source[rows[tap + 3], at[tap + 3] : at[tap + 3] + count],
                    source[rows[tap + 4], at[tap + 4] : at[tap + 4] + count],
                    source[rows[tap + 5], at[tap + 5] : at[tap + 5] + count],
                    source[rows[tap + 6], at[tap + 6] : at[tap + 6] + count],
                    source[rows[tap + 7], at[tap + 7] : at[tap + 7] + count],
                    weights,
                    tap,
                )
                tap += 8
            if tap < len(weights):
                _add_four(
                    total,
                    source[rows[tap], at[tap] : at[tap] + count],
                    source[rows[tap + 1], at[tap + 1] : at[tap + 1] + count],
                    source[rows[tap + 2], at[tap + 2] : at[tap + 2] + count],
                    source[rows[tap + 3], at[tap + 3] : at[tap + 3] + count],
                    weights,
                    tap,
                )
            if together > 1:
                for index in range(count):
                    out[u, first + index * together + phase] = total[index]
    for block in range(out.shape[1]):
        if block < first or block >= last:
            seen = sums[: len(rows)]
            for tap in range(len(rows)):
                seen[tap] = source[rows[tap], starts[block] + taps[1, tap]]
            for u in range(out.shape[0]):
                weights = stencils[which[block], u]
                a, b, c, d = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
                for tap in range(0, len(weights), 4):
                    a += weights[tap] * seen[tap]
                    b += weights[tap + 1] * seen[tap + 1]
                    c += weights[tap + 2] * seen[tap + 2]
                    d += weights[tap + 3] * seen[tap + 3]
                out[u, block] = (a + b) + (c + d)


@compiled()
def _down(
    mid: NDArray[np.float32],
    start: int,
    weights: NDArray[np.float32],
    taps: NDArray[np.int64],
    total: NDArray[np.float32],
) -> None:
    """Adds up rows of (window, kept, coefficients × blocks), which is a ring of the last ones."""
    count, window = len(total), len(mid)
    rows, at = taps[0], (start + taps[1]) % window
    total[:] = 0
    tap = 0
    while tap + 8 <= len(weights):
        _add_eight(
            total,
            mid[at[tap], rows[tap], :count],
            mid[at[tap + 1], rows[tap + 1], :count],
            mid[at[tap + 2], rows[tap + 2], :count],
            mid[at[tap + 3], rows[tap + 3], :count],
            mid[at[tap + 4], rows[tap + 4], :count],
            mid[at[tap + 5], rows[tap + 5], :count],
            mid[at[tap + 6], rows[tap + 6], :count],
            mid[at[tap + 7], rows[tap + 7], :count],
            weights,
            tap,
        )
        tap += 8
    if tap < len(weights):
        _add_four(
            total,
            mid[at[tap], rows[tap], :count],
            mid[at[tap + 1], rows[tap + 1], :count],
            mid[at[tap + 2], rows[tap + 2], :count],
            mid[at[tap + 3], rows[tap + 3], :count],
            weights,
            tap,
        )


@compiled()
def _quantize(values: NDArray[np.float32], scale: np.float32, out: NDArray[np.int16]) -> None:
    for index in range(len(out)):
        value = values[index] * scale
        value = min(max(value, np.float32(-LARGEST)), np.float32(LARGEST))
        out[index] = np.int16(value + np.float32(0.5) if value > 0 else value - np.float32(0.5))


@compiled(
    "void(float32[:, :, ::1], int64[::1], int64[::1], int64[::1], float32[:, :, ::1], int64[:, ::1], int64[::1],"
    " int64[::1], float32[:, :, ::1], int64[:, ::1], int64[::1], float32[:, :, ::1], int64, int64, int64[::1],"
    " float32[:, ::1], int16[:, :, ::1], float32[:, :, ::1])"
)
def blur_rows(
    plane: NDArray[np.float32],
    x: NDArray[np.int64],
    x_starts: NDArray[np.int64],
    x_which: NDArray[np.int64],
    x_stencils: NDArray[np.float32],
    x_taps: NDArray[np.int64],
    y_starts: NDArray[np.int64],
    y_which: NDArray[np.int64],
    y_stencils: NDArray[np.float32],
    y_taps: NDArray[np.int64],
    done: NDArray[np.int64],
    mid: NDArray[np.float32],
    begin: int,
    end: int,
    wide: NDArray[np.int64],
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
        x_stencils: See there.
        x_taps: See there.
        y_starts: See there.
        y_which: See there.
        y_stencils: See there.
        y_taps: See there.
        done: How many rows of cells have been blurred across.
        mid: (window down, kept down, most coefficients wanted across × blocks): the last of those, as a ring.
        begin: First row of blocks to make.
        end: The one after the last.
        wide: How many coefficients are wanted across, for each down.
        scales: (8, 8): what a coefficient is multiplied by before it is rounded.
        quantized: (end - begin, coefficients, blocks across): the result.
        exact: The same before rounding, or empty.
    """
    blocks = quantized.shape[2]
    window, y_kept, across = mid.shape
    sums = np.empty(max(plane.shape[2], x_taps.shape[1]), np.float32)
    total = np.empty(across, np.float32)
    for row in range(begin, end):
        while done[0] < y_starts[row] + window:
            for v in range(y_kept):
                out = mid[done[0] % window, v].reshape((across // blocks, blocks))
                _across(plane[done[0] * y_kept + v], x, x_starts, x_which, x_stencils, x_taps, sums, out)
            done[0] += 1
        kind = 0
        for v in range(len(wide)):
            _down(mid, y_starts[row], y_stencils[y_which[row], v], y_taps, total[: wide[v] * blocks])
            for u in range(wide[v]):
                values = total[u * blocks : (u + 1) * blocks]
                _quantize(values, scales[v, u], quantized[row - begin, kind])
                if exact.size:
                    exact[row - begin, kind] = values
                kind += 1
