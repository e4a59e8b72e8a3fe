"""The scans of a progressive JPEG (T.81, G.1.1): whether they bring everything in order, and which are needed."""

import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.jpeg.format.frame import FrameHeader
from services.blur_worker.engine.jpeg.format.header_reader import HeaderReader
from services.blur_worker.engine.jpeg.format.markers import UnsupportedJpeg
from services.blur_worker.engine.jpeg.format.scan_header import ScanHeader

_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""One that ends entropy-coded data: neither a stuffed byte nor a restart marker."""
_NEVER = -1


class LocatedScan(NamedTuple):
    """A scan of a file."""

    scan: ScanHeader
    end: int
    """Where the next marker is."""


def scan_script(reader: HeaderReader, frame: FrameHeader, first: ScanHeader) -> list[LocatedScan]:
    """Read the headers of all scans.

    libjpeg draws what has come of an image, smoothed where something is missing. Here all bits of all coefficients
    have to come, each once; so a file has no more scans than there are coefficients and bits.

    Raises:
        UnsupportedJpeg: They do not.
    """
    al = np.full((len(frame.components), 64), _NEVER)
    script = []
    scan: ScanHeader | None = first
    while scan is not None:
        for component in scan.components:
            _advance(al[component], scan)
        if scan.ss and scan.ac_tables[0] is None:
            raise UnsupportedJpeg("a Huffman table is missing")
        found = _MARKER.search(reader.data, scan.start)
        if found is None:
            raise UnsupportedJpeg("a scan that does not end")
        script.append(LocatedScan(scan, found.start()))
        scan = reader.next_scan(found.start())
    if al.any():
        raise UnsupportedJpeg("scans are missing")
    return script


def _advance(al: NDArray[np.int64], scan: ScanHeader) -> None:
    """Note how many bits of each coefficient of a component are yet to come after this scan."""
    band = al[scan.ss : scan.se + 1]
    if (band != (scan.ah or _NEVER)).any() or (scan.ss and al[0] == _NEVER):
        raise UnsupportedJpeg("scans out of order")
    band[:] = scan.al


def needed_scans(script: list[LocatedScan], wanted: NDArray[np.bool_]) -> list[LocatedScan]:
    """Leave out the scans that bring nothing of what is wanted, (components, 64).

    How a scan refines coefficients depends on which of its band are 0 so far: all of them must be known then.
    """
    known, needed = wanted.copy(), []
    for located in reversed(script):
        scan = located.scan
        band = known[list(scan.components), scan.ss : scan.se + 1]
        if not band.any():
            continue
        needed.append(located)
        if scan.ah and scan.ss:
            known[scan.components[0], scan.ss : scan.se + 1] = True
    return needed[::-1]
