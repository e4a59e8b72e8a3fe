"""A JPEG of which only the blocks that regions need are decoded: the bits of the others are copied.

Of a file as encoders write them, the result is the same, to the bit, as if all were encoded again. For that the file
has to have the Huffman tables that the result has: its own, which depend on what is hidden, are not copied.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.blur_frame import read_box
from services.blur_worker.engine.jpeg.decode.marked import MarkedScan, decode_marked
from services.blur_worker.engine.jpeg.encode.spliced import splice_jpeg
from services.blur_worker.engine.jpeg.format.markers import FROM_ZIGZAG
from services.blur_worker.engine.jpeg.format.result_header import with_quantization
from services.blur_worker.engine.jpeg.original import OriginalJpeg
from services.blur_worker.engine.jpeg.stored_pixels import MODES, ChangedBlocks, StoredComponent, stored_components
from services.blur_worker.engine.jpeg.transform.finer_tables import are_coarse
from services.blur_worker.engine.jpeg.transform.planes import plan_as_stored
from services.blur_worker.engine.layers import Layer
from services.blur_worker.engine.raster import Box, Raster
from services.blur_worker.engine.stage_timer import StageTimer
from services.common.domain.spec import BlurSpec

_Mcus = NDArray[np.bool_]
"""(rows, columns): some of the MCUs of an image."""


class CopiedJpeg:
    """A `StoredJpeg` for upright files of a single sequential scan that `can_be_copied`."""

    def __init__(self, original: OriginalJpeg, spec: BlurSpec) -> None:
        """Raises: UnsupportedJpeg: There is a divisor of 16 bits."""
        self._original = original
        self._stored = plan_as_stored(original.frame, 1)
        self._tables = original.upright_quantization(self._stored)
        self._header = with_quantization(original.result_header(spec, self._stored), self._tables)
        self._components: list[StoredComponent] = []
        self._anew: _Mcus
        self._scan: MarkedScan

    def can_be_copied(self, *, fine: bool) -> bool:
        """Return whether the result has the tables of the file.

        Args:
            fine: Whether colours are to be drawn.
        """
        scan = self._original.scan
        same = (scan.dc_tables, scan.ac_tables) == (self._header.dc_tables, self._header.ac_tables)
        return same and not (fine and are_coarse(self._tables))

    def components(self, found: Sequence[Layer]) -> list[StoredComponent]:
        """See `StoredJpeg`.

        Raises:
            UnsupportedJpeg: Something is unusual or damaged.
        """
        if self._components:
            self._stored = plan_as_stored(self._original.frame, 1)
        self._components = stored_components(self._stored, self._tables)
        self._anew = self._changed(found)
        self._scan = decode_marked(self._original.reader, self._original.scan, self._stored, self._read(found).ravel())
        return self._components

    def encode(self, changes: Sequence[Sequence[ChangedBlocks]], timer: StageTimer) -> bytes:
        """See `StoredJpeg`.

        Raises:
            UnsupportedJpeg: A coefficient has no code.
        """
        for change in changes:
            for component, each in zip(self._components, change, strict=True):
                each.write(0, component.plane.rows, component.blocks)
        timer.lap("blur")
        planes = [_Plane(each) for each in self._components]
        begins = [plane.origin for plane in self._stored.planes]
        encoded = splice_jpeg(planes, begins, self._stored.values, self._scan, self._anew, self._header)
        timer.lap("encode")
        return encoded

    def _changed(self, found: Sequence[Layer]) -> _Mcus:
        """Return the MCUs that are encoded: those with a pixel above 0 in a mask, and what depends on them."""
        frame, scan = self._original.frame, self._original.scan
        changed = np.zeros(frame.mcus(scan.components), np.bool_)
        for layer in found:
            left, top, _, _ = layer.box
            down, across = self._side
            rows, columns = _edges(top, len(layer.mask), down), _edges(left, layer.mask.shape[1], across)
            touched = np.maximum.reduceat(np.maximum.reduceat(layer.mask, rows, axis=0), columns, axis=1) > 0
            changed[top // down :, left // across :][: len(rows), : len(columns)] |= touched
        # Blocks beyond the border are not part of the image.
        changed[:, -1] |= any(plane.columns % plane.h for plane in self._stored.planes)
        changed[-1] |= any(plane.rows % plane.v for plane in self._stored.planes)
        # The first DC differences behind them are others; those behind a restart marker, too: the result has none.
        anew = changed.copy()
        anew.reshape(-1)[1:] |= changed.reshape(-1)[:-1]
        if scan.restart_interval:
            anew.reshape(-1)[scan.restart_interval :: scan.restart_interval] = True
        return anew

    def _read(self, found: Sequence[Layer]) -> _Mcus:
        """Return the MCUs that are decoded: those that are encoded, and those that effects read."""
        wanted = self._anew.copy()
        width, height = self._original.displayed
        shape = height, width, len(self._components)
        image = Raster(MODES[shape[2]], np.broadcast_to(np.uint8(0), shape))
        for layer in found:
            wanted[self._around(read_box(layer, image))] = True
        return wanted

    def _around(self, box: Box) -> tuple[slice, slice]:
        """Return the MCUs that a box touches, and those beside them if chroma is interpolated from their samples."""
        (down, across), (left, top, right, bottom) = self._side, box
        by_row, by_column = down > 8, across > 8
        return (
            slice(max(top // down - by_row, 0), -(-bottom // down) + by_row),
            slice(max(left // across - by_column, 0), -(-right // across) + by_column),
        )

    @property
    def _side(self) -> tuple[int, int]:
        """Rows and columns of pixels in an MCU."""
        return 8 * self._original.frame.v_max, 8 * self._original.frame.h_max


class _Plane:
    """An `EncodedPlane`."""

    def __init__(self, component: StoredComponent) -> None:
        self.h, self.v = component.plane.h, component.plane.v
        self.rows, _, self.columns = component.blocks.shape
        self.zigzag = FROM_ZIGZAG


def _edges(start: int, length: int, side: int) -> NDArray[np.int64]:
    """Return where, counted from `start`, each MCU begins that a part of a side touches."""
    return np.maximum(np.arange(start // side * side, start + length, side) - start, 0)
