"""Decode a file into frames as displayed."""

from io import BytesIO

from PIL import Image, ImageFile

from services.blur_worker.engine.formats import CODECS, Codec, FrameKind, detect_format
from services.blur_worker.engine.formats.sixteen_bit import load_16_bit
from services.blur_worker.engine.images import DecodedImage, Frame, ImageInfo
from services.blur_worker.engine.limits import Limits, check_pixels, pillow_limits, too_large
from services.blur_worker.engine.metadata import read_metadata, read_orientation
from services.blur_worker.engine.pixel_modes import to_working_mode
from services.common.domain.errors import ImageError, Reason
from services.common.domain.spec import Format


def decode(data: bytes, limits: Limits, output_format: Format | None, *, keep_metadata: bool) -> DecodedImage:
    """Decode a file.

    Args:
        data: The file; its format is detected by its content.
        limits: Checked before pixels are allocated.
        output_format: The format of the result, None for the file's own: a format without frames gets only the first.
        keep_metadata: Whether to read more metadata than the ICC profile and the resolution.

    Raises:
        ImageError: NOT_AN_IMAGE, UNSUPPORTED, CORRUPT or TOO_LARGE.
        MemoryError: The process reached its memory limit.
    """
    codec = CODECS[detect_format(data)]
    target = CODECS[output_format or codec.format]
    try:
        # The class itself instead of Image.open: no other decoder ever sees a byte, and a phone's JPEG with further
        # images behind the main one (MPO) is read as the JPEG that it is.
        with pillow_limits(limits), codec.pillow_class(BytesIO(data)) as image:
            check_pixels(image, limits.max_pixels)
            codec.prepare(image, target.format)
            frames = _decode_still(data, image, codec, keep_metadata=keep_metadata)
            if frames is None:
                frames = _decode_frames(data, image, codec, target)
            metadata = read_metadata(image, keep=keep_metadata)
            info = ImageInfo(format=codec.format, metadata=metadata, encoding=codec.read_encoding(image, data))
            return DecodedImage(info=info, frames=frames)
    except (ImageError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise too_large(error, limits.max_pixels) from error
    except Exception as error:
        # Pillow raises nearly every kind of exception for bad data, and nothing else runs here.
        raise ImageError(Reason.CORRUPT, f"The {codec.format} file is damaged or incomplete") from error


def _decode_still(data: bytes, image: ImageFile.ImageFile, codec: Codec, *, keep_metadata: bool) -> list[Frame] | None:
    """Decode with the codec's own decoder; None if it has none for this file."""
    raster = codec.decode_still(data, keep_metadata) if codec.decode_still else None
    return [Frame(raster.oriented(read_orientation(image)))] if raster else None


def _decode_frames(data: bytes, image: ImageFile.ImageFile, codec: Codec, target: Codec) -> list[Frame]:
    """Decode with Pillow: all frames if the target can hold frames of this kind, else the first."""
    count = getattr(image, "n_frames", 1)
    # The default image of an APNG, where it is separate, is for viewers that cannot animate.
    first = 1 if getattr(image, "default_image", False) and count > 1 else 0
    stop = count if codec.frames is target.frames is not FrameKind.SINGLE else first + 1
    screen = image.size
    frames = []
    for index in range(first, stop):
        image.seek(index)
        raster = load_16_bit(data, image, index)
        if raster is None:
            image.load()
            raster = to_working_mode(image)
        if codec.frames is not FrameKind.PAGES and raster.size != screen:
            raster = raster.crop((0, 0, *screen))  # a GIF's frame beyond its screen: Pillow enlarges the screen
        if not codec.oriented_by_pillow:
            raster = raster.oriented(read_orientation(image))
        frames.append(Frame(raster, float(image.info.get("duration") or 0)))
    if first + 1 < stop:
        image.seek(first)
        image.load()
    return frames
