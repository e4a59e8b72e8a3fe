"""The JPEG that is blurred: what both paths read of it, and the settings of what is written."""

from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from services.blur_worker.engine.color.description import ColorDescription
from services.blur_worker.engine.containers.jpeg_segments import find_end
from services.blur_worker.engine.encode import encode
from services.blur_worker.engine.formats.jpeg import MAX_SIDE, SMALL_SIDE, stores_ycbcr
from services.blur_worker.engine.formats.jpeg_check import check_jpeg
from services.blur_worker.engine.images import Frame, ImageInfo
from services.blur_worker.engine.jpeg.complete import completed
from services.blur_worker.engine.jpeg.decode.image import decode_progressive, decode_sequential
from services.blur_worker.engine.jpeg.format.frame import FrameHeader
from services.blur_worker.engine.jpeg.format.header_reader import HeaderReader
from services.blur_worker.engine.jpeg.format.markers import UnsupportedJpeg
from services.blur_worker.engine.jpeg.format.result_header import ResultHeader, header_of, resized
from services.blur_worker.engine.jpeg.format.scan_header import ScanHeader
from services.blur_worker.engine.jpeg.format.tables import QuantizationTable
from services.blur_worker.engine.jpeg.transform.planes import PlaneSet
from services.blur_worker.engine.limits import Limits, check_pixels, pillow_limits
from services.blur_worker.engine.metadata import Metadata, read_metadata
from services.blur_worker.engine.orientation import read_orientation
from services.blur_worker.engine.raster import Raster
from services.common.domain.errors import ImageError
from services.common.domain.spec import BlurSpec, Format

_TEXT, _FEW_BLOCKS = 3000, 256
_SMALL_SIDE = 32
"""Shorter side, in pixels, from which on photographs come out at 45 dB and more."""


