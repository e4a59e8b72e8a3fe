"""HEIF files of any structure: images are encoded with x265, boxes are written here (ISO/IEC 14496-12, 23008-12)."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO

import pillow_heif
from PIL import Image

from services.blur_worker.engine.containers.iso_media import boxes, displayed_properties

ALPHA = b"urn:mpeg:hevc:2015:auxid:1"
DEPTH = b"urn:mpeg:hevc:2015:auxid:2"
GAIN_MAP = b"urn:com:apple:photo:2020:aux:hdrgainmap"


@dataclass(frozen=True, kw_only=True)
class Item:
    """An item of a file."""

    type: bytes
    data: bytes
    properties: Sequence[bytes] = ()
    """Whole boxes."""
    references: Mapping[bytes, Sequence[int]] = field(default_factory=dict)
    """Of each type to which items, by their number from 1."""


def heic(image: Image.Image, **options: object) -> bytes:
    """Encode an image as phones do, by default at a high quality."""
    file = BytesIO()
    pillow_heif.from_pillow(image).save(file, **{"quality": 95} | options)
    return file.getvalue()


def coded(image: Image.Image, *properties: bytes, **rest: Mapping[bytes, Sequence[int]]) -> Item:
    """Return an item of a picture, encoded without its own boxes."""
    file = heic(image, chroma="444")
    (data,) = (bytes(content) for name, content in boxes(memoryview(file)) if name == b"mdat")
    configuration = box(b"hvcC", displayed_properties(file)[b"hvcC"])
    return Item(type=b"hvc1", data=data, properties=(configuration, ispe(*image.size), *properties), **rest)


def grid(rows: int, columns: int, size: tuple[int, int], tiles: Sequence[int], *properties: bytes) -> Item:
    """Return an item of tiles, which are items of these numbers."""
    data = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, *size)
    return Item(type=b"grid", data=data, properties=(ispe(*size), *properties), references={b"dimg": tiles})


def auxiliary(image: Image.Image, kind: bytes, of: int) -> Item:
    """Return an item that adds something to another: alpha, depth, a gain map."""
    return coded(image, full_box(b"auxC", kind + b"\0"), references={b"auxl": [of]})


def irot(quarters: int) -> bytes:
    """Return a rotation by so many quarter turns, anticlockwise."""
    return box(b"irot", bytes([quarters]))


def imir(axis: int) -> bytes:
    """Return a mirroring: 0 turns upside down, 1 exchanges left and right."""
    return box(b"imir", bytes([axis]))


def clap(width: int, height: int, left: int, top: int, stored: tuple[int, int]) -> bytes:
    """Return an aperture, with its corner in what is stored."""
    x, y = 2 * left + width - stored[0], 2 * top + height - stored[1]
    return box(b"clap", struct.pack(">IIIIiIiI", width, 1, height, 1, x, 2, y, 2))


def ispe(width: int, height: int) -> bytes:
    """Return the size that a file declares."""
    return full_box(b"ispe", struct.pack(">II", width, height))


def heif(items: Sequence[Item], *, primary: int = 1, brand: bytes = b"heic", trailer: bytes = b"") -> bytes:
    """Return a file of these items, whose numbers begin with 1."""
    ftyp = box(b"ftyp", brand + bytes(4) + b"mif1" + brand)
    size = len(ftyp) + len(_meta(items, primary, 0))
    data = b"".join(item.data for item in items)
    return ftyp + _meta(items, primary, size + 8) + box(b"mdat", data) + trailer


def box(name: bytes, *content: bytes) -> bytes:
    """Return a box."""
    joined = b"".join(content)
    return struct.pack(">I", len(joined) + 8) + name + joined


def full_box(name: bytes, *content: bytes, version: int = 0) -> bytes:
    """Return a box with a version."""
    return box(name, bytes([version, 0, 0, 0]), *content)


def _meta(items: Sequence[Item], primary: int, offset: int) -> bytes:
    numbered = list(enumerate(items, 1))
    entries = [full_box(b"infe", struct.pack(">HH", n, 0), item.type, b"\0", version=2) for n, item in numbered]
    references = [
        box(kind, struct.pack(f">HH{len(to)}H", number, len(to), *to))
        for number, item in numbered
        for kind, to in item.references.items()
    ]
    properties = [each for item in items for each in item.properties]
    associations, index = b"", 1
    for number, item in numbered:
        indices = [0x80 | each for each in range(index, index + len(item.properties))]
        associations += struct.pack(">HB", number, len(indices)) + bytes(indices)
        index += len(item.properties)
    places = b""
    for number, item in numbered:
        places += struct.pack(">HHHII", number, 0, 1, offset, len(item.data))
        offset += len(item.data)
    return full_box(
        b"meta",
        full_box(b"hdlr", bytes(4), b"pict", bytes(13)),
        full_box(b"pitm", struct.pack(">H", primary)),
        full_box(b"iloc", b"\x44\0", struct.pack(">H", len(items)), places),
        full_box(b"iinf", struct.pack(">H", len(items)), *entries),
        full_box(b"iref", *references),
        box(b"iprp", box(b"ipco", *properties), full_box(b"ipma", struct.pack(">I", len(items)), associations)),
    )
