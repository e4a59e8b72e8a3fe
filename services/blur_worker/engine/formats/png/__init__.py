"""PNG, still or animated (APNG). Decoded and encoded without Pillow: faster, and of 16 bits too."""

from PIL import ImageFile
from PIL.PngImagePlugin import PngImageFile

from services.blur_worker.engine.containers.png_chunks import SIGNATURE
from services.blur_worker.engine.formats.codec import Codec, FrameKind, FramesToEncode, starts_with
from services.blur_worker.engine.formats.png.metadata import metadata_chunks
from services.blur_worker.engine.formats.png.read import read_png
from services.blur_worker.engine.formats.png.write import write_png
from services.blur_worker.engine.images import SourceEncoding
from services.blur_worker.engine.metadata_source import MetadataSource
from services.common.domain.spec import Format


def _read_encoding(image: ImageFile.ImageFile | MetadataSource, _data: bytes) -> SourceEncoding:
    return SourceEncoding(plays=int(image.info.get("loop") or 0))


def _encode(frames: FramesToEncode) -> bytes:
    chunks = metadata_chunks(frames.info.metadata, frames.rasters[0].mode)
    return write_png(frames.rasters, frames.milliseconds, plays=frames.info.encoding.plays, metadata=chunks)


CODEC = Codec(
    format=Format.PNG,
    detect=starts_with(SIGNATURE),
    pillow_class=PngImageFile,
    encode=_encode,
    modes=frozenset({"L", "LA", "RGB", "RGBA"}),
    holds_16_bit=True,
    frames=FrameKind.ANIMATION,
    read=read_png,
    read_encoding=_read_encoding,
)
