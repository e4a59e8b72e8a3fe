"""Decode a file into frames as displayed."""

from io import BytesIO

from PIL import Image, ImageFile

from services.blur_worker.engine.color.convert import to_colors_of
from services.blur_worker.engine.formats import CODECS, Codec, FrameKind, detect_format
from services.blur_worker.engine.formats.reading import ReadRequest
from services.blur_worker.engine.images import DecodedImage, Frame, ImageInfo
from services.blur_worker.engine.limits import Limits, check_pixels, pillow_limits, too_large
from services.blur_worker.engine.metadata import in_srgb, read_metadata
from services.blur_worker.engine.orientation import read_orientation
from services.blur_worker.engine.pixel_modes import to_working_mode
from services.common.domain.errors import ImageError, Reason
from services.common.domain.spec import Format


def decode(data: bytes, limits: Limits, output_format: Format | None, *, keep_metadata: bool) -> DecodedImage:
    """Decode a file.

    Args:
        data: The file; its format is detected by its content.
        limits: Checked before pixels are allocated.
        output_format: The format of the result, None for the file's own, or what it is
            written as: a format without frames gets only the first,
            and one that cannot describe its colours gets sRGB.
        keep_metadata: Whether to read more metadata than the colours and the resolution.

    Raises:
        ImageError: NOT_AN_IMAGE, UNSUPPORTED, CORRUPT or TOO_LARGE.
        MemoryError: The process reached its memory limit.
    """
    codec = CODECS[detect_format(data)]
    target = CODECS[output_format or codec.format.written_as]
    request = ReadRequest(
        limits=limits,
        all_frames=codec.frames is target.frames is not FrameKind.SINGLE,
        target=target.format,
        keep_metadata=keep_metadata,
    )
    try:
        codec.check(data, limits)
        data = codec.completed(data, limits)
        with pillow_limits(limits):
            return _in_colors_of(target, _decode_own(data, codec, request) or _decode_with_pillow(data, codec, request))
    except (ImageError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise too_large(error, limits.max_pixels) from error
    except Exception as error:
        # Pillow raises nearly every kind of exception for bad data, and nothing else runs here.
        raise ImageError(Reason.CORRUPT, f"The {codec.format} file is damaged or incomplete") from error


def _decode_own(data: bytes, codec: Codec, request: ReadRequest) -> DecodedImage | None:
    """Decode with the codec's own decoder; None if it has none for this file."""
    read = codec.read(data, request) if codec.read else None
    if read is None:
        return None
    metadata = read_metadata(read.described, data, keep=request.keep_metadata)
    if not read.oriented:
        orientation = read_orientation(read.described, data)
        for index, frame in enumerate(read.frames):
            read.frames[index] = Frame(frame.raster.oriented(orientation), frame.milliseconds)
    info = ImageInfo(format=codec.format, metadata=metadata, encoding=codec.read_encoding(read.described, data))
    return DecodedImage(info=info, frames=read.frames)


def _decode_with_pillow(data: bytes, codec: Codec, request: ReadRequest) -> DecodedImage:
    # The class itself instead of Image.open: no other decoder ever sees a byte, and a phone's JPEG with further
    # images behind the main one (MPO) is read as the JPEG that it is.
    assert codec.pillow_class is not None
    with codec.pillow_class(BytesIO(data)) as image:
        check_pixels(image, request.limits)
        codec.prepare(image, request.target)
        frames = _frames(data, image, codec, all_frames=request.all_frames)
        metadata = read_metadata(image, data, keep=request.keep_metadata)
        info = ImageInfo(format=codec.format, metadata=metadata, encoding=codec.read_encoding(image, data))
        return DecodedImage(info=info, frames=frames)


def _frames(data: bytes, image: ImageFile.ImageFile, codec: Codec, *, all_frames: bool) -> list[Frame]:
    stop = getattr(image, "n_frames", 1) if all_frames else 1
    orientation = read_orientation(image, data)
    frames = []
    for index in range(stop):
        image.seek(index)
        image.load()
        raster = to_working_mode(image)
        if area := codec.displayed_area(data, raster.size):
            raster = raster.crop(area)
        frames.append(Frame(raster.oriented(orientation), float(image.info.get("duration") or 0)))
    if stop > 1:
        image.seek(0)
        image.load()
    return frames


def _in_colors_of(target: Codec, decoded: DecodedImage) -> DecodedImage:
    """Convert the colours if the target cannot describe them."""
    info = decoded.info
    converted = False
    for index, frame in enumerate(decoded.frames):
        raster = to_colors_of(target, frame.raster, info.metadata.color)
        if raster is not frame.raster:
            converted = True
            decoded.frames[index] = Frame(raster, frame.milliseconds)
    if not converted:
        return decoded
    in_srgb_now = ImageInfo(format=info.format, metadata=in_srgb(info.metadata), encoding=info.encoding)
    return DecodedImage(info=in_srgb_now, frames=decoded.frames)
