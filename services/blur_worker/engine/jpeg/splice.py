"""The path of a JPEG of which only regions are blurred: all blocks that they do not touch stay what they are."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.blur_frame import blur_frame
from services.blur_worker.engine.decode import decode
from services.blur_worker.engine.images import Blurred
from services.blur_worker.engine.jpeg.axis import BASIS
from services.blur_worker.engine.jpeg.entropy import LARGEST
from services.blur_worker.engine.jpeg.envelope import envelope, keeping
from services.blur_worker.engine.jpeg.grid import Grid, plan_as_stored
from services.blur_worker.engine.jpeg.markers import ZIGZAG, UnfitError
from services.blur_worker.engine.jpeg.opening import open_jpeg
from services.blur_worker.engine.jpeg.writing import Kinds, write
from services.blur_worker.engine.limits import Limits
from services.blur_worker.engine.regions import region_mask
from services.blur_worker.engine.stage_timer import StageTimer
from services.common.domain.spec import BlurSpec, Format

NAME = "jpeg-splice"


def blur_regions(data: bytes, spec: BlurSpec, limits: Limits) -> Blurred | None:
    """Puts the effect into the blocks that regions touch; None if the file or the wish is not one for this path.

    Those blocks are encoded anew from their pixels, with the file's own divisors: nothing of what was there before is
    in them. The spec's quality says nothing here, since it would change the others. A picture is turned upright by
    turning its blocks.

    Raises:
        ImageError: See `blur`.
    """
    jpeg = data.startswith(b"\xff\xd8\xff") and spec.output_format in {None, Format.JPEG}
    if not (jpeg and spec.regions):
        return None
    try:
        return _splice(data, spec, limits)
    except UnfitError:
        return None


@dataclass
class _StoredPlane:
    """Coefficients as the result has them."""

    grid: Grid
    coefficients: NDArray[np.int16]
    """(rows, 64, columns), quantized."""

    def __post_init__(self) -> None:
        self.horizontal, self.vertical = self.grid.horizontal, self.grid.vertical
        self.rows, self.kinds, self.columns = self.coefficients.shape

    def order(self) -> Kinds:
        """See `Plane`."""
        return list(enumerate(ZIGZAG.tolist()))

    def rows_of(self, begin: int, end: int, out: NDArray[np.int16]) -> None:
        """See `Plane`."""
        out[:] = self.coefficients[begin:end]


def _splice(data: bytes, spec: BlurSpec, limits: Limits) -> Blurred:
    timer = StageTimer()
    opened = open_jpeg(data, limits, keep_metadata=spec.keep_metadata)
    stored = plan_as_stored(opened.frame, opened.orientation)
    opened.read_into(stored)
    if any(_without_code(grid.values.reshape(grid.rows, 64, grid.columns)) for grid in stored.grids):
        raise UnfitError("coefficients that have no code")
    tables = tuple(grid.upright_divisors(opened.stream.divisors[index]) for index, grid in enumerate(stored.grids))
    sampling = tuple((grid.horizontal, grid.vertical) for grid in stored.grids)
    small = opened.small_result(spec)
    head = keeping(small, envelope(small, *opened.displayed, sampling), tables)
    (frame,) = decode(data, limits, Format.JPEG, keep_metadata=False).frames
    timer.lap("decode")
    samples = blur_frame(frame, spec).raster.samples
    touched = region_mask(spec, opened.displayed) > 0
    planes = []
    for channel, (grid, table) in enumerate(zip(stored.grids, tables, strict=True)):
        blocks = grid.values.reshape(grid.rows, 64, grid.columns).astype(np.int16)
        _replace(blocks, samples[..., channel], touched, _step(stored.grids, grid), table)
        planes.append(_StoredPlane(grid, blocks))
    timer.lap("blur")
    encoded = write(planes, head, timer)
    width, height = opened.displayed
    return Blurred(
        data=encoded, format=Format.JPEG, width=width, height=height, frames=1, path=NAME, seconds=timer.seconds
    )


def _without_code(blocks: NDArray[np.float32]) -> bool:
    dc, others = blocks[:, 0], blocks[:, 1:]
    return bool(dc.min() < -LARGEST - 1 or dc.max() > LARGEST or np.abs(others).max() > LARGEST)


def _step(grids: tuple[Grid, ...], grid: Grid) -> tuple[int, int]:
    """Rows and columns of pixels that a sample of the plane stands for."""
    tallest, widest = max(each.vertical for each in grids), max(each.horizontal for each in grids)
    return tallest // grid.vertical, widest // grid.horizontal


def _replace(
    blocks: NDArray[np.int16],
    pixels: NDArray[np.unsignedinteger],
    touched: NDArray[np.bool_],
    step: tuple[int, int],
    divisors: NDArray[np.uint16],
) -> None:
    """Encodes anew, in place, the blocks (rows, 64, columns) of a plane that have a pixel that was touched."""
    rows, _, columns = blocks.shape
    down, across = step
    bottom, right = rows * 8 * down - len(pixels), columns * 8 * across - pixels.shape[1]
    beyond = ((0, bottom), (0, right))
    by_block = np.pad(touched, beyond).reshape(rows, 8 * down, columns, 8 * across).any(axis=(1, 3))
    y, x = np.nonzero(by_block)
    if not len(y):
        return
    pixel_rows, pixel_columns = np.arange(8 * down), np.arange(8 * across)
    table = divisors[np.argsort(ZIGZAG)].reshape(8, 8)
    for first in range(0, len(y), 1 << 12):
        some_y, some_x = y[first : first + (1 << 12)], x[first : first + (1 << 12)]
        of_y = np.minimum(some_y[:, np.newaxis] * 8 * down + pixel_rows, len(pixels) - 1)
        of_x = np.minimum(some_x[:, np.newaxis] * 8 * across + pixel_columns, pixels.shape[1] - 1)
        part = pixels[of_y[:, :, np.newaxis], of_x[:, np.newaxis, :]].astype(np.float32)
        samples = part.reshape(-1, 8, down, 8, across).mean(axis=(2, 4)) - 128
        exact = BASIS.astype(np.float32) @ samples @ BASIS.T.astype(np.float32)
        rounded = np.rint(exact / table).clip(-LARGEST, LARGEST).astype(np.int16)
        blocks[some_y, :, some_x] = rounded.reshape(-1, 64)
