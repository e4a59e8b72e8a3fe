"""What both paths of a JPEG begin and end with."""

from dataclasses import dataclass
from io import BytesIO

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from services.blur_worker.engine.encode import encode
from services.blur_worker.engine.formats.jpeg import MAX_SIDE, stores_ycbcr
from services.blur_worker.engine.images import Frame, ImageInfo
from services.blur_worker.engine.jpeg.grid import Picture as Planes
from services.blur_worker.engine.jpeg.markers import FrameHeader, Scan, Stream, UnfitError
from services.blur_worker.engine.jpeg.progressive import read_progressive
from services.blur_worker.engine.jpeg.reading import read_sequential
from services.blur_worker.engine.limits import Limits, check_pixels, pillow_limits
from services.blur_worker.engine.metadata import Metadata, read_metadata, read_orientation
from services.blur_worker.engine.raster import Raster
from services.common.domain.errors import ImageError
from services.common.domain.spec import BlurSpec, Format


@dataclass(frozen=True)
class Opened:
    """A JPEG in grey or YCbCr, not yet read."""

    data: bytes
    stream: Stream
    scan: Scan
    """The first one."""
    frame: FrameHeader
    metadata: Metadata
    orientation: int

    @property
    def displayed(self) -> tuple[int, int]:
        """Width and height, upright."""
        size = self.frame.width, self.frame.height
        return (size[1], size[0]) if self.orientation > 4 else size

    def read_into(self, planes: Planes) -> None:
        """Reads as much of the coefficients as the planes have room for.

        Raises:
            UnfitError: Something is not as it should be.
        """
        read = read_progressive if self.frame.progressive else read_sequential
        read(self.data, self.stream, self.scan, planes)

    def small_result(self, spec: BlurSpec) -> bytes:
        """A JPEG of 8×8 pixels with the metadata that the result is to have, written as any other."""
        small = Frame(Raster.from_pillow(Image.new("YCbCr" if len(self.frame.components) == 3 else "L", (8, 8))))
        return encode(ImageInfo(format=Format.JPEG, metadata=self.metadata), [small], Format.JPEG, spec)


def open_jpeg(data: bytes, limits: Limits, *, keep_metadata: bool) -> Opened:
    """Looks at the headers.

    Raises:
        ImageError: TOO_LARGE.
        UnfitError: It is something else, or unusual, or damaged.
    """
    stream = Stream(data)
    scan = stream.next_scan(2)
    frame = stream.frame
    if scan is None or frame is None or max(frame.width, frame.height) > MAX_SIDE:
        raise UnfitError("not a picture of this kind")
    try:
        with pillow_limits(limits), JpegImageFile(BytesIO(data)) as image:
            check_pixels(image, limits.max_pixels)
            _check_alike(image, frame)
            metadata = read_metadata(image, keep=keep_metadata)
            return Opened(data, stream, scan, frame, metadata, read_orientation(image))
    except (ImageError, MemoryError, UnfitError):
        raise
    except Exception as error:
        raise UnfitError("Pillow does not read it") from error


def _check_alike(image: JpegImageFile, frame: FrameHeader) -> None:
    if image.size != (frame.width, frame.height):
        raise UnfitError("a frame that Pillow sees differently")
    if len(frame.components) == 3 and not stores_ycbcr(image):
        raise UnfitError("colours other than YCbCr")
