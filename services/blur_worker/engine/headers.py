"""Facts of a file that Pillow does not tell, or tells differently for each format."""

from collections.abc import Iterator

from PIL import ImageFile
from PIL.JpegImagePlugin import JpegImageFile, get_sampling

from services.common.domain.spec import Format


def stores_ycbcr(image: ImageFile.ImageFile) -> bool:
    """Whether a JPEG's three components are YCbCr; by the same rules as libjpeg."""
    if not isinstance(image, JpegImageFile) or image.layers != 3:
        return False
    if "jfif" in image.info:
        return True
    if "adobe" in image.info:
        return image.info.get("adobe_transform") != 0
    return bytes(component[0] for component in image.layer) != b"RGB"


def subsampling(image: ImageFile.ImageFile) -> str:
    """How a JPEG in colour stores it: 4:4:4, 4:2:2, or 4:2:0 for that and all that Pillow cannot write."""
    if not isinstance(image, JpegImageFile) or image.layers != 3:
        return "4:2:0"
    return {0: "4:4:4", 1: "4:2:2"}.get(get_sampling(image), "4:2:0")


def plays(image: ImageFile.ImageFile, format_: Format) -> int:
    """How often an animation is shown, 0 for ever. A GIF says how often it is repeated, or nothing: shown once."""
    loop = image.info.get("loop")
    if format_ is Format.GIF:
        return 1 if loop is None else 0 if loop == 0 else int(loop) + 1
    return int(loop or 0)


def is_lossless_webp(data: bytes) -> bool:
    """Whether the first picture in a WebP is stored as VP8L."""
    return next((name for name in _webp_chunks(data, 12, len(data)) if name in {b"VP8 ", b"VP8L"}), b"") == b"VP8L"


def _webp_chunks(data: bytes, start: int, end: int) -> Iterator[bytes]:
    while start + 8 <= end:
        name, size = data[start : start + 4], int.from_bytes(data[start + 4 : start + 8], "little")
        yield name
        if name == b"ANMF":  # a frame: 16 bytes about it, then chunks
            yield from _webp_chunks(data, start + 24, min(end, start + 8 + size))
        start += 8 + size + size % 2
