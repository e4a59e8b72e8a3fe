"""From a file to upright frames, or to the reason why not."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

from PIL import Image, ImageFile
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from services.blur_worker.engine import deep, headers, png
from services.blur_worker.engine.metadata import read_metadata, read_orientation
from services.blur_worker.engine.modes import working
from services.blur_worker.engine.picture import ANIMATED, Frame, Limits, Picture
from services.blur_worker.engine.raster import Raster
from services.blur_worker.engine.sizes import check_pixels, too_large
from services.blur_worker.engine.sniffing import sniff, unsupported
from services.common.domain.errors import ImageError, Reason
from services.common.domain.spec import Format

# The classes themselves instead of Image.open: nothing but these seven ever sees a byte, and a phone's JPEG with
# further pictures behind the main one (MPO) is read as the JPEG that it is.
_DECODERS: dict[Format, type[ImageFile.ImageFile]] = {
    Format.JPEG: JpegImageFile,
    Format.PNG: PngImageFile,
    Format.WEBP: WebPImageFile,
    Format.GIF: GifImageFile,
    Format.TIFF: TiffImageFile,
    Format.BMP: BmpImageFile,
    Format.AVIF: AvifImageFile,
}
_DNG_VERSION = 0xC612
_alone = threading.Lock()


def read(data: bytes, limits: Limits, output_format: Format | None, *, keep_metadata: bool) -> Picture:
    """Decodes a file, as far as the output format (None: the file's own) can hold it.

    Raises:
        ImageError: See `blur`.
    """
    format_ = sniff(data)
    target = output_format or format_
    try:
        with pillow_ours(limits), _DECODERS[format_](BytesIO(data)) as image:
            check_pixels(image, limits.max_pixels)
            _refuse_raw(image)
            if format_ is target is Format.JPEG and headers.stores_ycbcr(image):
                # Blurring what is stored spares two conversions, and values that RGB would clip stay.
                image.draft("YCbCr", None)
            return _decode(data, image, format_, target, keep_metadata=keep_metadata)
    except (ImageError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise too_large(str(error), limits.max_pixels) from error
    except Exception as error:
        # Pillow raises nearly every kind of exception for bad data; here there is nothing but Pillow and data.
        raise ImageError(Reason.CORRUPT, f"The {format_} file is damaged or incomplete") from error


def _refuse_raw(image: ImageFile.ImageFile) -> None:
    # A DNG is a TIFF whose first page is only a preview of the photograph.
    if isinstance(image, TiffImageFile) and _DNG_VERSION in image.tag_v2:
        raise unsupported("camera raw (DNG)")


@contextmanager
def pillow_ours(limits: Limits) -> Iterator[None]:
    """Has Pillow follow our limit and keep its warnings to itself, for the time of one decoding.

    Sizes that show only along the way (a WebP's canvas, a GIF's frame larger than its screen) reach nothing but
    Pillow's own check, which raises above twice its limit and before that only warns. The limit and the filters of
    warnings belong to the whole process, so both are put back, and of several threads one decodes at a time; in a
    worker's child there is only one.
    """
    with _alone, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
        Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = -(-limits.max_pixels // 2), False
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = before


def _decode(
    data: bytes, image: ImageFile.ImageFile, format_: Format, target: Format, *, keep_metadata: bool
) -> Picture:
    if format_ is Format.PNG and (header := png.header_of(data, keep_metadata=keep_metadata)):
        frames = [_upright(png.decode(data, header), read_orientation(image), 0)]
    else:
        frames = _frames(data, image, format_, target)
    return Picture(
        format_,
        tuple(frames),
        read_metadata(image, keep=keep_metadata),
        plays=headers.plays(image, format_),
        subsampling=headers.subsampling(image),
        lossless=format_ is Format.WEBP and headers.is_lossless_webp(data),
        compression=str(image.info.get("compression", "")) if format_ is Format.TIFF else "",
    )


def _frames(data: bytes, image: ImageFile.ImageFile, format_: Format, target: Format) -> list[Frame]:
    together = format_ is target is Format.TIFF or (format_ in ANIMATED and target in ANIMATED)
    # The still picture of an APNG, where it is set apart, is for viewers that cannot animate.
    first = 1 if getattr(image, "default_image", False) and getattr(image, "n_frames", 1) > 1 else 0
    stop = getattr(image, "n_frames", 1) if together else first + 1
    screen = image.size
    frames = []
    for index in range(first, stop):
        image.seek(index)
        raster = deep.load(data, image, index)
        if raster is None:
            image.load()
            raster = working(image)
        if format_ is not Format.TIFF and raster.size != screen:
            raster = raster.cut((0, 0, *screen))  # a GIF's frame beyond its screen, where Pillow grows the screen
        # Pillow has turned a TIFF already.
        orientation = 1 if format_ is Format.TIFF else read_orientation(image)
        frames.append(_upright(raster, orientation, float(image.info.get("duration") or 0)))
    if first + 1 < stop:
        image.seek(first)
        image.load()
    return frames


def _upright(raster: Raster, orientation: int, milliseconds: float) -> Frame:
    return Frame(raster.turned(orientation), milliseconds)
