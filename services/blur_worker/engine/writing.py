"""From blurred frames to a file."""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ExifTags import IFD
from PIL.TiffImagePlugin import PREDICTOR

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
from services.common.domain.spec import BlurSpec, Format

_MAX_JPEG_SEGMENT = 65_000
# Measured on blurred photographs of 2 megapixels, sigma 2, 5 and 20, at quality 90.
# WebP: method 2 takes 46 ms for 53 kB; 0 and 1 hardly less for 20 to 25 % more bytes, 3 and 4 (Pillow's) 111 for 52.
# Without loss, an effort of 20 takes 93 ms for 848 kB, of 50 158 ms for 824, of 0 84 ms for 858; method 1 takes 320.
# AVIF: speed 9 takes 63 ms for 79 kB, as 10 does; 8 twice as long for as many bytes, 7 seven times and 6 ten times as
# long for 5 and 25 % fewer. One thread: the pool has a child per core. (Pillow's WebP has only one.)
_WEBP_METHOD, _WEBP_LOSSLESS_EFFORT, _AVIF_SPEED = 2, 20, 9
# LZW after taking from each sample the one before it: 41 ms for 0.9 MB; without, 59 for 4.
_HORIZONTAL = 2
_DEFLATED = {"tiff_deflate", "tiff_adobe_deflate"}


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
        case Format.TIFF if picture.compression in _DEFLATED or any(map(_is_deep_color, rasters)):
            exif = exif_for_tiff(metadata.exif, metadata.xmp, len(rasters))
            icc = icc_for(metadata.icc_profile, first.mode)
            return encode_tiff(rasters, metadata.dpi, icc, exif, packed=picture.compression != "raw")
        case _:
            return _by_pillow(picture, rasters, times, format_, spec)


def _by_pillow(picture: Picture, rasters: list[Raster], times: list[float], format_: Format, spec: BlurSpec) -> bytes:
    options = _options(picture, format_, spec) | _sidecar(picture.metadata, rasters[0], format_, len(rasters))
    if options.get("compression") == "tiff_lzw":
        options.setdefault("exif", Image.Exif())[PREDICTOR] = _HORIZONTAL
    images = [raster.to_image() for raster in rasters]
    if len(images) > 1:
        options |= {"save_all": True, "append_images": images[1:]}
        if format_ is not Format.TIFF:
            options |= _timing(times, picture.plays, format_)
    out = BytesIO()
    images[0].save(out, format_.value, **options)
    return out.getvalue()


def _is_deep_color(raster: Raster) -> bool:
    return raster.is_deep and raster.mode != "L"


def _untouched(spec: BlurSpec, size: tuple[int, int]) -> NDArray[np.bool_] | None:
    return mask_of(spec, size) == 0 if spec.regions else None


def _options(picture: Picture, format_: Format, spec: BlurSpec) -> dict[str, Any]:
    match format_:
        case Format.JPEG:
            return {"quality": spec.quality, "subsampling": picture.subsampling}
        case Format.WEBP if picture.lossless:
            # Here quality is effort; exact keeps the colours of transparent pixels.
            return {"lossless": True, "exact": True, "quality": _WEBP_LOSSLESS_EFFORT, "method": 0}
        case Format.WEBP:
            return {"quality": spec.quality, "method": _WEBP_METHOD}
        case Format.AVIF:
            return {"quality": spec.quality, "speed": _AVIF_SPEED, "max_threads": 1}
        case Format.TIFF:
            return {"compression": picture.compression if picture.compression in {"raw", "packbits"} else "tiff_lzw"}
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
