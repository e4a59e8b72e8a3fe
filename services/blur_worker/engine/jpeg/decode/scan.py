"""The compiled decoder of a scan (T.81, E.2.3 to E.2.5): its restart intervals, their MCUs, their blocks.

What keeps indices in range: the data are followed by zeros, of which a block takes at most 31 bits for each
coefficient, and after each block the position is compared with the end of the segment. Where blocks lie was computed
from the frame header, as was how many there are.
"""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled
from services.blur_worker.engine.jpeg.decode.bits import peek
from services.blur_worker.engine.jpeg.decode.huffman import HUFFMAN
from services.blur_worker.engine.jpeg.decode.layout import COMPONENT, ENDS_EARLY, SCAN, TOO_MUCH, decoded_place
from services.blur_worker.engine.jpeg.decode.progressive import decode_ac_interval
from services.blur_worker.engine.jpeg.decode.sequential import decode_block


@compiled(inline=True, nrt=False)
def _decode_interval(
    data: NDArray[np.uint8],
    position: int,
    end: int,
    mcus: range,
    scan: np.record,
    components: NDArray[np.void],
    tables: NDArray[np.void],
    out: NDArray[np.float32],
) -> np.int64:
    """Decode the MCUs of a restart interval, of a sequential scan or of DC coefficients; return the next position."""
    for component in components:
        component.pred = 0
    for mcu in mcus:
        row, column = mcu // scan.mcu_columns, mcu % scan.mcu_columns
        for component in components:
            for v in range(component.v):
                for h in range(component.h):
                    kind, base = decoded_place(component, row * component.v + v, column * component.h + h)
                    if scan.ah:
                        # A DC coefficient's next bit (G.1.2.1).
                        bit = np.int64(peek(data, position) >> np.uint64(63))
                        out[base] += (bit << scan.al) * component.factors[0]
                        position += 1
                    else:
                        position = decode_block(data, position, scan, component, tables, kind, base, out)
                    if position < 0:
                        return position
                    if position > end:
                        return np.int64(ENDS_EARLY)
    return position


@compiled(
    "int64(uint8[::1], int64[::1], Scan, Components, Tables, uint64[::1], float32[::1])",
    types={"Scan": np.zeros(1, SCAN), "Components": np.zeros(1, COMPONENT), "Tables": np.zeros(1, HUFFMAN)},
    nrt=False,
)
def decode_scan(
    data: NDArray[np.uint8],
    bounds: NDArray[np.int64],
    scans: NDArray[np.void],
    components: NDArray[np.void],
    tables: NDArray[np.void],
    nonzero: NDArray[np.uint64],
    out: NDArray[np.float32],
) -> int:
    """Decode a scan.

    Args:
        data: See `EntropyCodedData`.
        bounds: As many as the scan has restart intervals, and one more.
        scans: A SCAN record.
        components: COMPONENT records of the scan's components.
        tables: HUFFMAN records, to which these refer.
        nonzero: Of a scan of AC coefficients: which of each block are not 0 so far, as bits.
        out: The array of a `PlaneSet`; takes the coefficients.

    Returns:
        0, or what is wrong.
    """
    scan = scans[0]
    for segment in range(len(bounds) - 1):
        position, end = bounds[segment] * 8, bounds[segment + 1] * 8
        first = segment * scan.restart_interval
        mcus = range(first, min(first + scan.restart_interval, scan.mcus))
        if scan.ss:
            position = decode_ac_interval(data, position, end, mcus, scan, components[0], tables[0], nonzero, out)
        else:
            position = _decode_interval(data, position, end, mcus, scan, components, tables, out)
        if position < 0:
            return int(position)
        if position + 7 < end:
            return TOO_MUCH
    return 0
