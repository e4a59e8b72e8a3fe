"""Scan headers (T.81, B.2.3)."""

from dataclasses import dataclass

from services.blur_worker.engine.jpeg.format.frame import FrameHeader
from services.blur_worker.engine.jpeg.format.markers import UnsupportedJpeg
from services.blur_worker.engine.jpeg.format.tables import HuffmanTable


@dataclass(frozen=True)
class ScanHeader:
    """What SOS announces, with the tables that are in force."""

    start: int
    """Where the entropy-coded data begin in the file."""
    components: tuple[int, ...]
    """Indices into those of the frame."""
    dc_tables: tuple[HuffmanTable | None, ...]
    """DC table of each component; `ac_tables` has the AC tables."""
    ac_tables: tuple[HuffmanTable | None, ...]
    restart_interval: int
    """MCUs between restart markers, Ri; 0: there are none."""
    ss: int
    """Spectral selection: coefficients `ss` to `se`, in zig-zag order."""
    se: int
    ah: int
    """Successive approximation: the `al` of the scan that this one refines; 0 in the first scan of a band."""
    al: int
    """How many low bits of each coefficient later scans bring."""


def scan_header(
    start: int,
    parameters: bytes,
    frame: FrameHeader,
    tables: tuple[dict[int, HuffmanTable], dict[int, HuffmanTable]],
    restart_interval: int,
) -> ScanHeader:
    """Parse the parameters of SOS.

    Args:
        start: Where the segment ends.
        parameters: Its bytes.
        frame: The header before it.
        tables: The DC and the AC tables that are defined, by their numbers.
        restart_interval: That of the last DRI segment.

    Raises:
        UnsupportedJpeg: It is malformed, or not one that T.81 allows in such a frame.
    """
    if not parameters or len(parameters) != 4 + 2 * parameters[0] or not 1 <= parameters[0] <= 4:
        raise UnsupportedJpeg("a malformed scan header")
    identifiers = [each.identifier for each in frame.components]
    selectors = parameters[1:-3:2]
    if not set(selectors) <= set(identifiers):
        raise UnsupportedJpeg("a scan of unknown components")
    components = tuple(identifiers.index(each) for each in selectors)
    if sorted(set(components)) != list(components):
        raise UnsupportedJpeg("components out of order")
    dc_tables, ac_tables = tables
    destinations = parameters[2:-3:2]
    ss, se, approximation = parameters[-3:]
    scan = ScanHeader(
        start,
        components,
        tuple(dc_tables.get(each >> 4) for each in destinations),
        tuple(ac_tables.get(each & 15) for each in destinations),
        restart_interval,
        ss,
        se,
        approximation >> 4,
        approximation & 15,
    )
    _check_progression(scan, progressive=frame.progressive)
    return scan


def _check_progression(scan: ScanHeader, *, progressive: bool) -> None:
    """Check spectral selection and successive approximation (table B.3, G.1.1.1)."""
    if not progressive:
        allowed = (scan.ss, scan.se, scan.ah, scan.al) == (0, 63, 0, 0)
    elif scan.ss == 0:
        allowed = scan.se == 0
    else:
        allowed = scan.ss <= scan.se < 64 and len(scan.components) == 1
    if not allowed or scan.al > 13 or (scan.ah and scan.ah != scan.al + 1):
        raise UnsupportedJpeg("a scan of an unusual kind")
