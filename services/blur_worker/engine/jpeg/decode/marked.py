"""Decode some MCUs of a sequential scan; of all others only look for where they end.

What keeps indices in range: see `scan`; there is a mark, an end and predictors for each MCU.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled
from services.blur_worker.engine.jpeg.decode.huffman import HUFFMAN
from services.blur_worker.engine.jpeg.decode.image import scan_records
from services.blur_worker.engine.jpeg.decode.layout import COMPONENT, ENDS_EARLY, PADDING, SCAN, TOO_MUCH, decoded_place
from services.blur_worker.engine.jpeg.decode.sequential import decode_block
from services.blur_worker.engine.jpeg.format.header_reader import HeaderReader
from services.blur_worker.engine.jpeg.format.markers import UnsupportedJpeg
from services.blur_worker.engine.jpeg.format.scan_header import ScanHeader
from services.blur_worker.engine.jpeg.transform.planes import PlaneSet


@dataclass(frozen=True)
class MarkedScan:
    """Entropy-coded data, and where their MCUs are."""

    data: NDArray[np.uint8]
    """See `EntropyCodedData`."""
    ends: NDArray[np.int64]
    """Of each MCU, in bits: the next one begins there, but after a restart marker."""
    preds: NDArray[np.int64]
    """(MCUs, components): the DC predictors behind each MCU."""


def decode_marked(reader: HeaderReader, scan: ScanHeader, planes: PlaneSet, wanted: NDArray[np.bool_]) -> MarkedScan:
    """Decode the MCUs that are wanted of the only scan of a file.

    Raises:
        UnsupportedJpeg: Something is unusual or damaged, or there is another scan.
    """
    assert reader.frame
    components = np.array(
        [plane.record(reader.component_quantization[index]) for index, plane in enumerate(planes.planes)], COMPONENT
    )
    data = np.frombuffer(reader.data, np.uint8)
    entropy_coded, layout, of_scan, tables = scan_records(data, reader.frame, scan, components)
    ends, preds = np.empty(len(wanted), np.int64), np.empty((len(wanted), len(of_scan)), np.int64)
    error = _decode(
        entropy_coded.data, entropy_coded.bounds, layout, of_scan, tables, wanted, ends, preds, planes.values
    )
    if error:
        raise UnsupportedJpeg(f"entropy-coded data that are wrong ({error})")
    if reader.next_scan(entropy_coded.end) is not None:
        raise UnsupportedJpeg("a second scan")
    return MarkedScan(entropy_coded.data, ends, preds)


@compiled(
    "int64(uint8[::1], int64[::1], Scan, Components, Tables, boolean[::1], int64[::1], int64[:, ::1], float32[::1])",
    types={"Scan": np.zeros(1, SCAN), "Components": np.zeros(1, COMPONENT), "Tables": np.zeros(1, HUFFMAN)},
    nrt=False,
)
def _decode(
    data: NDArray[np.uint8],
    bounds: NDArray[np.int64],
    scans: NDArray[np.void],
    components: NDArray[np.void],
    tables: NDArray[np.void],
    wanted: NDArray[np.bool_],
    ends: NDArray[np.int64],
    preds: NDArray[np.int64],
    out: NDArray[np.float32],
) -> int:
    """Decode a scan: see `decode_scan` and `MarkedScan`."""
    scan = scans[0]
    for segment in range(len(bounds) - 1):
        position, end = bounds[segment] * 8, bounds[segment + 1] * 8
        for component in components:
            component.pred = 0
        first = segment * scan.restart_interval
        for mcu in range(first, min(first + scan.restart_interval, scan.mcus)):
            row, column = mcu // scan.mcu_columns, mcu % scan.mcu_columns
            for index in range(len(components)):
                component = components[index]
                for v in range(component.v):
                    for h in range(component.h):
                        kind, base = np.int64(PADDING), component.nowhere
                        if wanted[mcu]:
                            kind, base = decoded_place(component, row * component.v + v, column * component.h + h)
                        position = decode_block(data, position, scan, component, tables, kind, base, out)
                        if position < 0:
                            return int(position)
                        if position > end:
                            return ENDS_EARLY
                preds[mcu, index] = component.pred
            ends[mcu] = position
        if position + 7 < end:
            return TOO_MUCH
    return 0
