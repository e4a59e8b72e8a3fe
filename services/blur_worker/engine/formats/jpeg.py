"""JPEG by way of pixels. Most JPEGs are blurred without decoding them to pixels: see `engine/jpeg/`."""

from typing import Any

from PIL import ImageFile
from PIL.JpegImagePlugin import JpegImageFile, get_sampling

from services.blur_worker.engine.described import Described
from services.blur_worker.engine.formats.codec import Codec, FramesToEncode, starts_with
from services.blur_worker.engine.formats.pillow_save import metadata_options, save
from services.blur_worker.engine.images import SourceEncoding
from services.common.domain.spec import Format

MAX_SIDE = 65_500
"""Of a JPEG that libjpeg reads, in pixels."""
_MAX_SEGMENT_BYTES = 65_000
_SMALL_SIDE, _HALVED = 32, 2
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


def _shows_coarse_chroma(image: ImageFile.ImageFile) -> bool:
    if not isinstance(image, JpegImageFile) or image.layers != 3:
        return False
    return min(image.size) < _SMALL_SIDE or max(max(component[1:3]) for component in image.layer) > _HALVED


def _prepare(image: ImageFile.ImageFile, target: Format) -> None:
    if target is Format.JPEG and stores_ycbcr(image) and not _shows_coarse_chroma(image):
        # To blur the samples as stored saves two conversions, and keeps values that RGB would clip.
        image.draft("YCbCr", None)


def _read_encoding(image: ImageFile.ImageFile | Described, _data: bytes) -> SourceEncoding:
    if not isinstance(image, JpegImageFile) or image.layers != 3:
        return SourceEncoding()
    if _shows_coarse_chroma(image):
        return SourceEncoding(subsampling="4:4:4")
    # 4:2:0 for all that Pillow cannot write.
    return SourceEncoding(subsampling={0: "4:4:4", 1: "4:2:2"}.get(get_sampling(image), "4:2:0"))


def _encode(frames: FramesToEncode) -> bytes:
    (raster,), metadata = frames.rasters, frames.info.metadata
    options: dict[str, Any] = metadata_options(metadata, raster.mode, _MAX_SEGMENT_BYTES)
    if metadata.dpi:
        options["dpi"] = metadata.dpi
    if metadata.comment:
        options["comment"] = metadata.comment
    subsampling = frames.info.encoding.subsampling
    return save([raster], Format.JPEG, quality=frames.spec.quality, subsampling=subsampling, **options)


CODEC = Codec(
    format=Format.JPEG,
    detect=starts_with(b"\xff\xd8\xff"),
    pillow_class=JpegImageFile,
    encode=_encode,
    modes=frozenset({"L", "RGB", "CMYK", "YCbCr"}),
    max_side=MAX_SIDE,
    prepare=_prepare,
    read_encoding=_read_encoding,
)
