"""What precedes the entropy-coded data of the result: written by Pillow, as for any other JPEG."""

from dataclasses import dataclass, replace

import numpy as np

from services.blur_worker.engine.jpeg.format.header_reader import HeaderReader
from services.blur_worker.engine.jpeg.format.markers import Marker, UnsupportedJpeg
from services.blur_worker.engine.jpeg.format.tables import HuffmanTable, QuantizationTable


@dataclass(frozen=True)
class ResultHeader:
    """The bytes up to the scan, and the tables in them, for each component."""

    data: bytes
    frame_at: int
    """Where the marker of the frame header is."""
    quantization: tuple[QuantizationTable, ...]
    dc_tables: tuple[HuffmanTable, ...]
    ac_tables: tuple[HuffmanTable, ...]


def header_of(template: bytes) -> ResultHeader:
    """Return the header of a small JPEG that has the same settings as the result."""
    reader = HeaderReader(template)
    frame, scan = reader.first_scan()
    return ResultHeader(
        template[: scan.start],
        reader.frame_at,
        tuple(reader.quantization[each.tq] for each in frame.components),
        tuple(table for table in scan.dc_tables if table),
        tuple(table for table in scan.ac_tables if table),
    )


def resized(header: ResultHeader, width: int, height: int, sampling: tuple[tuple[int, int], ...]) -> ResultHeader:
    """Return the header for an image of another size and sampling."""
    data, at = bytearray(header.data), header.frame_at
    data[at + 5 : at + 9] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    for index, (h, v) in enumerate(sampling):
        data[at + 11 + 3 * index] = h << 4 | v
    return replace(header, data=bytes(data))


def with_quantization(header: ResultHeader, tables: tuple[QuantizationTable, ...]) -> ResultHeader:
    """Return the header with other quantization tables, one for each component.

    Raises:
        UnsupportedJpeg: There is a divisor above 255, which a baseline JPEG has not.
    """
    if max(int(table.max()) for table in tables) > 255:
        raise UnsupportedJpeg("divisors of 16 bits")
    data = bytearray(header.data)
    for index in range(len(tables)):
        data[header.frame_at + 12 + 3 * index] = index
    segments = b"".join(
        bytes([0xFF, Marker.DQT, 0, 67, index]) + table.astype(np.uint8).tobytes() for index, table in enumerate(tables)
    )
    # Behind all others, which they replace.
    scan_at = data.rindex(bytes([0xFF, Marker.SOS]))
    return replace(header, data=bytes(data[:scan_at] + segments + data[scan_at:]), quantization=tables)
