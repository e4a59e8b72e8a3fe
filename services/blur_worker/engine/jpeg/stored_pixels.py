"""The pixels of parts of a stored JPEG: only the blocks under them become samples, and coefficients again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.jpeg.format.tables import QuantizationTable
from services.blur_worker.engine.jpeg.transform.planes import CoefficientPlane, PlaneSet
from services.blur_worker.engine.jpeg.transform.samples import to_coefficients, to_samples
from services.blur_worker.engine.layers import Layer
from services.blur_worker.engine.outlines import Mask
from services.blur_worker.engine.raster import Box, Raster, Size

MODES = {1: "L", 3: "YCbCr"}


@dataclass(frozen=True)
class StoredComponent:
    """A decoded component of a JPEG, upright."""

    plane: CoefficientPlane
    blocks: NDArray[np.float32]
    """(rows, 64, columns): quantized coefficients."""
    quantization: QuantizationTable
    down: int
    """Rows of pixels that a sample covers: 1 or 2; as `across` for columns."""
    across: int


@dataclass(frozen=True)
class ChangedBlocks:
    """A box of blocks of a component, some of which are changed."""

    top: int
    left: int
    changed: NDArray[np.bool_]
    """(rows, columns)."""
    coefficients: NDArray[np.int16]
    """(rows, 64, columns)."""

    def write(self, begin: int, end: int, out: NDArray[Any]) -> None:
        """Put those into `out` that lie in the rows from `begin` to before `end`, with which it begins."""
        first, last = max(begin, self.top), min(end, self.top + len(self.changed))
        if first < last:
            rows = slice(first - self.top, last - self.top)
            columns = slice(self.left, self.left + self.changed.shape[1])
            target = out[first - begin : last - begin, :, columns]
            np.copyto(target, self.coefficients[rows], where=self.changed[rows, np.newaxis])


def stored_components(stored: PlaneSet, quantization: Sequence[QuantizationTable]) -> list[StoredComponent]:
    """Return the components of an image whose planes are kept as they are stored."""
    v_max, h_max = max(plane.v for plane in stored.planes), max(plane.h for plane in stored.planes)
    return [
        StoredComponent(
            plane, plane.values.reshape(plane.rows, 64, plane.columns), table, v_max // plane.v, h_max // plane.h
        )
        for plane, table in zip(stored.planes, quantization, strict=True)
    ]


def blank(components: Sequence[StoredComponent], size: Size) -> Raster:
    """Return a raster into which pixels can be drawn: what is not drawn takes no memory."""
    return Raster(MODES[len(components)], np.zeros((size[1], size[0], len(components)), np.uint8))


def draw(components: Sequence[StoredComponent], box: Box, raster: Raster) -> None:
    """Draw the pixels of all blocks that a box touches."""
    left, top, right, bottom = _whole_mcus(components, box)
    for channel, component in enumerate(components):
        target = raster.samples[top:bottom, left:right, channel]
        target[:] = _shown(component, left, top, left + target.shape[1], top + target.shape[0])


def hidden_blocks(components: Sequence[StoredComponent], found: Sequence[Layer]) -> list[NDArray[np.bool_]]:
    """Return which blocks of each component, (rows, columns), are replaced by `changed_blocks` of these layers."""
    hidden = [np.zeros((each.plane.rows, each.plane.columns), np.bool_) for each in components]
    for layer in found:
        for all_blocks, (top, left, touched) in zip(hidden, _touched(components, layer.box, layer.mask), strict=True):
            all_blocks[top:, left:][: len(touched), : touched.shape[1]] |= touched
    return hidden


def changed_blocks(components: Sequence[StoredComponent], raster: Raster, box: Box, mask: Mask) -> list[ChangedBlocks]:
    """Encode anew, of each component, the blocks with a pixel above 0 in the mask of a box."""
    left, top, right, bottom = _whole_mcus(components, box)
    part = raster.samples[top:bottom, left:right]
    # What an encoder puts beyond the border: the last pixels once more.
    beyond = (0, bottom - top - part.shape[0]), (0, right - left - part.shape[1])
    found = []
    for channel, (first_row, first_column, touched) in enumerate(_touched(components, box, mask)):
        component = components[channel]
        pixels = np.pad(part[..., channel], beyond, mode="edge") if any(map(any, beyond)) else part[..., channel]
        coefficients = to_coefficients(_means(pixels, component.down, component.across), component.quantization)
        rows, columns = touched.shape
        found.append(ChangedBlocks(first_row, first_column, touched, coefficients[:rows, :, :columns]))
    return found


def _touched(components: Sequence[StoredComponent], box: Box, mask: Mask) -> list[tuple[int, int, NDArray[np.bool_]]]:
    """Return of each component the first row and column of blocks in a box, and which blocks a mask touches there."""
    left, top, right, bottom = _whole_mcus(components, box)
    touched = np.zeros((bottom - top, right - left), np.bool_)
    touched[box[1] - top : box[3] - top, box[0] - left : box[2] - left] = mask > 0
    # Eight pixels of a row at a time.
    by_eight = np.asarray(touched.view(np.uint64).reshape((bottom - top) // 8, 8, -1).any(axis=1))
    found = []
    for component in components:
        down, across, plane = component.down, component.across, component.plane
        by_block = np.asarray(by_eight.reshape(len(by_eight) // down, down, -1, across).any(axis=(1, 3)))
        first_row, first_column = top // 8 // down, left // 8 // across
        found.append((first_row, first_column, by_block[: plane.rows - first_row, : plane.columns - first_column]))
    return found


def _whole_mcus(components: Sequence[StoredComponent], box: Box) -> Box:
    """Grow a box to the blocks of all components; it may reach beyond the image."""
    down, across = 8 * max(each.down for each in components), 8 * max(each.across for each in components)
    left, top, right, bottom = box
    return left // across * across, top // down * down, -(-right // across) * across, -(-bottom // down) * down


def _shown(component: StoredComponent, left: int, top: int, right: int, bottom: int) -> NDArray[np.uint8]:
    """Return the pixels of a box that begins with a block."""
    plane, down, across = component.plane, component.down, component.across
    # With the blocks around it, between whose samples those of chroma are interpolated.
    rows = slice(max(top // 8 // down - (down > 1), 0), -(-bottom // 8 // down) + (down > 1))
    columns = slice(max(left // 8 // across - (across > 1), 0), -(-right // 8 // across) + (across > 1))
    samples = to_samples(component.blocks[rows, :, columns], component.quantization)
    samples = samples[: plane.height - 8 * rows.start, : plane.width - 8 * columns.start]
    first_row, first_column = top - 8 * down * rows.start, left - 8 * across * columns.start
    return _enlarged(samples, down, across)[first_row:, first_column:][: bottom - top, : right - left]


def _enlarged(samples: NDArray[np.uint8], down: int, across: int) -> NDArray[np.uint8]:
    """Interpolate as libjpeg does: three quarters of the nearest sample, a quarter of the next one."""
    if down == across == 1:
        return samples
    values: NDArray[np.int16] = samples.astype(np.int16)
    if down > 1:
        values = _between(values)
    if across > 1:
        values = _between(values.T).T
    bits = 2 * (down + across - 2)
    # Halves are rounded up and down in turn.
    half = 1 << (bits - 1)
    values[:, ::2] += half
    values[:, 1::2] += half - 1
    values >>= bits
    return values.astype(np.uint8)


def _between(values: NDArray[np.int16]) -> NDArray[np.int16]:
    """Return twice as many rows, each four times as large."""
    out = np.empty((2 * len(values), values.shape[1]), np.int16)
    three = 3 * values
    np.add(three[1:], values[:-1], out=out[2::2])
    np.add(three[:-1], values[1:], out=out[1:-1:2])
    out[0], out[-1] = 4 * values[0], 4 * values[-1]
    return out


def _means(pixels: NDArray[np.uint8], down: int, across: int) -> NDArray[np.float32]:
    """Return samples, each the mean of its pixels."""
    sums: NDArray[np.uint16] = pixels.astype(np.uint16)
    for _ in range(1, down):
        sums = sums[::2] + sums[1::2]
    for _ in range(1, across):
        sums = sums[:, ::2] + sums[:, 1::2]
    means: NDArray[np.float32] = sums.astype(np.float32)
    means /= down * across
    return means
