"""Reads all scans of a baseline JPEG into the grids of its planes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.jpeg import scans, stuffing
from services.blur_worker.engine.jpeg.grid import Picture
from services.blur_worker.engine.jpeg.huffman import decoding_table, skipping_table
from services.blur_worker.engine.jpeg.markers import ZIGZAG, FrameHeader, Scan, Stream, UnfitError


@dataclass(frozen=True)
class Entropy:
    """The entropy-coded data of a scan: see `stuffing.unstuff`."""

    data: NDArray[np.uint8]
    bounds: NDArray[np.int64]
    end: int
    """Where the next marker is."""


def units(frame: FrameHeader, scan: Scan) -> tuple[int, int]:
    """Rows of minimum coded units, and units in a row."""
    if len(scan.components) > 1:
        return frame.mcu_rows, frame.mcu_columns
    alone = frame.components[scan.components[0]]
    return alone.rows, alone.columns


def entropy_of(data: NDArray[np.uint8], scan: Scan, frame: FrameHeader) -> Entropy:
    """Takes the data of a scan apart.

    Raises:
        UnfitError: It does not end, or is not restarted as often as it should be.
    """
    rows, columns = units(frame, scan)
    pieces = -(-rows * columns // scan.restart_interval) if scan.restart_interval else 1
    out = np.empty(len(data) - scan.start + stuffing.PADDING, np.uint8)
    bounds = np.zeros(pieces + 1, np.int64)
    end, size, found = stuffing.unstuff(data, scan.start, out, bounds)
    if end < 0 or found != pieces:
        raise UnfitError("a scan that does not end as it should")
    out[size : size + stuffing.PADDING] = 0
    return Entropy(out, bounds, end)


def read_sequential(data: bytes, stream: Stream, scan: Scan | None, picture: Picture) -> None:
    """Reads the scans from the first one on.

    Raises:
        UnfitError: Anything that is not as it should be; what was read is worth nothing then.
    """
    frame = stream.frame
    assert frame is not None
    everything = np.frombuffer(data, np.uint8)
    seen: list[int] = []
    while scan is not None:
        seen.extend(scan.components)
        if len(set(seen)) < len(seen):
            raise UnfitError("a component comes twice")
        scan = stream.next_scan(_read(everything, stream, frame, scan, picture))
    if len(seen) != len(picture.grids):
        raise UnfitError("a component is missing")


def _read(everything: NDArray[np.uint8], stream: Stream, frame: FrameHeader, scan: Scan, picture: Picture) -> int:
    entropy = entropy_of(everything, scan, frame)
    grids = [picture.grids[index] for index in scan.components]
    alone, count = len(grids) == 1, len(grids)
    tables = [decoding_table(each, dc=True) for each in scan.dc] + [decoding_table(each, dc=False) for each in scan.ac]
    skips = [skipping_table(each) for each in scan.ac if each]
    targets = np.stack([*(each.targets() for each in grids), ZIGZAG.astype(np.int64)])
    across, down = zip(*(each.refits() for each in grids), strict=True)
    rows, columns = units(frame, scan)
    state = scans.read_scan(
        entropy.data,
        entropy.bounds,
        scan.restart_interval or rows * columns,
        rows,
        columns,
        np.array([each.layout(index, count + index, alone=alone) for index, each in enumerate(grids)]),
        np.stack(tables),
        np.stack(skips * 2),
        np.stack([picture.grids[index].factors(stream.divisors[index]) for index in scan.components]),
        _flat(across),
        _flat(down),
        targets,
        64 - np.argmax(targets[:, ::-1] >= 0, axis=1) - 1,
        ZIGZAG,
        np.zeros(count, np.int64),
        picture.values,
    )
    if state != scans.OK:
        raise UnfitError(f"entropy-coded data that are wrong ({state})")
    return entropy.end


def _flat(matrices: tuple[NDArray[np.float32], ...]) -> NDArray[np.float32]:
    return np.stack([*matrices, np.eye(8, dtype=np.float32)]).reshape(-1, 64)
