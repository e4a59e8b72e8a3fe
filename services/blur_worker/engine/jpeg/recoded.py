"""A JPEG of which all blocks are decoded, and encoded again with the changed ones among them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.jpeg.encode.scan import LARGEST
from services.blur_worker.engine.jpeg.encode.writer import write_jpeg
from services.blur_worker.engine.jpeg.format.markers import FROM_ZIGZAG, UnsupportedJpeg
from services.blur_worker.engine.jpeg.format.result_header import with_quantization
from services.blur_worker.engine.jpeg.format.tables import QuantizationTable
from services.blur_worker.engine.jpeg.original import OriginalJpeg
from services.blur_worker.engine.jpeg.stored_pixels import (
    ChangedBlocks,
    StoredComponent,
    hidden_blocks,
    stored_components,
)
from services.blur_worker.engine.jpeg.transform.finer_tables import finer_tables
from services.blur_worker.engine.jpeg.transform.planes import plan_as_stored
from services.blur_worker.engine.layers import Layer
from services.blur_worker.engine.stage_timer import StageTimer
from services.common.domain.spec import BlurSpec


class RecodedJpeg:
    """A `StoredJpeg` for all files. An image is turned upright by turning its blocks."""

    def __init__(self, original: OriginalJpeg, spec: BlurSpec, *, fine: bool) -> None:
        """Decode the coefficients; `fine`: colours are to be drawn.

        Raises:
            UnsupportedJpeg: It is not for this path.
        """
        stored = plan_as_stored(original.frame, original.orientation)
        original.decode_into(stored)
        blocks = [plane.values.reshape(plane.rows, 64, plane.columns) for plane in stored.planes]
        for each in blocks:
            # DC coefficients are sums, and may be as large as they like.
            _check_codes(each[:, 0], least=-LARGEST - 1)
        self._original, self._spec, self._fine, self._stored, self._blocks = original, spec, fine, stored, blocks
        self._tables: Sequence[QuantizationTable] = original.upright_quantization(stored)

    def components(self, found: Sequence[Layer]) -> list[StoredComponent]:
        """See `StoredJpeg`."""
        self._components = stored_components(self._stored, self._tables)
        if self._fine:
            blocks, tables = finer_tables(self._blocks, self._tables, hidden_blocks(self._components, found))
            self._components = [
                replace(component, blocks=each, quantization=table)
                for component, each, table in zip(self._components, blocks, tables, strict=True)
            ]
        return self._components

    def encode(self, changes: Sequence[Sequence[ChangedBlocks]], timer: StageTimer) -> bytes:
        """See `StoredJpeg`."""
        planes = [
            _RecodedPlane(component, [each[index] for each in changes])
            for index, component in enumerate(self._components)
        ]
        header = self._original.result_header(self._spec, self._stored)
        tables = tuple(each.quantization for each in self._components)
        return write_jpeg(planes, with_quantization(header, tables), timer)


class _RecodedPlane:
    """Coefficients as the result has them: a `QuantizedPlane`."""

    def __init__(self, component: StoredComponent, changes: Sequence[ChangedBlocks]) -> None:
        self.h, self.v = component.plane.h, component.plane.v
        self.rows, _, self.columns = component.blocks.shape
        self.zigzag = FROM_ZIGZAG
        self._blocks = component.blocks
        self._changes = changes

    def write_rows(self, begin: int, end: int, out: NDArray[np.int16]) -> None:
        """See `QuantizedPlane`.

        Raises:
            UnsupportedJpeg: A coefficient has no code.
        """
        with np.errstate(invalid="ignore"):  # of hidden blocks, which are replaced
            out[:] = self._blocks[begin:end]
        for change in self._changes:
            change.write(begin, end, out)
        _check_codes(out[:, 1:], least=-LARGEST)


def _check_codes(coefficients: NDArray[Any], *, least: int) -> None:
    """Check quantized coefficients.

    Raises:
        UnsupportedJpeg: There is one that has no code (tables F.1 and F.2).
    """
    if coefficients.min() < least or coefficients.max() > LARGEST:
        raise UnsupportedJpeg("coefficients that have no code")
