"""JPEG by way of pixels. Most JPEGs are blurred without decoding them to pixels: see `engine/jpeg/`."""

from typing import Any

from PIL import ImageFile
from PIL.JpegImagePlugin import JpegImageFile, get_sampling

from services.blur_worker.engine.formats.codec import Codec, FramesToEncode, starts_with
from services.blur_worker.engine.formats.jpeg_check import check_jpeg
from services.blur_worker.engine.formats.pillow_save import metadata_options, save
from services.blur_worker.engine.images import SourceEncoding
from services.blur_worker.engine.jpeg.complete import completed
from services.blur_worker.engine.metadata_source import MetadataSource
from services.common.domain.spec import Format

MAX_SIDE = 65_500
"""Longest side of a JPEG that libjpeg reads, in pixels."""
_MAX_SEGMENT_BYTES = 65_000
_LEAST_QUALITY_OF_SMALL, _FINE_DIVISOR = 98, 2
SMALL_SIDE, _HALVED = 32, 2
"""In pixels, and samples: of smaller images chroma by half is visibly coarse; where it was stored even coarser, viewers
repeat samples, and the result could not be smooth."""


def stores_ycbcr(image: ImageFile.ImageFile) -> bool:
    """Whether the three components of an opened JPEG are YCbCr, by the rules of libjpeg; False for other images."""
    if not isinstance(image, JpegImageFile) or image.layers != 3:
        return False
    if "jfif" in image.info:
        return True
    if "adobe" in image.info:
        return image.info.get("adobe_transform") != 0
    return bytes(component[0] for component in image.layer) != b"RGB"


def _stores_rgb(image: JpegImageFile) -> bool:
    return image.mode == "RGB" and not stores_ycbcr(image)


def _shows_coarse_chroma(image: ImageFile.ImageFile) -> bool:
    if not isinstance(image, JpegImageFile) or image.layers != 3:
        return False
    return min(image.size) < SMALL_SIDE or _repeats_chroma(image)


def _repeats_chroma(image: JpegImageFile) -> bool:
    return max(max(component[1:3]) for component in image.layer) > _HALVED


def _prepare(image: ImageFile.ImageFile, target: Format) -> None:
    if target is Format.JPEG and stores_ycbcr(image) and not _shows_coarse_chroma(image):
        # To blur the samples as stored saves two conversions, and keeps values that RGB would clip.
        image.draft("YCbCr", None)


def _read_encoding(image: ImageFile.ImageFile | MetadataSource, _data: bytes) -> SourceEncoding:
    if not isinstance(image, JpegImageFile):
        return SourceEncoding()
    coarse = image.layers == 3 and _repeats_chroma(image)
    return SourceEncoding(subsampling=_subsampling(image), stores_rgb=_stores_rgb(image), coarse_chroma=coarse)


def _subsampling(image: JpegImageFile) -> str:
    if image.layers != 3:
        return "4:2:0"
    if _shows_coarse_chroma(image):
        return "4:4:4"
    # 4:2:0 for all that Pillow cannot write.
    return {0: "4:4:4", 1: "4:2:2"}.get(get_sampling(image), "4:2:0")


def _encode(frames: FramesToEncode) -> bytes:
    (raster,), metadata = frames.rasters, frames.info.metadata
    options: dict[str, Any] = metadata_options(metadata, raster.mode, _MAX_SEGMENT_BYTES) | _quality(frames)
    if metadata.dpi:
        options["dpi"] = metadata.dpi
    if metadata.comment:
        options["comment"] = metadata.comment
    return save([raster], Format.JPEG, **options)


def _quality(frames: FramesToEncode) -> dict[str, Any]:
    """Return Pillow's options for divisors and subsampling.

    Where only regions are blurred, and the file cannot be spliced because of its colours, everything else is to stay
    what it is, to two levels.
    """
    encoding, raster, spec = frames.info.encoding, frames.rasters[0], frames.spec
    options: dict[str, Any] = {"subsampling": "4:4:4" if raster.mode == "CMYK" else encoding.subsampling}
    small = min(raster.size) < SMALL_SIDE
    options["quality"] = max(spec.quality, _LEAST_QUALITY_OF_SMALL) if small else spec.quality
    exact = raster.mode == "CMYK" or encoding.stores_rgb or encoding.coarse_chroma
    if spec.regions and frames.info.format is Format.JPEG and exact:
        options |= {"qtables": [[_FINE_DIVISOR] * 64], "keep_rgb": encoding.stores_rgb, "subsampling": "4:4:4"}
    return options


CODEC = Codec(
    format=Format.JPEG,
    detect=starts_with(b"\xff\xd8\xff"),
    pillow_class=JpegImageFile,
    encode=_encode,
    modes=frozenset({"L", "RGB", "CMYK", "YCbCr"}),
    max_side=MAX_SIDE,
    check=check_jpeg,
    completed=completed,
    prepare=_prepare,
    read_encoding=_read_encoding,
)
