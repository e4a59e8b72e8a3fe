"""Reads the scans of a progressive JPEG into the grids of its planes.

A coefficient comes in several scans, and is added up where it is kept. Of all others only one bit is remembered, 8
bytes a block: whether it is 0. Blocks that the border cuts through are kept whole, and fitted at the end.
"""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.jpeg import ac_scans, dc_scans, refinement, scans
from services.blur_worker.engine.jpeg.aside import fit_aside
from services.blur_worker.engine.jpeg.codes import TABLE, code_table
from services.blur_worker.engine.jpeg.grid import Grid, Picture
from services.blur_worker.engine.jpeg.markers import ZIGZAG, FrameHeader, Scan, Stream, UnfitError
from services.blur_worker.engine.jpeg.progression import Step, steps_of, that_matter
from services.blur_worker.engine.jpeg.reading import entropy_of, units


def read_progressive(data: bytes, stream: Stream, scan: Scan | None, picture: Picture) -> None:
    """Reads the scans from the first one on; those that bring nothing of what is kept are passed over.

    Of these only the headers are looked at. Damage behind them would not be seen: it reaches no other scan and no
    coefficient that is kept, and libjpeg too draws such a picture.

    Raises:
        UnfitError: Anything that is not as it should be; what was read is worth nothing then.
    """
    frame = stream.frame
    assert frame is not None
    steps = steps_of(data, stream, scan)
    planes = [_Plane(grid, stream.divisors[index]) for index, grid in enumerate(picture.grids)]
    everything = np.frombuffer(data, np.uint8)
    for step in that_matter(steps, np.stack([each.wanted for each in planes])):
        of_scan = [planes[index] for index in step.scan.components]
        state = _read(everything[: step.end + 2], step, frame, of_scan, picture.values)
        if state != scans.OK:
            raise UnfitError(f"entropy-coded data that are wrong ({state})")
    for plane in planes:
        fit_aside(plane.layout, *plane.grid.refits(), plane.targets, picture.values)


class _Plane:
    """What the loops are told of a plane."""

    def __init__(self, grid: Grid, divisors: NDArray[np.uint16]) -> None:
        self.grid = grid
        self.layout = np.array([*grid.layout(0, 0, alone=False), grid.aside])
        self.factors = grid.factors(divisors)
        self.targets = np.stack([grid.targets(), ZIGZAG.astype(np.int64)])
        self.wanted = (self.targets[0] >= 0) | bool(self.layout[[scans.RAGGED_RIGHT, scans.RAGGED_BOTTOM]].any())
        """By coefficient, in the order of the stream; a block that is cut is fitted with all that it has."""
        self.present = np.zeros(grid.source.rows * grid.source.columns, np.uint64)


def _read(
    data: NDArray[np.uint8], step: Step, frame: FrameHeader, planes: list[_Plane], out: NDArray[np.float32]
) -> int:
    scan, entropy = step.scan, entropy_of(data, step.scan, frame)
    rows, columns = units(frame, scan)
    interval = scan.restart_interval or rows * columns
    if scan.first:
        loop = refinement.read_refinement if scan.high else ac_scans.read_first
        return loop(
            entropy.data, entropy.bounds, interval, planes[0].layout, code_table(scan.ac[0]), scan.first, scan.last,
            scan.low, planes[0].factors, planes[0].targets, planes[0].present, out,
        )  # fmt: skip
    layout = np.stack([each.layout for each in planes])
    layout[:, scans.DC] = range(len(planes))
    if len(planes) == 1:
        layout[:, [scans.HORIZONTAL, scans.VERTICAL]] = 1
    tables = np.zeros((len(planes), TABLE), np.int32)
    if not scan.high:
        tables[:] = [code_table(each, dc=True) for each in scan.dc]
    factors = np.array([each.factors[0] for each in planes])
    return dc_scans.read_dc(
        entropy.data, entropy.bounds, interval, rows, columns, layout, tables, factors, scan.high > 0, scan.low, out
    )
