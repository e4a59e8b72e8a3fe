"""Makes the coefficients of the blurred picture from the kept ones of the source, some rows of blocks at a time.

What keeps indices in range: all sizes come from `Axis`, whose windows lie within its cells, and from arrays made for
it.
"""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled
from services.blur_worker.engine.jpeg.entropy import LARGEST
from services.blur_worker.engine.jpeg.sharing import COEFFICIENT, FAR, NEAR, SIGN

# What a pass along an axis needs to know beside its arrays.
TOGETHER, FIRST, START, INNER, WINDOW, KEPT, ALIKE = range(7)

TILE = 512
"""Numbers of a row that are worked on at a time: what belongs together is to stay in the processor's first cache."""
VECTOR = 16
"""Rows of sums are as long as a multiple of this: what does not fill a vector would be done number by number."""


@compiled(uncounted=True)
def _gather(
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
def _weigh(
    parts: NDArray[np.float32], weights: NDArray[np.float32], which: int, u: int, count: int, total: NDArray[np.float32]
) -> None:
    """Adds up rows of parts, each times its weight. Several at a time: reading and writing `total` for each takes longer."""
    # With signed indices each would be looked at for whether it counts from the end.
    for index in range(count):
        total[np.uint64(index)] = 0
    terms = weights.shape[2]
    term = 0
    while term + 8 <= terms:
        r = np.uint64(term)
        a, b, c, d = weights[which, u, term], weights[which, u, term + 1], weights[which, u, term + 2], weights[which, u, term + 3]
        e, f, g, h = weights[which, u, term + 4], weights[which, u, term + 5], weights[which, u, term + 6], weights[which, u, term + 7]
        for index in range(count):
            i = np.uint64(index)
            total[i] += (
                a * parts[r, i] + b * parts[r + np.uint64(1), i] + c * parts[r + np.uint64(2), i] + d * parts[r + np.uint64(3), i]
            ) + (
                e * parts[r + np.uint64(4), i] + f * parts[r + np.uint64(5), i] + g * parts[r + np.uint64(6), i] + h * parts[r + np.uint64(7), i]
            )
        term += 8
    if term + 4 <= terms:
        r = np.uint64(term)
        a, b, c, d = weights[which, u, term], weights[which, u, term + 1], weights[which, u, term + 2], weights[which, u, term + 3]
        for index in range(count):
            i = np.uint64(index)
            total[i] += a * parts[r, i] + b * parts[r + np.uint64(1), i] + c * parts[r + np.uint64(2), i] + d * parts[r + np.uint64(3), i]
        term += 4
    if term < terms:
        a = weights[which, u, term]
        for index in range(count):
            total[np.uint64(index)] += a * parts[np.uint64(term), np.uint64(index)]


@compiled(uncounted=True)
def _near_border(
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
def _across(
    plane: NDArray[np.float32],
    row: int,
    x: NDArray[np.int64],
    starts: NDArray[np.int64],
    which: NDArray[np.int64],
    stencils: NDArray[np.float32],
    shared_parts: NDArray[np.int64],
    shared: NDArray[np.float32],
    cells: int,
    parts: NDArray[np.float32],
    total: NDArray[np.float32],
    out: NDArray[np.float32],
    out_at: int,
    blocks: int,
    wanted: int,
) -> None:
    """Blurs one row (kept, cells) along itself into (coefficients, blocks)."""
    together, first, start, count, kept = x[TOGETHER], x[FIRST], x[START], x[INNER], x[KEPT]
    begin = row * kept * cells
    last = first + count * together
    whole = -(-count // VECTOR) * VECTOR
    for parity in range(2 if count else 0):
        if parity == 0 or not x[ALIKE]:
            for part in range(shared_parts.shape[1]):
                base = begin + shared_parts[parity, part, COEFFICIENT] * cells + start
                _gather(
                    plane,
                    np.uint64(base + shared_parts[parity, part, NEAR]),
                    np.uint64(base + shared_parts[parity, part, FAR]),
                    shared_parts[parity, part, SIGN],
                    count,
                    parts,
                    np.uint64(part),
                )
        for u in range(parity, wanted, 2):
            for phase in range(together):
                _weigh(parts, shared, phase, u, whole, total)
                at = np.uint64(out_at + u * blocks + first + phase)
                for index in range(count):
                    out[at + np.uint64(index * together)] = total[np.uint64(index)]
    for block in range(blocks):
        if block < first or block >= last:
            at = np.uint64(begin + starts[block])
            _near_border(plane, at, x[WINDOW], kept, cells, stencils, np.uint64(which[block]), total)
            for u in range(wanted):
                out[out_at + u * blocks + block] = total[u]


@compiled(uncounted=True)
def _quantize(
    values: NDArray[np.float32], begin: int, end: int, scale: np.float32, out: NDArray[np.int16], at: np.uint64
) -> None:
    for index in range(begin, end):
        value = values[np.uint64(index)] * scale
        value = min(max(value, np.float32(-LARGEST)), np.float32(LARGEST))
        out[at + np.uint64(index)] = np.int16(value + np.float32(0.5) if value > 0 else value - np.float32(0.5))


@compiled(
    "void(float32[::1], int64[::1], int64[::1], int64[::1], float32[:, :, ::1], int64[:, :, ::1], float32[:, :, ::1],"
    " int64[::1], int64[::1], int64[::1], float32[:, :, ::1], int64[:, ::1], int64[:, :, ::1], float32[:, :, ::1],"
    " int64[::1], float32[::1], float32[:, ::1], float32[::1], int64, int64, int64, int64, int64[::1], float32[:, ::1],"
    " int16[::1], float32[::1])",
    uncounted=True,
)
def blur_rows(
    plane: NDArray[np.float32],
    x: NDArray[np.int64],
    x_starts: NDArray[np.int64],
    x_which: NDArray[np.int64],
    x_stencils: NDArray[np.float32],
    x_parts: NDArray[np.int64],
    x_shared: NDArray[np.float32],
    y: NDArray[np.int64],
    y_starts: NDArray[np.int64],
    y_which: NDArray[np.int64],
    y_stencils: NDArray[np.float32],
    y_plain: NDArray[np.int64],
    y_parts: NDArray[np.int64],
    y_shared: NDArray[np.float32],
    done: NDArray[np.int64],
    mid: NDArray[np.float32],
    parts: NDArray[np.float32],
    total: NDArray[np.float32],
    cells: int,
    blocks: int,
    begin: int,
    end: int,
    wide: NDArray[np.int64],
    scales: NDArray[np.float32],
    quantized: NDArray[np.int16],
    exact: NDArray[np.float32],
) -> None:
    """Makes the rows of blocks from `begin` to `end`, which follow those made before.

    Args:
        plane: (cells down × kept down, kept across, cells across), flat: the source's coefficients.
        x: What is called TOGETHER to ALIKE above.
        x_starts: As in `Axis`; likewise the others.
        x_which: See there.
        x_stencils: See there; (n, window × kept, 8).
        x_parts: See `Shared`.
        x_shared: Its weights.
        y: Likewise.
        y_starts: Likewise.
        y_which: Likewise.
        y_stencils: Likewise, `padded`.
        y_plain: What those are weights of, see `plain_parts`.
        y_parts: Likewise.
        y_shared: Likewise.
        done: How many rows of cells have been blurred across.
        mid: (window down, kept down, most coefficients wanted across, blocks), flat: the last of those, as a ring.
        parts: Room for as many rows as there are weights, as long as `room_for` says; 0 at first.
        total: Room for one more of those.
        cells: Of a row; as `blocks`, of a row of the result.
        begin: First row of blocks to make.
        end: The one after the last.
        wide: How many coefficients are wanted across, for each down.
        scales: (8, 8): what a coefficient is multiplied by before it is rounded.
        quantized: (end - begin, coefficients, blocks), flat: the result.
        exact: The same before rounding, or empty.
    """
    window, kept = y[WINDOW], y[KEPT]
    wanted = kinds = 0
    for v in range(len(wide)):
        wanted = max(wanted, wide[v])
        kinds += wide[v]
    across = wanted * blocks
    for row in range(begin, end):
        while done[0] < y_starts[row] + window:
            for v in range(kept):
                _across(
                    plane, done[0] * kept + v, x, x_starts, x_which, x_stencils, x_parts, x_shared, cells,
                    parts, total, mid, ((done[0] % window) * kept + v) * across, blocks, wanted,
                )  # fmt: skip
            done[0] += 1
        inner = y[FIRST] <= row < y[FIRST] + y[INNER] * y[TOGETHER]
        stencil = (row - y[FIRST]) % y[TOGETHER] if inner else y_which[row]
        for tile in range(0, across, TILE):
            for parity in range(2):
                if parity == 0 or (inner and not y[ALIKE]):
                    for part in range(y_parts.shape[1] if inner else len(y_plain)):
                        k = y_parts[parity, part, COEFFICIENT] if inner else y_plain[part, COEFFICIENT]
                        near = y_parts[parity, part, NEAR] if inner else y_plain[part, NEAR]
                        far = y_parts[parity, part, FAR] if inner else near
                        _gather(
                            mid,
                            np.uint64((((y_starts[row] + near) % window) * kept + k) * across + tile),
                            np.uint64((((y_starts[row] + far) % window) * kept + k) * across + tile),
                            y_parts[parity, part, SIGN] if inner else 0,
                            min(TILE, across - tile),
                            parts,
                            np.uint64(part),
                        )
                begun = (row - begin) * kinds * blocks
                for v in range(len(wide)):
                    count = min(TILE, wide[v] * blocks - tile)
                    if v % 2 == parity and count > 0:
                        _weigh(parts, y_shared if inner else y_stencils, stencil, v, count, total)
                        for u in range(tile // blocks, (tile + count - 1) // blocks + 1):
                            first, last = max(0, u * blocks - tile), min(count, (u + 1) * blocks - tile)
                            _quantize(total, first, last, scales[v, u], quantized, np.uint64(begun + tile))
                        if exact.size:
                            for index in range(count):
                                exact[begun + tile + index] = total[index]
                    begun += wide[v] * blocks


def room_for(cells: int, blocks: int, wanted: int) -> int:
    """How long the rows of `parts` are."""
    return -(-max(cells, min(TILE, wanted * blocks)) // VECTOR) * VECTOR
