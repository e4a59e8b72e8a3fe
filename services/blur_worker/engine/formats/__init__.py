"""The file formats. To add one, write a module with a `CODEC` and list it here.

ARCHITECTURE.md lists the places outside the engine.
"""

from collections.abc import Mapping

from services.blur_worker.engine.formats import avif, bmp, gif, heif, jpeg, png, tiff, webp
from services.blur_worker.engine.formats.codec import Codec, FrameKind, FramesToEncode
from services.blur_worker.engine.formats.detect import detect
from services.common.domain.spec import Format

__all__ = ["CODECS", "Codec", "FrameKind", "FramesToEncode", "detect_format"]

CODECS: Mapping[Format, Codec] = {
    module.CODEC.format: module.CODEC for module in (jpeg, png, webp, gif, tiff, bmp, avif, heif)
}
"""The codec of each supported format."""


def detect_format(data: bytes) -> Format:
    """Return the format of a file by its content, never by its name.

    Raises:
        ImageError: UNSUPPORTED, naming the format if it is a known one, or NOT_AN_IMAGE.
    """
    return detect(data, CODECS.values())
