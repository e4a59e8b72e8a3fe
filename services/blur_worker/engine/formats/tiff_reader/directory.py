"""The directories of a TIFF: of each page its tags. Source: TIFF 6.0, section 2; BigTIFF."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from services.blur_worker.engine.limits import Limits, check_count
from services.common.domain.errors import ImageError, Reason

Values = tuple[int, ...] | tuple[float, ...] | bytes
_TYPES = {1: "B", 3: "H", 4: "I", 8: "h", 9: "i", 13: "I", 16: "Q", 18: "Q"}
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_BYTES, _RATIONAL = {2, 7}, 5
_MAX_ENTRIES = 4096


class Tag(IntEnum):
    """The tags that matter here, by their names in the specification."""

    IMAGE_WIDTH = 256
    IMAGE_LENGTH = 257
    BITS_PER_SAMPLE = 258
    COMPRESSION = 259
    PHOTOMETRIC = 262
    FILL_ORDER = 266
    STRIP_OFFSETS = 273
    ORIENTATION = 274
    SAMPLES_PER_PIXEL = 277
    ROWS_PER_STRIP = 278
    STRIP_BYTE_COUNTS = 279
    X_RESOLUTION = 282
    Y_RESOLUTION = 283
    PLANAR_CONFIGURATION = 284
    RESOLUTION_UNIT = 296
    PREDICTOR = 317
    COLOR_MAP = 320
    TILE_WIDTH = 322
    TILE_LENGTH = 323
    TILE_OFFSETS = 324
    TILE_BYTE_COUNTS = 325
    EXTRA_SAMPLES = 338
    SAMPLE_FORMAT = 339
    XMP = 700
    YCBCR_COEFFICIENTS = 529
    YCBCR_SUBSAMPLING = 530
    REFERENCE_BLACK_WHITE = 532
    ICC_PROFILE = 34675
    DNG_VERSION = 50706


_WANTED = frozenset(Tag)


@dataclass(frozen=True, kw_only=True)
class Directory:
    """A page."""

    order: str
    """Byte order: `<` or `>`."""
    tags: dict[int, Values]

    def numbers(self, tag: Tag) -> tuple[int, ...]:
        """Return the values of a tag, none if there is no such tag. Raises: ValueError, for one of another kind."""
        values = self.tags.get(tag, ())
        if isinstance(values, bytes):
            raise ValueError("a tag of the wrong type")  # noqa: TRY004 - of the file
        return tuple(int(value) for value in values)

    def number(self, tag: Tag, default: int) -> int:
        """Return the first value of a tag. Raises: ValueError."""
        values = self.numbers(tag)
        return values[0] if values else default

    def raw(self, tag: Tag) -> bytes:
        """Return a tag of bytes, empty if there is none."""
        values = self.tags.get(tag, b"")
        return values if isinstance(values, bytes) else bytes(int(value) & 255 for value in values)

    def fractions(self, tag: Tag) -> tuple[float, ...]:
        """Return the values of a tag of rational numbers."""
        values = self.tags.get(tag, ())
        return () if isinstance(values, bytes) else tuple(float(value) for value in values)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.number(Tag.IMAGE_WIDTH, 0), self.number(Tag.IMAGE_LENGTH, 0)

    @property
    def tile(self) -> tuple[int, int] | None:
        """Width and height of its tiles, None if it has strips."""
        width, height = self.number(Tag.TILE_WIDTH, 0), self.number(Tag.TILE_LENGTH, 0)
        return (width, height) if width > 0 and height > 0 else None


def read_directories(data: bytes, limits: Limits) -> list[Directory]:
    """Read the directories of all pages.

    Raises:
        ImageError: TOO_LARGE, by pages, strips and tiles, or pixels.
        ValueError: The file is damaged.
        struct.error: The file is damaged.
    """
    found: list[Directory] = []
    parts = pixels = 0
    for page in _directories(data):
        found.append(page)
        check_count(len(found), limits.max_pages, "pages")
        parts += len(page.tags.get(Tag.STRIP_OFFSETS, ())) + len(page.tags.get(Tag.TILE_OFFSETS, ()))
        check_count(parts, limits.max_segments, "strips or tiles")
        width, height = page.size
        if width < 1 or height < 1:
            raise ImageError(Reason.CORRUPT, "The image has no pixels")
        # A tile is decoded whole, even if it is larger than the page.
        across, down = page.tile or (1, 1)
        pixels += max(width * height, across * down)
        limits.check_pixels(pixels)
    if not found:
        raise ValueError("no directory")
    return found


def _directories(data: bytes) -> Iterator[Directory]:
    order = {b"II": "<", b"MM": ">"}[data[:2]]
    (version,) = struct.unpack_from(f"{order}H", data, 2)
    big = version == 43
    (at,) = struct.unpack_from(f"{order}Q" if big else f"{order}I", data, 8 if big else 4)
    seen = set[int]()
    while at and at not in seen and at + 2 <= len(data):
        seen.add(at)
        page, at = _directory(data, order, at, big=big)
        yield page


def _directory(data: bytes, order: str, at: int, *, big: bool) -> tuple[Directory, int]:
    """Return a page, and where the next one is."""
    (count,) = struct.unpack_from(f"{order}Q" if big else f"{order}H", data, at)
    if count > _MAX_ENTRIES:
        raise ValueError("too many tags")
    at += 8 if big else 2
    layout, size, inline = (f"{order}HHQ", 20, 8) if big else (f"{order}HHI", 12, 4)
    tags: dict[int, Values] = {}
    for entry in range(at, at + count * size, size):
        tag, kind, number = struct.unpack_from(layout, data, entry)
        if tag not in _WANTED or kind not in _SIZES or tag in tags:
            continue
        length, place = _SIZES[kind] * number, entry + size - inline
        if length > inline:
            (place,) = struct.unpack_from(f"{order}Q" if big else f"{order}I", data, place)
        if place + length <= len(data):
            tags[tag] = _values(data, order, kind, number, place)
    end = at + count * size
    if end + inline > len(data):
        return Directory(order=order, tags=tags), 0
    (after,) = struct.unpack_from(f"{order}Q" if big else f"{order}I", data, end)
    return Directory(order=order, tags=tags), after


def _values(data: bytes, order: str, kind: int, number: int, place: int) -> Values:
    if kind in _BYTES:
        return data[place : place + number]
    if kind == _RATIONAL:
        parts = struct.unpack_from(f"{order}{2 * number}I", data, place)
        return tuple(above / below if below else 0.0 for above, below in zip(parts[::2], parts[1::2], strict=True))
    if kind not in _TYPES:
        return ()
    return struct.unpack_from(f"{order}{number}{_TYPES[kind]}", data, place)
