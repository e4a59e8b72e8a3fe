"""Files of every format that say how they are to be turned, in every way that was seen: also where readers disagree."""

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageDraw

from tests.support.heif_files import Item, coded, heif, imir, irot
from tests.support.images import encode, oriented

MARK = (225, 20, 20)
"""The colour of what has to be hidden: a rectangle at the left of the top of what is stored."""
MARK_BOX = (12, 12, 52, 36)
SIZE = (120, 80)
ORIENTATIONS = range(1, 9)
_TAG, _SHORT, _LONG, _SIGNED_SHORT = 0x0112, 3, 4, 8


@dataclass(frozen=True, kw_only=True)
class OrientedFile:
    """A file."""

    name: str
    data: bytes


def oriented_files() -> Iterator[OrientedFile]:
    """Yield a file for each way of storing and each orientation."""
    for name, make in _WAYS.items():
        extension = name.partition("-")[0]
        for orientation in ORIENTATIONS:
            yield OrientedFile(name=f"{name}-{orientation}.{extension}", data=make(orientation))


def marked_picture() -> Image.Image:
    """Return the picture that is stored: a mark on a ramp of greens and blues."""
    picture = Image.new("RGB", SIZE)
    for x in range(SIZE[0]):
        picture.paste((30, 60 + x, 180 - x), (x, 0, x + 1, SIZE[1]))
    ImageDraw.Draw(picture).rectangle((*MARK_BOX[:2], MARK_BOX[2] - 1, MARK_BOX[3] - 1), fill=MARK)
    return picture


def find_mark(picture: Image.Image) -> tuple[int, int, int, int] | None:
    """Return the box around all pixels that look like the mark; None if there are none."""
    red, green, blue = picture.convert("RGB").split()
    is_mark = [
        red.point(lambda value: 255 * (value > 150)),
        green.point(lambda value: 255 * (value < 90)),
        blue.point(lambda value: 255 * (value < 90)),
    ]
    return _all_of(is_mark).getbbox()


def _all_of(masks: list[Image.Image]) -> Image.Image:
    black = Image.new("L", masks[0].size)
    result = masks[0]
    for mask in masks[1:]:
        result = Image.composite(result, black, mask)
    return result


def _exif(orientation: int, *, order: str = "<", kind: int = _SHORT) -> bytes:
    """EXIF, from the TIFF header on, with nothing but an orientation of this type."""
    value = struct.pack(
        f"{order}I" if kind == _LONG else f"{order}HH", *([orientation] if kind == _LONG else [orientation, 0])
    )
    start = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    return start + struct.pack(f"{order}HHHI", 1, _TAG, kind, 1) + value + bytes(4)


def _xmp(orientation: int) -> bytes:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
        f'tiff:Orientation="{orientation}"/></rdf:RDF></x:xmpmeta>'
    ).encode()


def _segment(content: bytes) -> bytes:
    return b"\xff\xe1" + struct.pack(">H", 2 + len(content)) + content


def _jpeg(*segments: bytes, behind: bytes = b"") -> bytes:
    plain = encode(marked_picture(), "JPEG", quality=95, subsampling=0)
    scan = plain.index(b"\xff\xda")
    return plain[:2] + b"".join(map(_segment, segments)) + plain[2:scan] + behind + plain[scan:]


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _png(before: bytes = b"", after: bytes = b"") -> bytes:
    plain = encode(marked_picture(), "PNG")
    pixels, end = plain.index(b"IDAT") - 4, plain.index(b"IEND") - 4
    return plain[:pixels] + before + plain[pixels:end] + after + plain[end:]


def _raw_profile(orientation: int) -> bytes:
    exif = b"Exif\0\0" + _exif(orientation)
    return _chunk(
        b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n%8d\n%s\n" % (len(exif), exif.hex().encode()))
    )


def _saved(format_: str, **options: Any) -> Callable[[int], bytes]:
    return lambda orientation: encode(marked_picture(), format_, exif=oriented(orientation), **options)


def _tiff_long(orientation: int) -> bytes:
    data = _saved("TIFF")(orientation)
    entry = struct.pack("<HHIHH", _TAG, _SHORT, 1, orientation, 0)
    assert entry in data
    return data.replace(entry, struct.pack("<HHII", _TAG, _LONG, 1, orientation))


def _heic_properties(orientation: int) -> bytes:
    """What turns is in properties of the image: quarters anticlockwise, then 0 for upside down or 1 for mirrored."""
    quarters, axis = {
        1: (0, None), 2: (0, 1), 3: (2, None), 4: (0, 0), 5: (1, 0), 6: (3, None), 7: (1, 1), 8: (1, None),
    }[orientation]  # fmt: skip
    mirror = [] if axis is None else [imir(axis)]
    return heif([coded(marked_picture(), irot(quarters), *mirror)])


def _heic_exif(orientation: int) -> bytes:
    exif = Item(type=b"Exif", data=b"\0\0\0\6Exif\0\0" + _exif(orientation), references={b"cdsc": [1]})
    return heif([coded(marked_picture()), exif])


_WAYS: dict[str, Callable[[int], bytes]] = {
    "jpg-short": lambda orientation: _jpeg(b"Exif\0\0" + _exif(orientation)),
    "jpg-big_endian": lambda orientation: _jpeg(b"Exif\0\0" + _exif(orientation, order=">")),
    "jpg-long": lambda orientation: _jpeg(b"Exif\0\0" + _exif(orientation, kind=_LONG)),
    "jpg-signed": lambda orientation: _jpeg(b"Exif\0\0" + _exif(orientation, kind=_SIGNED_SHORT)),
    "jpg-padded_header": lambda orientation: _jpeg(b"Exif\0\xff" + _exif(orientation)),
    "jpg-second_segment": lambda orientation: _jpeg(b"Exif\0\0" + _exif(1), b"Exif\0\0" + _exif(orientation)),
    "jpg-before_scan": lambda orientation: _jpeg(behind=_segment(b"Exif\0\0" + _exif(orientation))),
    "jpg-xmp": lambda orientation: _jpeg(b"http://ns.adobe.com/xap/1.0/\0" + _xmp(orientation)),
    "png-exif": lambda orientation: _png(_chunk(b"eXIf", _exif(orientation))),
    "png-late_exif": lambda orientation: _png(after=_chunk(b"eXIf", _exif(orientation))),
    "png-long": lambda orientation: _png(_chunk(b"eXIf", _exif(orientation, kind=_LONG))),
    "png-xmp": lambda orientation: _png(_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + _xmp(orientation))),
    "png-raw_profile": lambda orientation: _png(_raw_profile(orientation)),
    "webp-exif": _saved("WEBP", quality=95),
    "webp-lossless": _saved("WEBP", lossless=True),
    "webp-xmp": lambda orientation: encode(marked_picture(), "WEBP", quality=95, xmp=_xmp(orientation)),
    "avif-properties": _saved("AVIF", quality=95),
    "tif-short": _saved("TIFF"),
    "tif-long": _tiff_long,
    "tif-xmp": lambda orientation: encode(marked_picture(), "TIFF", tiffinfo={700: _xmp(orientation)}),
    "gif-xmp": lambda orientation: encode(marked_picture(), "GIF", comment=_xmp(orientation)),
    "heic-properties": _heic_properties,
    "heic-exif": _heic_exif,
    "bmp-plain": lambda _orientation: encode(marked_picture(), "BMP"),
}  # fmt: skip
