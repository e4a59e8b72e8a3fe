"""All scans of a JPEG, decoded into the planes of its components (T.81, E.2)."""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.jpeg.decode.border_blocks import fit_border_blocks
from services.blur_worker.engine.jpeg.decode.huffman import HUFFMAN, decoding_table
from services.blur_worker.engine.jpeg.decode.layout import COMPONENT, KEPT, SCAN
from services.blur_worker.engine.jpeg.decode.scan import decode_scan
from services.blur_worker.engine.jpeg.decode.scan_script import needed_scans, scan_script
from services.blur_worker.engine.jpeg.format.byte_stuffing import EntropyCodedData, entropy_coded_data
from services.blur_worker.engine.jpeg.format.frame import FrameHeader
from services.blur_worker.engine.jpeg.format.header_reader import HeaderReader
from services.blur_worker.engine.jpeg.format.markers import UnsupportedJpeg
from services.blur_worker.engine.jpeg.format.scan_header import ScanHeader
from services.blur_worker.engine.jpeg.transform.planes import PlaneSet

_NONE = np.zeros(0, np.uint64)


def decode_sequential(reader: HeaderReader, frame: FrameHeader, first: ScanHeader, planes: PlaneSet) -> None:
    """Decode all scans, of which each brings other components.

    Raises:
        UnsupportedJpeg: Something is unusual or damaged; what was decoded is worth nothing then.
    """
    data = np.frombuffer(reader.data, np.uint8)
    components = np.zeros(len(planes.planes), COMPONENT)
    missing = set(range(len(components)))
    scan: ScanHeader | None = first
    while scan is not None:
        if not missing.issuperset(scan.components):
            raise UnsupportedJpeg("a component comes twice")
        missing.difference_update(scan.components)
        for index in scan.components:
            components[index] = planes.planes[index].record(reader.component_quantization[index])
        scan = reader.next_scan(_decode(data, frame, scan, components, _NONE, planes.values))
    if missing:
        raise UnsupportedJpeg("a component is missing")
    fit_border_blocks(components, planes.values)


def decode_progressive(reader: HeaderReader, frame: FrameHeader, first: ScanHeader, planes: PlaneSet) -> None:
    """Decode all scans but those that bring nothing of what is kept.

    A coefficient comes in several scans, and is added up where it is kept. Of all others only one bit is remembered, 8
    bytes a block: whether it is 0.

    Of scans that are passed over only the headers are read. Damage behind them would not be seen: it reaches no other
    scan and no coefficient that is kept, and libjpeg too draws such an image.

    Raises:
        UnsupportedJpeg: Something is unusual or damaged; what was decoded is worth nothing then.
    """
    script = scan_script(reader, frame, first)
    components = np.zeros(len(planes.planes), COMPONENT)
    for index, plane in enumerate(planes.planes):
        components[index] = plane.record(reader.component_quantization[index])
    # A block that the border cuts through is fitted with all that it has.
    cut = (components["whole_columns"] < components["columns"]) | (components["whole_rows"] < components["rows"])
    wanted = (components["targets"][:, KEPT] >= 0) | cut[:, np.newaxis]
    nonzero = [np.zeros(each.rows * each.columns, np.uint64) for each in frame.components]
    data = np.frombuffer(reader.data, np.uint8)
    for scan, end in needed_scans(script, wanted):
        _decode(data[: end + 2], frame, scan, components, nonzero[scan.components[0]], planes.values)
    fit_border_blocks(components, planes.values)


def _decode(
    data: NDArray[np.uint8],
    frame: FrameHeader,
    scan: ScanHeader,
    components: NDArray[np.void],
    nonzero: NDArray[np.uint64],
    out: NDArray[np.float32],
) -> int:
    """Decode one scan; return where the next marker is."""
    entropy_coded, layout, of_scan, tables = scan_records(data, frame, scan, components)
    error = decode_scan(entropy_coded.data, entropy_coded.bounds, layout, of_scan, tables, nonzero, out)
    if error:
        raise UnsupportedJpeg(f"entropy-coded data that are wrong ({error})")
    return entropy_coded.end


def scan_records(
    data: NDArray[np.uint8], frame: FrameHeader, scan: ScanHeader, components: NDArray[np.void]
) -> tuple[EntropyCodedData, NDArray[np.void], NDArray[np.void], NDArray[np.void]]:
    """Return what the compiled decoder gets of a scan: its data, and SCAN, COMPONENT and HUFFMAN records.

    Raises:
        UnsupportedJpeg: A table is missing, or the data do not end.
    """
    rows, columns = frame.mcus(scan.components)
    interval = scan.restart_interval or rows * columns
    band = (2 << scan.se) - (1 << scan.ss)
    layout = np.array([(scan.ss, scan.se, scan.ah, scan.al, band, interval, rows * columns, columns)], SCAN)
    tables = _decoding_tables(scan, sequential=not frame.progressive)
    of_scan = np.empty(len(scan.components), COMPONENT)
    for index, component in enumerate(scan.components):
        of_scan[index] = components[component]
        of_scan[index]["td"], of_scan[index]["ta"] = index, index + len(of_scan) * (scan.ss == 0)
    if len(of_scan) == 1:
        of_scan["h"] = of_scan["v"] = 1
    entropy_coded = entropy_coded_data(data, scan, frame)
    return entropy_coded, layout, of_scan, tables


def _decoding_tables(scan: ScanHeader, *, sequential: bool) -> NDArray[np.void]:
    """Return the HUFFMAN records that the scan needs: those of DC differences, then those of AC coefficients."""
    found = [decoding_table(each, dc=True) for each in scan.dc_tables if scan.ss == 0 and not scan.ah]
    found += [decoding_table(each, whole=sequential) for each in scan.ac_tables if scan.se]
    tables = np.empty(len(found), HUFFMAN)
    for index, table in enumerate(found):
        tables[index] = table
    return tables
