"""The scans of a progressive JPEG: whether they come in order and bring everything, and which of them matter."""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.jpeg.markers import Scan, Stream, UnfitError

_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""One that ends entropy-coded data: neither a stuffed byte nor a restart."""
_NEVER = -1


@dataclass(frozen=True)
class Step:
    """A scan, and where the next marker is."""

    scan: Scan
    end: int


def steps_of(data: bytes, stream: Stream, scan: Scan | None) -> list[Step]:
    """Reads the headers of all scans from the first one on.

    libjpeg draws what has come of a picture, smoothed where something is missing. Here all bits of all coefficients
    have to come, each once; so a file has no more scans than there are coefficients and bits.

    Raises:
        UnfitError: They do not.
    """
    assert stream.frame is not None
    lows = np.full((len(stream.frame.components), 64), _NEVER)
    steps = []
    while scan is not None:
        for component in scan.components:
            _advance(lows[component], scan)
        if scan.first and scan.ac[0] is None:
            raise UnfitError("a Huffman table is missing")
        found = _MARKER.search(data, scan.start)
        if found is None:
            raise UnfitError("a scan that does not end")
        steps.append(Step(scan, found.start()))
        scan = stream.next_scan(found.start())
    if lows.any():
        raise UnfitError("scans are missing")
    return steps


def _advance(lows: NDArray[np.int64], scan: Scan) -> None:
    """Notes how many bits of each coefficient of a component are yet to come after this scan."""
    band = lows[scan.first : scan.last + 1]
    if (band != (scan.high or _NEVER)).any() or (scan.first and lows[0] == _NEVER):
        raise UnfitError("scans out of order")
    band[:] = scan.low


def that_matter(steps: list[Step], wanted: NDArray[np.bool_]) -> list[Step]:
    """Leaves out the scans that bring nothing of what is wanted, (components, 64).

    How a scan refines coefficients depends on which of its band are 0 so far: all of them must be known then.
    """
    known, chosen = wanted.copy(), []
    for step in reversed(steps):
        scan = step.scan
        band = known[list(scan.components), scan.first : scan.last + 1]
        if not band.any():
            continue
        chosen.append(step)
        if scan.high and scan.first:
            known[scan.components[0], scan.first : scan.last + 1] = True
    return chosen[::-1]
