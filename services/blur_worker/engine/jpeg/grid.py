"""The small picture that is blurred in the place of the large one: the kept coefficients of each plane, upright."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.jpeg import scans
from services.blur_worker.engine.jpeg.axis import Axis, axis_of, refit
from services.blur_worker.engine.jpeg.markers import ZIGZAG, Component, FrameHeader, UnfitError


@dataclass(frozen=True)
class Turn:
    """How a picture is turned upright: first transposed, then flipped."""

    transposed: bool
    flipped_x: bool
    flipped_y: bool


TURNS = {
    1: Turn(False, False, False),
    2: Turn(False, True, False),
    3: Turn(False, True, True),
    4: Turn(False, False, True),
    5: Turn(True, False, False),
    6: Turn(True, True, False),
    7: Turn(True, True, True),
    8: Turn(True, False, True),
}
"""By EXIF orientation."""


@dataclass(frozen=True)
class Grid:
    """One plane, upright, before and while it is read."""

    source: Component
    turn: Turn
    width: int
    """In samples; as `height`."""
    height: int
    horizontal: int
    """Its sampling factors; as `vertical`."""
    vertical: int
    x: Axis
    y: Axis
    values: NDArray[np.float32]
    """(blocks down × kept down, kept across, blocks across), a part of the array of all planes."""
    offset: int
    """Where in that array it begins."""
    aside: int = 0
    """Where in that array a progressive JPEG's blocks are gathered that the border cuts through."""
    as_stored: bool = False
    """Whether all is kept that stands in the file, not yet multiplied, with what goes beyond the picture."""

    @property
    def columns(self) -> int:
        """Blocks in a row."""
        return -(-self.width // 8)

    @property
    def rows(self) -> int:
        """Rows of blocks."""
        return -(-self.height // 8)

    def layout(self, dc: int, ac: int, *, alone: bool) -> list[int]:
        """Where `scans.read_scan` puts the plane's blocks: turned upright by nothing but where that is."""
        row = [0] * scans.LAYOUT
        row[scans.HORIZONTAL], row[scans.VERTICAL] = (1, 1) if alone else (self.source.horizontal, self.source.vertical)
        row[scans.COLUMNS], row[scans.ROWS] = self.source.columns, self.source.rows
        row[scans.DC], row[scans.AC], row[scans.BASE] = dc, ac, self.offset
        x, y = 1, self.y.kept * self.x.kept * self.columns
        if self.turn.flipped_x:
            row[scans.BASE] += (self.columns - 1) * x
            x = -x
        if self.turn.flipped_y:
            row[scans.BASE] += (self.rows - 1) * y
            y = -y
        row[scans.PER_COLUMN], row[scans.PER_ROW] = (y, x) if self.turn.transposed else (x, y)
        if not self.as_stored:
            row[scans.RAGGED_RIGHT], row[scans.RAGGED_BOTTOM] = self.source.width % 8, self.source.height % 8
        return row

    def targets(self) -> NDArray[np.int64]:
        """Where in a block's place each coefficient goes, in the order of the stream; -1: nowhere."""
        u, v = self._upright()
        wanted = (u < self.x.kept) & (v < self.y.kept)
        return np.where(wanted, (v * self.x.kept + u) * self.columns, -1)

    def _upright(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        u, v = ZIGZAG.astype(np.int64) % 8, ZIGZAG.astype(np.int64) // 8
        return (v, u) if self.turn.transposed else (u, v)

    def factors(self, divisors: NDArray[np.uint16]) -> NDArray[np.float32]:
        """What each coefficient is multiplied by, in the order of the stream: flipped, every other one is negative."""
        u, v = self._upright()
        odd = u * self.turn.flipped_x + v * self.turn.flipped_y
        signs = np.where(odd % 2, -1, 1).astype(np.float32)
        return signs if self.as_stored else signs * divisors

    def upright_divisors(self, divisors: NDArray[np.uint16]) -> NDArray[np.uint16]:
        """Those of the upright plane, in the order of the stream."""
        u, v = self._upright()
        turned = np.empty_like(divisors)
        turned[np.argsort(ZIGZAG)[8 * v + u]] = divisors
        return turned

    def refits(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """For the source's last column of blocks and for its last row, see `refit`."""
        x, y = (self.x.kept, self.turn.flipped_x), (self.y.kept, self.turn.flipped_y)
        if self.turn.transposed:
            x, y = y, x
        return (
            refit(self.source.width % 8 or 8, x[0], at_end=not x[1]),
            refit(self.source.height % 8 or 8, y[0], at_end=not y[1]),
        )

    def cells(self) -> NDArray[np.float32]:
        """(cells down × kept down, kept across, cells across): what is blurred."""
        values = self.values
        if self.x.together > 1:
            values = _together(values, 2, self.width, self.x.together, lead=self.turn.flipped_x)
        if self.y.together > 1:
            values = _together(values, 0, self.height, self.y.together, lead=self.turn.flipped_y)
        return values


def _together(values: NDArray[np.float32], axis: int, length: int, together: int, *, lead: bool) -> NDArray[np.float32]:
    """Takes blocks together to their mean, each by how many samples of the picture it has."""
    blocks = values.shape[axis]
    weights = np.full(blocks, 8, np.float32)
    weights[0 if lead else -1] = length % 8 or 8
    begins = np.arange(0, blocks, together)
    shape = [1] * values.ndim
    shape[axis] = -1
    sums = np.add.reduceat(values * weights.reshape(shape), begins, axis=axis)
    return np.ascontiguousarray(sums / np.add.reduceat(weights, begins).reshape(shape), np.float32)


@dataclass(frozen=True)
class Picture:
    """All planes of a picture that is to be blurred."""

    grids: tuple[Grid, ...]
    values: NDArray[np.float32]
    """Those of all grids, one after the other; if progressive, what is `aside`; then `scans.SPARE` more."""


def plan_as_stored(frame: FrameHeader, orientation: int) -> Picture:
    """Makes room for all that a picture stores, upright: a grid's values are (rows × 8, 8, columns).

    Raises:
        UnfitError: It cannot be turned without loss: the border cuts through blocks that would come first.
    """
    turn = TURNS[orientation]
    beyond_x = frame.width % (8 * max(each.horizontal for each in frame.components))
    beyond_y = frame.height % (8 * max(each.vertical for each in frame.components))
    if turn.transposed:
        beyond_x, beyond_y = beyond_y, beyond_x
    if (turn.flipped_x and beyond_x) or (turn.flipped_y and beyond_y):
        raise UnfitError("a picture that cannot be turned without loss")
    picture = plan(frame, 0, orientation)
    return replace(picture, grids=tuple(replace(grid, as_stored=True) for grid in picture.grids))


def plan(frame: FrameHeader, sigma: float, orientation: int) -> Picture:
    """Makes room for what has to be known of a picture that is to be blurred by `sigma` pixels."""
    turn = TURNS[orientation]
    widest = max(each.horizontal for each in frame.components)
    tallest = max(each.vertical for each in frame.components)
    shapes = []
    for each in frame.components:
        x = (each.width, each.horizontal, sigma * each.horizontal / widest)
        y = (each.height, each.vertical, sigma * each.vertical / tallest)
        if turn.transposed:
            x, y = y, x
        across = axis_of(x[0], x[2], -x[0] % 8 if turn.flipped_x else 0)
        down = axis_of(y[0], y[2], -y[0] % 8 if turn.flipped_y else 0)
        shapes.append((each, x, y, across, down, (-(-y[0] // 8) * down.kept, across.kept, -(-x[0] // 8))))
    ends = np.cumsum([math.prod(shape) for *_, shape in shapes]).tolist()
    beside = [(each.rows + each.columns) * scans.SPARE * frame.progressive for each in frame.components]
    asides = np.cumsum([ends[-1], *beside]).tolist()
    values = np.zeros(asides[-1] + scans.SPARE, np.float32)
    grids = []
    for (each, x, y, across, down, shape), end, aside in zip(shapes, ends, asides, strict=False):
        offset = end - math.prod(shape)
        part = values[offset:end].reshape(shape)
        grids.append(Grid(each, turn, x[0], y[0], x[1], y[1], across, down, part, offset, aside))
    return Picture(tuple(grids), values)
