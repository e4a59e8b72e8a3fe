"""GIF, encoded frame by frame: Pillow's encoder drops frames that look like the one before."""

import struct
from collections.abc import Sequence

from PIL import Image, ImageChops, ImageFile
from PIL.GifImagePlugin import GifImageFile, getdata

from services.blur_worker.engine.formats.codec import Codec, FrameKind, FramesToEncode, starts_with
from services.blur_worker.engine.formats.gif_reader.read import read_gif
from services.blur_worker.engine.formats.palette import to_palette
from services.blur_worker.engine.images import SourceEncoding
from services.blur_worker.engine.metadata_source import MetadataSource
from services.blur_worker.engine.regions import hides_whole, region_mask
from services.common.domain.spec import Format

_KEEP, _CLEAR = 1, 2
"""Disposal methods: what happens to a frame before the next one (GIF89a, section 23)."""
_PalettedFrame = tuple[Image.Image, int | None]
"""An image of mode P, and the index of its transparent colour."""


def _read_encoding(image: ImageFile.ImageFile | MetadataSource, _data: bytes) -> SourceEncoding:
    # The file has the number of repetitions, or none for a single play.
    repetitions = image.info.get("loop")
    return SourceEncoding(plays=1 if repetitions is None else 0 if repetitions == 0 else int(repetitions) + 1)


def _encode(frames: FramesToEncode) -> bytes:
    info, spec = frames.info, frames.spec
    regional = info.format is Format.GIF and not hides_whole(spec)
    exact = region_mask(spec, frames.rasters[0].size) == 0 if regional else None
    paletted = [to_palette(raster.to_pillow(), exact) for raster in frames.rasters]
    parts = [b"GIF89a", struct.pack("<HHBBB", *frames.rasters[0].size, 0x70, 0, 0)]
    if len(paletted) > 1 and info.encoding.plays != 1:
        repetitions = min(max(info.encoding.plays - 1, 0), 65535)
        parts.append(b"!\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<H", repetitions) + b"\0")
    if comment := info.metadata.comment:
        blocks = (comment[start : start + 255] for start in range(0, len(comment), 255))
        parts.append(b"!\xfe" + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0")
    return b"".join([*parts, *_encode_frames(paletted, frames.milliseconds), b";"])


def _encode_frames(frames: Sequence[_PalettedFrame], milliseconds: Sequence[float]) -> list[bytes]:
    """Encode frames of one size, each with its own palette; opaque ones only where they differ from the one before."""
    parts: list[bytes] = []
    any_transparent = any(transparent is not None for _, transparent in frames)
    before: Image.Image | None = None
    for (frame, transparent), duration in zip(frames, milliseconds, strict=True):
        box = (0, 0, *frame.size)
        if not any_transparent:
            colors = frame.convert("RGB")
            if before is not None:
                # A frame without a difference keeps its time: it becomes one pixel.
                box = ImageChops.difference(colors, before).getbbox() or (0, 0, 1, 1)
            before = colors
        rounded = min(round(duration / 10), 65535) * 10  # the file has hundredths of a second
        options = {"include_color_table": True, "duration": rounded, "disposal": _CLEAR if any_transparent else _KEEP}
        if transparent is not None:
            options["transparency"] = transparent
        parts += getdata(frame.crop(box), box[:2], **options)
    return parts


CODEC = Codec(
    format=Format.GIF,
    detect=starts_with(b"GIF87a", b"GIF89a"),
    pillow_class=GifImageFile,
    encode=_encode,
    modes=frozenset({"RGB", "RGBA"}),
    max_side=65_535,
    carries_profiles=False,
    frames=FrameKind.ANIMATION,
    read=read_gif,
    read_encoding=_read_encoding,
)
