"""The path of a JPEG of which only regions are blurred: all blocks that they do not touch stay what they are."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.blur_frame import blur_frame
from services.blur_worker.engine.decode import decode
from services.blur_worker.engine.find_and_hide import find_and_hide
from services.blur_worker.engine.finding.find import DetectorSource
from services.blur_worker.engine.images import Blurred, Frame
from services.blur_worker.engine.jpeg.encode.scan import LARGEST
from services.blur_worker.engine.jpeg.encode.writer import write_jpeg
from services.blur_worker.engine.jpeg.format.markers import FROM_ZIGZAG, UnsupportedJpeg
from services.blur_worker.engine.jpeg.format.result_header import with_quantization
from services.blur_worker.engine.jpeg.format.tables import QuantizationTable
from services.blur_worker.engine.jpeg.original import jpeg_to_jpeg, open_original
from services.blur_worker.engine.jpeg.transform.dct_gaussian import BASIS
from services.blur_worker.engine.jpeg.transform.finer_tables import finer_tables
from services.blur_worker.engine.jpeg.transform.planes import CoefficientPlane, PlaneSet, plan_as_stored
from services.blur_worker.engine.limits import Limits
from services.blur_worker.engine.raster import Raster
from services.blur_worker.engine.regions import hides_whole, region_mask
from services.blur_worker.engine.stage_timer import StageTimer
from services.common.domain.spec import BlurSpec, Format, Redact, Solid

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
    """A decoded JPEG of which regions are to be hidden: a `HideableImage`."""

    def __init__(self, data: bytes, spec: BlurSpec, limits: Limits, timer: StageTimer) -> None:
        """Decode the coefficients and the pixels.

        Raises:
            UnsupportedJpeg: It is not for this path.
        """
        self._original = open_original(data, limits, keep_metadata=spec.keep_metadata)
        if self._original.has_coarse_chroma:
            raise UnsupportedJpeg("samples of chroma that viewers repeat: no blur of them is smooth")
        self._stored = plan_as_stored(self._original.frame, self._original.orientation)
        self._original.decode_into(self._stored)
        if any(_without_code(_blocks(plane)) for plane in self._stored.planes):
            raise UnsupportedJpeg("coefficients that have no code")
        quantization = self._original.reader.component_quantization
        self._tables = tuple(
            plane.upright_quantization(quantization[index]) for index, plane in enumerate(self._stored.planes)
        )
        # What is found may become solid, too, if it can still be found.
        if spec.find or any(
            isinstance(effect, Solid | Redact) for effect in (spec.effect, *(r.effect for r in spec.regions))
        ):
            self._tables = finer_tables([_blocks(plane) for plane in self._stored.planes], self._tables)
        self._header = with_quantization(self._original.result_header(spec, self._stored), self._tables)
        (frame,) = decode(data, limits, Format.JPEG, keep_metadata=False).frames
        # A small image comes in RGB.
        in_planes = (
            Raster.from_pillow(frame.raster.to_pillow().convert("YCbCr")) if frame.raster.mode == "RGB" else None
        )
        self._frame = replace(frame, raster=in_planes or frame.raster)
        self._timer = timer
        timer.lap("decode")

    @property
    def frames(self) -> list[Frame]:
        """See `HideableImage`."""
        return [self._frame]

    def hide(self, spec: BlurSpec) -> Blurred:
        """See `HideableImage`."""
        samples = blur_frame(self._frame, spec).raster.samples
        touched = region_mask(spec, self._original.displayed) > 0
        spliced = []
        for channel, (plane, table) in enumerate(zip(self._stored.planes, self._tables, strict=True)):
            blocks = _blocks(plane).astype(np.int16)
            _replace(blocks, samples[..., channel], touched, _pixels_of_a_sample(self._stored, plane), table)
            spliced.append(_SplicedPlane(plane, blocks))
        self._timer.lap("blur")
        encoded = write_jpeg(spliced, self._header, self._timer)
        width, height = self._original.displayed
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

    def __init__(self, plane: CoefficientPlane, coefficients: NDArray[np.int16]) -> None:
        self.h, self.v = plane.h, plane.v
        self.rows, _, self.columns = coefficients.shape
        self.zigzag = FROM_ZIGZAG
        self._coefficients = coefficients

    def write_rows(self, begin: int, end: int, out: NDArray[np.int16]) -> None:
        """See `QuantizedPlane`."""
        out[:] = self._coefficients[begin:end]


def _blocks(plane: CoefficientPlane) -> NDArray[np.float32]:
    """(rows, 64, columns)."""
    return plane.values.reshape(plane.rows, 64, plane.columns)


def _without_code(blocks: NDArray[np.float32]) -> bool:
    dc, ac = blocks[:, 0], blocks[:, 1:]
    return bool(dc.min() < -LARGEST - 1 or dc.max() > LARGEST or np.abs(ac).max() > LARGEST)


def _pixels_of_a_sample(stored: PlaneSet, plane: CoefficientPlane) -> tuple[int, int]:
    """Rows and columns of pixels that a sample of the plane covers."""
    return max(each.v for each in stored.planes) // plane.v, max(each.h for each in stored.planes) // plane.h


def _replace(
    blocks: NDArray[np.int16],
    pixels: NDArray[np.unsignedinteger],
    touched: NDArray[np.bool_],
    sample: tuple[int, int],
    quantization: QuantizationTable,
) -> None:
    """Encode anew, in place, the blocks (rows, 64, columns) of a plane that have a pixel that was touched."""
    rows, _, columns = blocks.shape
    down, across = sample
    bottom, right = rows * 8 * down - len(pixels), columns * 8 * across - pixels.shape[1]
    beyond = ((0, bottom), (0, right))
    by_block = np.pad(touched, beyond).reshape(rows, 8 * down, columns, 8 * across).any(axis=(1, 3))
    y, x = np.nonzero(by_block)
    if not len(y):
        return
    pixel_rows, pixel_columns = np.arange(8 * down), np.arange(8 * across)
    table = quantization[FROM_ZIGZAG].reshape(8, 8)
    for first in range(0, len(y), 1 << 12):
        some_y, some_x = y[first : first + (1 << 12)], x[first : first + (1 << 12)]
        of_y = np.minimum(some_y[:, np.newaxis] * 8 * down + pixel_rows, len(pixels) - 1)
        of_x = np.minimum(some_x[:, np.newaxis] * 8 * across + pixel_columns, pixels.shape[1] - 1)
        part = pixels[of_y[:, :, np.newaxis], of_x[:, np.newaxis, :]].astype(np.float32)
        samples = part.reshape(-1, 8, down, 8, across).mean(axis=(2, 4)) - 128
        exact = BASIS.astype(np.float32) @ samples @ BASIS.T.astype(np.float32)
        rounded = np.rint(exact / table).clip(-LARGEST, LARGEST).astype(np.int16)
        blocks[some_y, :, some_x] = rounded.reshape(-1, 64)
