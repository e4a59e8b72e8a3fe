"""The path of a JPEG of which only regions are blurred: all blocks that they do not touch stay what they are."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.blur_frame import blur_frame, read_box
from services.blur_worker.engine.decode import decode
from services.blur_worker.engine.find_and_hide import find_and_hide
from services.blur_worker.engine.finding.find import DetectorSource
from services.blur_worker.engine.images import Blurred, Frame
from services.blur_worker.engine.jpeg.encode.scan import LARGEST
from services.blur_worker.engine.jpeg.encode.writer import write_jpeg
from services.blur_worker.engine.jpeg.format.markers import FROM_ZIGZAG, UnsupportedJpeg
from services.blur_worker.engine.jpeg.format.result_header import with_quantization
from services.blur_worker.engine.jpeg.original import jpeg_to_jpeg, open_original
from services.blur_worker.engine.jpeg.stored_pixels import ChangedBlocks, StoredComponent, blank, changed_blocks, draw
from services.blur_worker.engine.jpeg.transform.finer_tables import finer_tables
from services.blur_worker.engine.jpeg.transform.planes import plan_as_stored
from services.blur_worker.engine.layers import layers
from services.blur_worker.engine.limits import Limits
from services.blur_worker.engine.regions import hides_whole
from services.blur_worker.engine.stage_timer import StageTimer
from services.common.domain.spec import BlurSpec, Format

NAME = "jpeg-splice"


def blur_regions(
    data: bytes, spec: BlurSpec, limits: Limits, detectors: DetectorSource | None = None
) -> Blurred | None:
    """Apply the effects to the blocks that regions touch; return None if file or spec are not for this path.

    Those blocks are encoded anew from their pixels, with the file's own quantization tables: nothing of what was there
    before is in them. The spec's quality is not used here, since it would change the others. An image is turned
    upright by turning its blocks.

    Raises:
        ImageError: See `blur`.
    """
    if not jpeg_to_jpeg(data, spec) or hides_whole(spec):
        return None
    timer = StageTimer()
    try:
        return find_and_hide(_SplicedJpeg(data, spec, limits, timer), spec, limits, detectors, timer)
    except UnsupportedJpeg:
        return None


class _SplicedJpeg:
    """A JPEG of which regions are to be hidden: a `HideableImage`."""

    def __init__(self, data: bytes, spec: BlurSpec, limits: Limits, timer: StageTimer) -> None:
        """Decode the coefficients.

        Raises:
            UnsupportedJpeg: It is not for this path.
        """
        self._data, self._limits, self._timer = data, limits, timer
        self._original = open_original(data, limits, keep_metadata=spec.keep_metadata)
        if self._original.has_coarse_chroma:
            raise UnsupportedJpeg("samples of chroma that viewers repeat: no blur of them is smooth")
        stored = plan_as_stored(self._original.frame, self._original.orientation)
        self._original.decode_into(stored)
        blocks = [plane.values.reshape(plane.rows, 64, plane.columns) for plane in stored.planes]
        for each in blocks:
            # DC coefficients are sums, and may be as large as they like.
            _check_codes(each[:, 0], least=-LARGEST - 1)
        quantization = self._original.reader.component_quantization
        tables = tuple(plane.upright_quantization(quantization[index]) for index, plane in enumerate(stored.planes))
        # What is found may become solid, too, if it can still be found.
        effects = (spec.effect, *(region.effect for region in spec.regions if region.effect))
        if spec.find or any(effect.irreversible for effect in effects):
            tables = finer_tables(blocks, tables)
        self._header = with_quantization(self._original.result_header(spec, stored), tables)
        v_max, h_max = max(plane.v for plane in stored.planes), max(plane.h for plane in stored.planes)
        self._components = [
            StoredComponent(plane, of_plane, table, v_max // plane.v, h_max // plane.h)
            for plane, of_plane, table in zip(stored.planes, blocks, tables, strict=True)
        ]
        timer.lap("decode")

    @cached_property
    def frames(self) -> list[Frame]:
        """See `HideableImage`: all pixels, which only detectors need."""
        return decode(self._data, self._limits, Format.JPEG, keep_metadata=False).frames

    def hide(self, spec: BlurSpec) -> Blurred:
        """See `HideableImage`."""
        size = width, height = self._original.displayed
        found = layers(spec, size)
        original = blank(self._components, size)
        for layer in found:
            draw(self._components, read_box(layer, original), original)
        hidden = blur_frame(Frame(original), spec, found, in_place=True).raster
        changes = [changed_blocks(self._components, hidden, layer.box, layer.mask) for layer in found]
        spliced = [
            _SplicedPlane(component, [each[index] for each in changes])
            for index, component in enumerate(self._components)
        ]
        self._timer.lap("blur")
        encoded = write_jpeg(spliced, self._header, self._timer)
        return Blurred(
            data=encoded,
            format=Format.JPEG,
            width=width,
            height=height,
            frames=1,
            path=NAME,
            seconds=self._timer.seconds,
        )


class _SplicedPlane:
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
        out[:] = self._blocks[begin:end]
        _check_codes(out[:, 1:], least=-LARGEST)
        for change in self._changes:
            change.write(begin, end, out)


def _check_codes(coefficients: NDArray[Any], *, least: int) -> None:
    """Check quantized coefficients.

    Raises:
        UnsupportedJpeg: There is one that has no code (tables F.1 and F.2).
    """
    if coefficients.min() < least or coefficients.max() > LARGEST:
        raise UnsupportedJpeg("coefficients that have no code")
