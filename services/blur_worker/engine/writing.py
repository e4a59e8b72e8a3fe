"""From blurred frames to a file."""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL.ExifTags import IFD

from services.blur_worker.engine import png
from services.blur_worker.engine.bmp import encode_bmp
from services.blur_worker.engine.gif import encode_gif
from services.blur_worker.engine.metadata import Metadata, exif_for_tiff, icc_for
from services.blur_worker.engine.modes import alike, held
from services.blur_worker.engine.palette import to_palette
from services.blur_worker.engine.picture import Frame, Picture
from services.blur_worker.engine.raster import Raster
from services.blur_worker.engine.regions import mask_of
from services.blur_worker.engine.sizes import MAX_SIDE, check_sides
from services.blur_worker.engine.tiff import encode_tiff
from services.common.spec import BlurSpec, Format

_MAX_JPEG_SEGMENT = 65_000
# Measured on 2 megapixels of photograph: WebP's method 2 takes half of 4's time for 3 % more bytes; AVIF's speed 9 a
# third of 8's for 4 %. One thread: the pool has a child per core.
_WEBP_METHOD, _AVIF_SPEED = 2, 9


def write(picture: Picture, frames: Sequence[Frame], format_: Format, spec: BlurSpec) -> bytes:
    """Encodes blurred frames.

    Raises:
        ImageError: TOO_LARGE, where the format cannot hold an image of this size.
    """
    rasters = [held(frame.raster, format_) for frame in frames]
    for raster in rasters:
        check_sides(raster.size, MAX_SIDE.get(format_, 1 << 31), format_)
    if format_ is not Format.TIFF:
        rasters = alike(rasters)
    times = [frame.milliseconds for frame in frames]
    metadata, first = picture.metadata, rasters[0]
    match format_:
        case Format.GIF:
            kept = _untouched(spec, first.size) if picture.format is Format.GIF else None
            indexed = [to_palette(raster.to_image(), kept) for raster in rasters]
            return encode_gif(indexed, times, picture.plays, metadata.comment)
        case Format.BMP if first.mode == "RGBA":
            return encode_bmp(first.to_image())
        case Format.PNG:
            before = png.metadata_chunks(metadata, first.mode)
            return png.encode(rasters, times, picture.plays, before)
        case Format.TIFF if any(raster.is_deep and raster.mode != "L" for raster in rasters):
            exif = exif_for_tiff(metadata.exif, metadata.xmp, len(rasters))
            icc = icc_for(metadata.icc_profile, first.mode)
            return encode_tiff(rasters, metadata.dpi, icc, exif, packed=picture.compression != "raw")
        case _:
            return _by_pillow(picture, rasters, times, format_, spec)


def _by_pillow(picture: Picture, rasters: list[Raster], times: list[float], format_: Format, spec: BlurSpec) -> bytes:
    options = _options(picture, format_, spec) | _sidecar(picture.metadata, rasters[0], format_, len(rasters))
    images = [raster.to_image() for raster in rasters]
    if len(images) > 1:
        options |= {"save_all": True, "append_images": images[1:]}
        if format_ is not Format.TIFF:
            options |= _timing(times, picture.plays, format_)
    out = BytesIO()
    images[0].save(out, format_.value, **options)
    return out.getvalue()


def _untouched(spec: BlurSpec, size: tuple[int, int]) -> NDArray[np.bool_] | None:
    return mask_of(spec, size) == 0 if spec.regions else None


def _options(picture: Picture, format_: Format, spec: BlurSpec) -> dict[str, Any]:
    match format_:
        case Format.JPEG:
            return {"quality": spec.quality, "subsampling": picture.subsampling}
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


def _sidecar(metadata: Metadata, raster: Raster, format_: Format, pages: int) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if metadata.dpi and format_ in {Format.JPEG, Format.TIFF, Format.BMP}:
        options["dpi"] = metadata.dpi
    if format_ is Format.BMP:
        return options
    if icc := icc_for(metadata.icc_profile, raster.mode):
        options["icc_profile"] = icc
    exif, xmp = metadata.exif, metadata.xmp
    if format_ is Format.TIFF:
        exif = exif_for_tiff(exif, xmp, pages)
        if exif is not None and (IFD.Exif in exif or IFD.GPSInfo in exif):
            options["compression"] = "raw"  # libtiff writes no further directories
    elif xmp and not (format_ is Format.JPEG and len(xmp) > _MAX_JPEG_SEGMENT):
        options["xmp"] = xmp
    if exif is not None and not (format_ is Format.JPEG and len(exif.tobytes()) > _MAX_JPEG_SEGMENT):
        options["exif"] = exif
    if format_ is Format.JPEG and metadata.comment:
        options["comment"] = metadata.comment
    return options


def _timing(milliseconds: list[float], plays: int, format_: Format) -> dict[str, Any]:
    if format_ is Format.AVIF:
        return {"duration": [max(1, round(duration)) for duration in milliseconds]}
    return {"duration": [round(duration) for duration in milliseconds], "loop": plays}
