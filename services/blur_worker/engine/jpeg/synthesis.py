"""Makes the coefficients of the blurred picture from the kept ones of the source, some rows of blocks at a time.

What keeps indices in range: all sizes come from `Axis`, whose windows lie within its cells, and from arrays made for
it.
"""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled
from services.blur_worker.engine.jpeg.sharing import COEFFICIENT, FAR, NEAR, SIGN
from services.blur_worker.engine.jpeg.sums import VECTOR, gather, near_border, quantize, weigh

Along = tuple[
    NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.float32], NDArray[np.int64], NDArray[np.int64],
    NDArray[np.float32],
]  # fmt: skip
"""A pass along an `Axis`: what is called TOGETHER to ALIKE here, its `starts`, its `which`, the stencils near borders,
what those weigh, and what the other blocks share: its parts and weights."""
_ALONG = (
    "Tuple((int64[::1], int64[::1], int64[::1], float32[:, :, ::1], int64[:, ::1], int64[:, :, ::1],"
    " float32[:, :, ::1]))"
)

TOGETHER, FIRST, START, INNER, WINDOW, KEPT, ALIKE = range(7)

TILE = 512
"""Numbers of a row that are worked on at a time: what belongs together is to stay in the processor's first cache."""


@compiled(uncounted=True)
def _across(
    plane: NDArray[np.float32],
    row: int,
    along: Along,
    cells: int,
    parts: NDArray[np.float32],
    total: NDArray[np.float32],
    out: NDArray[np.float32],
    out_at: int,
    blocks: int,
    wanted: int,
) -> None:
    """Blurs one row (kept, cells) along itself into (coefficients, blocks)."""
    x, starts, which, stencils, _, shared_parts, shared = along
    together, first, start, count, kept = x[TOGETHER], x[FIRST], x[START], x[INNER], x[KEPT]
    begin = row * kept * cells
    last = first + count * together
    whole = -(-count // VECTOR) * VECTOR
    for parity in range(2 if count else 0):
        if parity == 0 or not x[ALIKE]:
            for part in range(shared_parts.shape[1]):
                base = begin + shared_parts[parity, part, COEFFICIENT] * cells + start
                gather(
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
                weigh(parts, shared, phase, u, whole, total)
                at = np.uint64(out_at + u * blocks + first + phase)
                for index in range(count):
                    out[at + np.uint64(index * together)] = total[np.uint64(index)]
    for block in range(blocks):
        if block < first or block >= last:
            at = np.uint64(begin + starts[block])
            near_border(plane, at, x[WINDOW], kept, cells, stencils, np.uint64(which[block]), total)
            for u in range(wanted):
                out[out_at + u * blocks + block] = total[u]


@compiled(
    f"void(float32[::1], {_ALONG}, {_ALONG}, int64[::1], float32[::1], float32[:, ::1], float32[::1], int64, int64,"
    " int64, int64, int64[::1], float32[:, ::1], int16[::1], float32[::1])",
    uncounted=True,
)
def blur_rows(
    plane: NDArray[np.float32],
    across: Along,
    down: Along,
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
        across: The blur along rows; the stencils near borders are `by_tap`.
        down: The blur along columns; those are `by_coefficient`.
        done: How many rows of cells have been blurred across.
        mid: (window down, kept down, most coefficients wanted across, blocks), flat: the last of those, as a ring.
        parts: Room for as many rows as there are weights, as long as `room_for` says; 0 at first.
        total: Room for one more of those.
        cells: Of a row.
        blocks: Of a row of the result.
        begin: First row of blocks to make.
        end: The one after the last.
        wide: How many coefficients are wanted across, for each down.
        scales: (8, 8): what a coefficient is multiplied by before it is rounded.
        quantized: (end - begin, coefficients, blocks), flat: the result.
        exact: The same before rounding, or empty.
    """
    y, y_starts, y_which, y_stencils, y_plain, y_parts, y_shared = down
    window, kept = y[WINDOW], y[KEPT]
    wanted = kinds = 0
    for v in range(len(wide)):
        wanted = max(wanted, wide[v])
        kinds += wide[v]
    length = wanted * blocks
    for row in range(begin, end):
        while done[0] < y_starts[row] + window:
            for v in range(kept):
                _across(
                    plane, done[0] * kept + v, across, cells, parts, total,
                    mid, ((done[0] % window) * kept + v) * length, blocks, wanted,
                )  # fmt: skip
            done[0] += 1
        inner = y[FIRST] <= row < y[FIRST] + y[INNER] * y[TOGETHER]
        stencil = (row - y[FIRST]) % y[TOGETHER] if inner else y_which[row]
        for tile in range(0, length, TILE):
            for parity in range(2):
                if parity == 0 or (inner and not y[ALIKE]):
                    for part in range(y_parts.shape[1] if inner else len(y_plain)):
                        k = y_parts[parity, part, COEFFICIENT] if inner else y_plain[part, COEFFICIENT]
                        near = y_parts[parity, part, NEAR] if inner else y_plain[part, NEAR]
                        far = y_parts[parity, part, FAR] if inner else near
                        gather(
                            mid,
                            np.uint64((((y_starts[row] + near) % window) * kept + k) * length + tile),
                            np.uint64((((y_starts[row] + far) % window) * kept + k) * length + tile),
                            y_parts[parity, part, SIGN] if inner else 0,
                            min(TILE, length - tile),
                            parts,
                            np.uint64(part),
                        )
                begun = (row - begin) * kinds * blocks
                for v in range(len(wide)):
                    count = min(TILE, wide[v] * blocks - tile)
                    if v % 2 == parity and count > 0:
                        weigh(parts, y_shared if inner else y_stencils, stencil, v, count, total)
                        for u in range(tile // blocks, (tile + count - 1) // blocks + 1):
                            first, last = max(0, u * blocks - tile), min(count, (u + 1) * blocks - tile)
                            quantize(total, first, last, scales[v, u], quantized, np.uint64(begun + tile))
                        if exact.size:
                            for index in range(count):
                                exact[begun + tile + index] = total[index]
                    begun += wide[v] * blocks


def room_for(cells: int, blocks: int, wanted: int) -> int:
    """How long the rows of `parts` are."""
    return -(-max(cells, min(TILE, wanted * blocks)) // VECTOR) * VECTOR
