"""The path of a JPEG that is blurred as a whole, and stays a JPEG."""

from io import BytesIO

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from services.blur_worker.engine import compiling, headers
from services.blur_worker.engine.jpeg.envelope import envelope
from services.blur_worker.engine.jpeg.grid import plan
from services.blur_worker.engine.jpeg.markers import FrameHeader, Stream, UnfitError
from services.blur_worker.engine.jpeg.reading import read_sequential
from services.blur_worker.engine.jpeg.writing import write
from services.blur_worker.engine.metadata import Metadata, read_metadata, read_orientation
from services.blur_worker.engine.picture import Blurred, Frame, Limits, Picture
from services.blur_worker.engine.raster import raster_of
from services.blur_worker.engine.reading import pillow_ours
from services.blur_worker.engine.sizes import MAX_SIDE, check_pixels
from services.blur_worker.engine.stopwatch import Stopwatch
from services.blur_worker.engine.writing import write as write_pixels
from services.common.errors import ImageError
from services.common.spec import BlurSpec, Format, Gaussian

NAME = "jpeg-synthesis"


def blur_whole(data: bytes, spec: BlurSpec, limits: Limits) -> Blurred | None:
    """Blurs a JPEG from coefficients to coefficients; None if the file or the wish is not one for this path.

    Raises:
        ImageError: TOO_LARGE.
    """
    wanted = isinstance(spec.effect, Gaussian) and not spec.regions and spec.output_format in {None, Format.JPEG}
    if not (compiling.AVAILABLE and wanted and data.startswith(b"\xff\xd8\xff")):
        return None
    try:
        return _blur(data, spec, limits)
    except UnfitError:
        return None


def _blur(data: bytes, spec: BlurSpec, limits: Limits) -> Blurred:
    watch = Stopwatch()
    assert isinstance(spec.effect, Gaussian)
    stream = Stream(data)
    scan = stream.next_scan(2)
    frame = stream.frame
    if scan is None or frame is None or frame.progressive or max(frame.width, frame.height) > MAX_SIDE[Format.JPEG]:
        raise UnfitError("not a sequential JPEG")
    metadata, orientation = _beside(data, frame, spec, limits)
    sides = (frame.height, frame.width) if orientation > 4 else (frame.width, frame.height)
    picture = plan(frame, spec.effect.sigma_px(*sides), orientation)
    read_sequential(data, stream, scan, picture)
    watch.lap("decode")
    sampling = tuple((grid.horizontal, grid.vertical) for grid in picture.grids)
    mode = "YCbCr" if len(sampling) == 3 else "L"
    small = Frame(raster_of(Image.new(mode, (8, 8))))
    as_usual = write_pixels(Picture(Format.JPEG, (small,), metadata), [small], Format.JPEG, spec)
    encoded = write(picture, envelope(as_usual, *sides, sampling), watch)
    return Blurred(encoded, Format.JPEG, *sides, frames=1, path=NAME, seconds=watch.seconds)


def _beside(data: bytes, frame: FrameHeader, spec: BlurSpec, limits: Limits) -> tuple[Metadata, int]:
    """What the file says beside its pixels, and its orientation."""
    try:
        with pillow_ours(limits), JpegImageFile(BytesIO(data)) as image:
            check_pixels(image, limits.max_pixels)
            _check_alike(image, frame)
            return read_metadata(image, keep=spec.keep_metadata), read_orientation(image)
    except (ImageError, MemoryError, UnfitError):
        raise
    except Exception as error:
        raise UnfitError("Pillow does not read it") from error


def _check_alike(image: JpegImageFile, frame: FrameHeader) -> None:
    if image.size != (frame.width, frame.height):
        raise UnfitError("a frame that Pillow sees differently")
    if len(frame.components) == 3 and not headers.stores_ycbcr(image):
        raise UnfitError("colours other than YCbCr")
