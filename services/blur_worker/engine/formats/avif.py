"""AVIF, still or animated."""

from typing import Any

import numpy as np
from PIL import ImageFile
from PIL.AvifImagePlugin import AvifImageFile

from services.blur_worker.engine.containers.iso_media import (
    chroma_subsampling,
    clean_aperture,
    displayed_properties,
    with_code_points,
)
from services.blur_worker.engine.containers.iso_movie import count_plays, with_plays
from services.blur_worker.engine.formats.codec import Codec, FrameKind, FramesToEncode
from services.blur_worker.engine.formats.detect import iso_media_brands
from services.blur_worker.engine.formats.pillow_save import metadata_options, save
from services.blur_worker.engine.images import SourceEncoding
from services.blur_worker.engine.metadata_source import MetadataSource
from services.blur_worker.engine.raster import Box, Size
from services.common.domain.spec import Format

# Measured on photographs of 2 megapixels against Pillow's settings, speed 6 and libavif's tuning for the eye: as many
# bytes in 0.43 of the time, of what is sharp in 0.5. Speed 7 and more write 30 to 40 % more
# bytes of what is blurred, in 0.1 of the time from 9 on. The first four tools take most of the time.
_SPEED = 6
_TOOLS_LEFT_OUT = ("palette", "intrabc", "filter-intra", "angle-delta", "tx64")
_CODEC_OPTIONS = {"tune": "psnr", "use-intra-dct-only": "1"} | {f"enable-{tool}": "0" for tool in _TOOLS_LEFT_OUT}
_QUALITIES = (0, 50, 90, 100), (0, 64, 92, 100)
"""With that tuning, the second quality comes to the same as the first one with the other, linearly in between: what is
blurred takes 0.8 to 0.9 of the bytes at 0.2 to 0.7 dB less, what is sharp 1.0 to 1.4 at up to 1.4 dB more."""


def _detect(head: bytes) -> bool:
    return not iso_media_brands(head).isdisjoint({b"avif", b"avis"})


def _read_encoding(_image: ImageFile.ImageFile | MetadataSource, data: bytes) -> SourceEncoding:
    subsampling = chroma_subsampling(displayed_properties(data))
    return SourceEncoding(plays=count_plays(data), subsampling=subsampling)


def _displayed_area(data: bytes, size: Size) -> Box | None:
    return clean_aperture(displayed_properties(data), size)


def _encode(frames: FramesToEncode) -> bytes:
    metadata = frames.info.metadata
    options: dict[str, Any] = metadata_options(metadata, frames.rasters[0].mode)
    if metadata.color.code_points is not None:
        options.pop("icc_profile", None)
    if len(frames.rasters) > 1:
        options["duration"] = [max(1, round(each)) for each in frames.milliseconds]
    quality = round(float(np.interp(frames.spec.quality, *_QUALITIES)))
    options |= {"quality": quality, "subsampling": frames.info.encoding.subsampling}
    # One thread: there is a child process for each core.
    encoded = save(frames.rasters, Format.AVIF, speed=_SPEED, advanced=_CODEC_OPTIONS, max_threads=1, **options)
    if len(frames.rasters) > 1 and frames.info.encoding.plays:
        encoded = with_plays(encoded, frames.info.encoding.plays)
    code_points = frames.info.metadata.color.code_points
    return with_code_points(encoded, *code_points) if code_points else encoded


CODEC = Codec(
    format=Format.AVIF,
    detect=_detect,
    pillow_class=AvifImageFile,
    encode=_encode,
    modes=frozenset({"L", "RGB", "RGBA"}),
    max_side=65_536,
    carries_grey_profiles=False,  # Chromium refuses such a file
    frames=FrameKind.ANIMATION,
    displayed_area=_displayed_area,
    read_encoding=_read_encoding,
)