@dataclass(frozen=True)
class OriginalJpeg:
    """A JPEG in grey or YCbCr of which the headers are read."""

    reader: HeaderReader
    frame: FrameHeader
    scan: ScanHeader
    """Header of the first scan."""
    metadata: Metadata
    orientation: int

    @property
    def displayed(self) -> tuple[int, int]:
        """Width and height, upright."""
        size = self.frame.width, self.frame.height
        return (size[1], size[0]) if self.orientation > 4 else size

    @property
    def has_odd_chroma(self) -> bool:
        """Whether viewers show chroma otherwise than as a smooth plane of the size that is stored.

        They interpolate between two samples, but repeat one for four pixels. Of a small image with odd sides the last
        sample, which covers one pixel instead of two, weighs too much.
        """
        if self.has_coarse_chroma:
            return True
        across, down = self._samplings
        odd = (2 in across and self.frame.width % 2) or (2 in down and self.frame.height % 2)
        return bool(odd) and min(self.frame.width, self.frame.height) < _SMALL_SIDE

    @property
    def has_coarse_chroma(self) -> bool:
        """Whether a sample of chroma covers more than two pixels of a row or column, as in 4:1:1."""
        across, down = self._samplings
        return max(*across, *down) > 2

    @property
    def _samplings(self) -> tuple[set[int], set[int]]:
        """How many pixels of a row, and of a column, a sample of each component covers."""
        components = self.frame.components
        return {self.frame.h_max // each.h for each in components}, {self.frame.v_max // each.v for each in components}

    @property
    def has_sequential_scan(self) -> bool:
        """Whether its first scan is sequential and has all components."""
        return not self.frame.progressive and len(self.scan.components) == len(self.frame.components)

    @property
    def may_be_text(self) -> bool:
        """Whether it is full of strong edges that are coarsely quantized, by how many bits its blocks take.

        Of pages of text the product is 3,200 to 14,000, of photographs 400 to 2,700, of a few with much detail 4,000.
        """
        luma = self.frame.components[0]
        blocks, divisors = luma.rows * luma.columns, self.reader.quantization.get(luma.tq)
        if divisors is None or blocks < _FEW_BLOCKS:
            return False
        data, start = self.reader.data, self.scan.start
        least: float = _TEXT * blocks / 8 / (sum(divisors.tolist()) / len(divisors))
        # Behind the end there may be a film; to find it takes time.
        return len(data) - start > least and find_end(data, start) - start > least

    def decode_into(self, planes: PlaneSet) -> None:
        """Decode as much of the coefficients as the planes have room for.

        Raises:
            UnsupportedJpeg: Something is unusual or damaged; what was decoded is worth nothing then.
        """
        decode = decode_progressive if self.frame.progressive else decode_sequential
        decode(self.reader, self.frame, self.scan, planes)

    def upright_quantization(self, planes: PlaneSet) -> tuple[QuantizationTable, ...]:
        """Return the quantization table of each plane."""
        tables = self.reader.component_quantization
        return tuple(plane.upright_quantization(tables[index]) for index, plane in enumerate(planes.planes))

    def result_header(self, spec: BlurSpec, planes: PlaneSet) -> ResultHeader:
        """Return the header of the result, with the metadata that it is to have."""
        mode = "YCbCr" if len(self.frame.components) == 3 else "L"
        # Smaller images than that have finer divisors.
        width, height = (min(side, SMALL_SIDE) for side in self.displayed)
        usual = Metadata(color=self.metadata.color, dpi=self.metadata.dpi)
        if self.metadata == usual:
            header = _usual_header(mode, width, height, spec.quality, usual.color, usual.dpi)
        else:
            header = _header(mode, width, height, spec.quality, self.metadata)
        return resized(header, *self.displayed, tuple((each.h, each.v) for each in planes.planes))


def _header(mode: str, width: int, height: int, quality: int, metadata: Metadata) -> ResultHeader:
    small = Frame(Raster.from_pillow(Image.new(mode, (width, height))))
    info = ImageInfo(format=Format.JPEG, metadata=metadata)
    return header_of(encode(info, [small], Format.JPEG, BlurSpec(quality=quality)))


@lru_cache(maxsize=16)
def _usual_header(
    mode: str, width: int, height: int, quality: int, color: ColorDescription, dpi: tuple[float, float] | None
) -> ResultHeader:
    """Return the header of a result that keeps no metadata: the images of an order often have the same."""
    return _header(mode, width, height, quality, Metadata(color=color, dpi=dpi))


def jpeg_to_jpeg(data: bytes, spec: BlurSpec) -> bool:
    """Return whether a JPEG is to stay one."""
    return data.startswith(b"\xff\xd8\xff") and spec.output_format in {None, Format.JPEG}


def open_original(data: bytes, limits: Limits, *, keep_metadata: bool) -> OriginalJpeg:
    """Read the headers.

    Raises:
        ImageError: TOO_LARGE or UNSUPPORTED.
        UnsupportedJpeg: It is something else, or unusual, or damaged.
    """
    check_jpeg(data, limits)
    data = completed(data, limits)
    reader = HeaderReader(data)
    frame, scan = reader.first_scan()
    if max(frame.width, frame.height) > MAX_SIDE:
        raise UnsupportedJpeg("a side that is too long")
    try:
        with pillow_limits(limits), JpegImageFile(BytesIO(data)) as image:
            check_pixels(image, limits)
            _check_pillow_agrees(image, frame)
            metadata = read_metadata(image, data, keep=keep_metadata)
            return OriginalJpeg(reader, frame, scan, metadata, read_orientation(image, data))
    except (ImageError, MemoryError, UnsupportedJpeg):
        raise
    except Exception as error:
        raise UnsupportedJpeg("Pillow does not read it") from error


def _check_pillow_agrees(image: JpegImageFile, frame: FrameHeader) -> None:
    if image.size != (frame.width, frame.height):
        raise UnsupportedJpeg("a frame that Pillow sees differently")
    if len(frame.components) == 3 and not stores_ycbcr(image):
        raise UnsupportedJpeg("colours other than YCbCr")
