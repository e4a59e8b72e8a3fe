"""The coefficients that a blur needs of each component, upright: a small picture in the place of the large one."""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.jpeg.decode.clamped_blocks import SHARE, SHARE_OF_TEXT
from services.blur_worker.engine.jpeg.decode.huffman import SKIP_SUM_UNIT
from services.blur_worker.engine.jpeg.decode.layout import BORDER, COMPONENT, KEPT, PADDING
from services.blur_worker.engine.jpeg.format.frame import Component, FrameHeader, PlaneSize
from services.blur_worker.engine.jpeg.format.markers import FROM_ZIGZAG, ZIGZAG, UnsupportedJpeg
from services.blur_worker.engine.jpeg.format.tables import QuantizationTable
from services.blur_worker.engine.jpeg.transform.dct_gaussian import AxisGaussian, axis_gaussian, border_fit, detail_for
from services.blur_worker.engine.jpeg.transform.orientation import ORIENTATIONS, OrientationSteps

_IDENTITY = np.eye(8, dtype=np.float32)
_HIGHEST = 128
"""How far samples around 0 may be from -0.5, rounded."""
_BEYOND = 12
"""Most coefficients other than 0 behind the last that is wanted are among so many."""
_BLOCKS_OF_ROOM = 3


@dataclass(frozen=True)
class CoefficientPlane(PlaneSize):
    """One component, upright, before and while it is decoded."""

    component: Component
    """As it is stored."""
    orientation: OrientationSteps
    h: int
    """Its sampling factors when upright; as `v`."""
    v: int
    x: AxisGaussian
    y: AxisGaussian
    sigmas: tuple[float, float]
    """Standard deviations of the blur across and down, in samples."""
    values: NDArray[np.float32]
    """(blocks down × kept down, kept across, blocks across), a part of the array of all planes."""
    origin: int
    """Where in that array it begins."""
    border: int
    """Where in that array blocks are gathered that the border of the image cuts through."""
    nowhere: int
    """Where in that array there is room for what is not wanted."""
    whole: int
    """Where in that array there is room for three blocks."""
    sharp: bool
    """Whether it is one of text."""
    as_stored: bool
    """Whether all is kept that is in the file, not yet multiplied, with what goes beyond the border."""

    def record(self, quantization: QuantizationTable) -> NDArray[np.void]:
        """Return a COMPONENT record: the plane becomes upright by nothing but where the decoder puts blocks."""
        stored, steps = self.component, self.orientation
        made = _places(steps, self.x.kept, self.y.kept, self.columns).copy()
        made["h"], made["v"], made["columns"], made["rows"] = stored.h, stored.v, stored.columns, stored.rows
        made["whole_columns"] = stored.columns if self.as_stored else stored.width // 8
        made["whole_rows"] = stored.rows if self.as_stored else stored.height // 8
        origin, x, y = self.origin, 1, self.y.kept * self.x.kept * self.columns
        if steps.flipped_x:
            origin, x = origin + (self.columns - 1) * x, -x
        if steps.flipped_y:
            origin, y = origin + (self.rows - 1) * y, -y
        made["column_step"], made["row_step"] = (y, x) if steps.transposed else (x, y)
        made["origin"], made["border"], made["nowhere"] = origin, self.border, self.nowhere
        if not self.as_stored:
            made["factors"][:] *= quantization
        beyond = quantization[int(made["last"][KEPT]) + 1 :][:_BEYOND].tolist()
        made["beyond"] = SKIP_SUM_UNIT * sum(beyond) / max(len(beyond), 1)
        made["share"], made["often"] = SHARE_OF_TEXT if self.sharp else SHARE, self.sharp
        made["highest"], made["whole"] = np.inf if self.as_stored else _HIGHEST, self.whole
        made["fit_across"][0] = made["fit_down"][0] = _IDENTITY
        across, made["fit_down"][1] = self._fits()
        made["fit_across"][1] = across.T
        return made

    def upright_quantization(self, quantization: QuantizationTable) -> QuantizationTable:
        """Return the component's quantization table for the upright plane."""
        u, v = _upright(self.orientation)
        upright = np.empty_like(quantization)
        upright[FROM_ZIGZAG[8 * v + u]] = quantization
        return upright

    def _fits(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """For the last stored column of blocks and for the last row, see `border_fit`."""
        x, y = (self.x.kept, self.orientation.flipped_x), (self.y.kept, self.orientation.flipped_y)
        if self.orientation.transposed:
            x, y = y, x
        return (
            border_fit(self.component.width % 8 or 8, x[0], at_end=not x[1]),
            border_fit(self.component.height % 8 or 8, y[0], at_end=not y[1]),
        )

    def cells(self) -> NDArray[np.float32]:
        """Return what is blurred: (cells down × kept down, kept across, cells across)."""
        values = self.values
        if self.x.together > 1:
            values = _means(values, 2, self.width, self.x.together, lead=self.orientation.flipped_x)
        if self.y.together > 1:
            values = _means(values, 0, self.height, self.y.together, lead=self.orientation.flipped_y)
        return values


@lru_cache(maxsize=64)
def _places(steps: OrientationSteps, kept_across: int, kept_down: int, columns: int) -> NDArray[np.void]:
    """Return a COMPONENT record of which only is filled where coefficients lie, and with which sign."""
    made = np.zeros((), COMPONENT)
    u, v = _upright(steps)
    wanted = (u < kept_across) & (v < kept_down)
    made["targets"][KEPT] = np.where(wanted, (v * kept_across + u) * columns, -1)
    made["targets"][BORDER] = ZIGZAG
    made["targets"][PADDING] = -1
    made["wanted"][:] = np.packbits(wanted, bitorder="little").view(np.uint64)[0], 2**64 - 1, 0
    places = np.flatnonzero(wanted)
    made["last"][:] = places[-1], 63, 0
    # Flipped, every other coefficient is negative.
    made["factors"][:] = 1 - (u * steps.flipped_x + v * steps.flipped_y) % 2 * 2
    made["wanted_count"], made["wanted_rows"] = len(places), kept_across if steps.transposed else kept_down
    made["wanted_of"][: len(places)] = ZIGZAG[places]
    made["wanted_at"][: len(places)] = made["targets"][KEPT, places]
    return made


def _upright(steps: OrientationSteps) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Horizontal and vertical frequency of each coefficient of the file."""
    u, v = ZIGZAG.astype(np.int64) % 8, ZIGZAG.astype(np.int64) // 8
    return (v, u) if steps.transposed else (u, v)


def _means(values: NDArray[np.float32], axis: int, length: int, together: int, *, lead: bool) -> NDArray[np.float32]:
    """Take blocks together to their mean, each by how many samples of the image it has."""
    blocks = values.shape[axis]
    weights = np.full(blocks, 8, np.float32)
    weights[0 if lead else -1] = length % 8 or 8
    begins = np.arange(0, blocks, together)
    shape = [1] * values.ndim
    shape[axis] = -1
    sums = np.add.reduceat(values * weights.reshape(shape), begins, axis=axis)
    return np.ascontiguousarray(sums / np.add.reduceat(weights, begins).reshape(shape), np.float32)


@dataclass(frozen=True)
class PlaneSet:
    """All planes of an image that is to be blurred."""

    planes: tuple[CoefficientPlane, ...]
    values: NDArray[np.float32]
    """Those of all planes, one after the other; then the border blocks, room for three blocks, and for one number."""


def plan_as_stored(frame: FrameHeader, orientation: int) -> PlaneSet:
    """Make room for all that an image stores, upright: a plane's values are (rows × 8, 8, columns).

    Raises:
        UnsupportedJpeg: It cannot be turned without loss: the border cuts through blocks that would come first.
    """
    steps = ORIENTATIONS[orientation]
    beyond_x, beyond_y = frame.width % (8 * frame.h_max), frame.height % (8 * frame.v_max)
    if steps.transposed:
        beyond_x, beyond_y = beyond_y, beyond_x
    if (steps.flipped_x and beyond_x) or (steps.flipped_y and beyond_y):
        raise UnsupportedJpeg("an image that cannot be turned without loss")
    made = plan(frame, 0, orientation)
    return replace(made, planes=tuple(replace(plane, as_stored=True) for plane in made.planes))


def plan(frame: FrameHeader, sigma: float, orientation: int, *, sharp: bool = False) -> PlaneSet:
    """Make room for what has to be known of an image that is to be blurred by `sigma` pixels; `sharp`: of text."""
    steps = ORIENTATIONS[orientation]
    shapes = []
    for each in frame.components:
        x = (each.width, each.h, sigma * each.h / frame.h_max)
        y = (each.height, each.v, sigma * each.v / frame.v_max)
        if steps.transposed:
            x, y = y, x
        across = axis_gaussian(x[0], x[2], -x[0] % 8 if steps.flipped_x else 0, detail_for(x[2], sharp=sharp))
        down = axis_gaussian(y[0], y[2], -y[0] % 8 if steps.flipped_y else 0, detail_for(y[2], sharp=sharp))
        shapes.append((each, x, y, across, down, (-(-y[0] // 8) * down.kept, across.kept, -(-x[0] // 8))))
    sizes = [math.prod(shape) for *_, shape in shapes] + [64 * (each.rows + each.columns) for each in frame.components]
    begins = np.cumsum([0, *sizes]).tolist()
    values = np.zeros(begins[-1] + 64 * _BLOCKS_OF_ROOM + 1, np.float32)
    planes = []
    for (each, x, y, across, down, shape), begin, border in zip(shapes, begins, begins[len(shapes) :], strict=False):
        part = values[begin : begin + math.prod(shape)].reshape(shape)
        nowhere, whole = len(values) - 1, begins[-1]
        planes.append(
            CoefficientPlane(
                x[0],
                y[0],
                each,
                steps,
                x[1],
                y[1],
                across,
                down,
                (x[2], y[2]),
                part,
                begin,
                border,
                nowhere,
                whole,
                sharp,
                False,
            )
        )
    return PlaneSet(tuple(planes), values)
