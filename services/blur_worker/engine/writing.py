"""From blurred frames to a file."""

from io import BytesIO
from typing import Any

from PIL import Image, PngImagePlugin
from PIL.ExifTags import IFD

from services.blur_worker.engine.apng import encode_apng
from services.blur_worker.engine.bmp import encode_bmp
from services.blur_worker.engine.gif import encode_gif
from services.blur_worker.engine.metadata import Metadata, exif_for_tiff, icc_for
from services.blur_worker.engine.modes import held
from services.blur_worker.engine.palette import to_palette
from services.blur_worker.engine.picture import Frame, Picture
from services.blur_worker.engine.regions import mask_of
from services.blur_worker.engine.sizes import MAX_SIDE, check_sides
from services.common.spec import BlurSpec, Format

_MAX_JPEG_SEGMENT = 65_000
# Measured on 2 megapixels of photograph: PNG's level 2 takes a quarter of the time of 6 for an eighth more bytes;
# WebP's method 2 half of 4 for 3 %; AVIF's speed 9 a third of 8 for 4 %. One thread: the pool has a child per core.
_PNG_LEVEL, _WEBP_METHOD, _AVIF_SPEED = 2, 2, 9


def write(picture: Picture, frames: list[Frame], format_: Format, spec: BlurSpec) -> bytes:
    """Encodes blurred frames.

    Raises:
        ImageError: TOO_LARGE, where the format cannot hold an image of this size.
    """
    images = _alike([held(frame.image, format_) for frame in frames], format_)
    for image in images:
        check_sides(image, MAX_SIDE.get(format_, 1 << 31), format_)
    if format_ is Format.GIF:
        kept = _untouched(spec, images[0].size) if picture.format is Format.GIF else None
        indexed = [to_palette(image, kept) for image in images]
        return encode_gif(indexed, [frame.milliseconds for frame in frames], picture.plays, picture.metadata.comment)
    if format_ is Format.BMP and images[0].mode == "RGBA":
        return encode_bmp(images[0])
    options = _options(picture, format_, spec) | _sidecar(picture.metadata, images[0], format_, len(images))
    times = [frame.milliseconds for frame in frames]
    if format_ is Format.PNG and len(images) > 1:
        return encode_apng(images, times, picture.plays, options)
    if len(images) > 1:
        options |= {"save_all": True, "append_images": images[1:]}
        if format_ is not Format.TIFF:
            options |= _timing(times, picture.plays, format_)
    out = BytesIO()
    images[0].save(out, format_.value, **options)
    return out.getvalue()


def _alike(images: list[Image.Image], format_: Format) -> list[Image.Image]:
    """Frames of an animation have one mode, that of the richest; pages are on their own."""
    modes = {image.mode for image in images}
    if format_ is Format.TIFF or len(modes) == 1:
        return images
    return [image.convert("RGBA" if modes & {"LA", "RGBA"} else "RGB") for image in images]


def _untouched(spec: BlurSpec, size: tuple[int, int]) -> Image.Image | None:
    return mask_of(spec, size).point([255] + [0] * 255) if spec.regions else None


def _options(picture: Picture, format_: Format, spec: BlurSpec) -> dict[str, Any]:
    match format_:
        case Format.JPEG:
            return {"quality": spec.quality, "subsampling": "4:4:4" if picture.full_chroma else "4:2:0"}
        case Format.PNG:
            return {"compress_level": _PNG_LEVEL}
        case Format.WEBP if picture.lossless:
            # Here quality is effort; exact keeps the colours of transparent pixels.
            return {"lossless": True, "exact": True, "quality": 50, "method": 0}
        case Format.WEBP:
            return {"quality": spec.quality, "method": _WEBP_METHOD}
        case Format.AVIF:
            return {"quality": spec.quality, "speed": _AVIF_SPEED, "max_threads": 1}
        case Format.TIFF:
            kept = {"raw", "packbits", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate"}
            return {"compression": picture.compression if picture.compression in kept else "tiff_lzw"}
        case _:
            return {}


def _sidecar(metadata: Metadata, image: Image.Image, format_: Format, pages: int) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if metadata.dpi and format_ in {Format.JPEG, Format.PNG, Format.TIFF, Format.BMP}:
        options["dpi"] = metadata.dpi
    if format_ is Format.BMP:
        return options
    if icc := icc_for(metadata.icc_profile, image.mode):
        options["icc_profile"] = icc
    exif, xmp = metadata.exif, metadata.xmp
    if format_ is Format.TIFF:
        exif = exif_for_tiff(exif, xmp, pages)
        if exif is not None and (IFD.Exif in exif or IFD.GPSInfo in exif):
            options["compression"] = "raw"  # libtiff writes no further directories
    elif format_ is Format.PNG:
        options["pnginfo"] = _png_text(metadata)
    elif xmp and not (format_ is Format.JPEG and len(xmp) > _MAX_JPEG_SEGMENT):
        options["xmp"] = xmp
    if exif is not None and not (format_ is Format.JPEG and len(exif.tobytes()) > _MAX_JPEG_SEGMENT):
        options["exif"] = exif
    if format_ is Format.JPEG and metadata.comment:
        options["comment"] = metadata.comment
    return options


def _png_text(metadata: Metadata) -> PngImagePlugin.PngInfo:
    chunks = PngImagePlugin.PngInfo()
    for name, value in metadata.text.items():
        chunks.add_itxt(name, value)
    if metadata.xmp:
        chunks.add_itxt("XML:com.adobe.xmp", metadata.xmp.decode("utf-8", "replace"))
    return chunks


def _timing(milliseconds: list[float], plays: int, format_: Format) -> dict[str, Any]:
    if format_ is Format.AVIF:
        return {"duration": [max(1, round(duration)) for duration in milliseconds]}
    return {"duration": [round(duration) for duration in milliseconds], "loop": plays}
