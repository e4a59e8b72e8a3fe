"""The chunks that a PNG file consists of. Source: PNG specification, third edition, clauses 5 and 11.2.1."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PALETTE = 3
"""The colour type of a palette."""
MODES = {0: "L", 2: "RGB", PALETTE: "L", 4: "LA", 6: "RGBA"}
"""The channels by colour type; of a palette one of indices."""
_BITS = {0: {1, 2, 4, 8, 16}, 2: {8, 16}, PALETTE: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}}
_COLOR_TYPES = {"L": 0, "RGB": 2, "LA": 4, "RGBA": 6}


@dataclass(frozen=True, kw_only=True)
class ImageHeader:
    """The content of the chunk IHDR."""

    width: int
    height: int
    bits: int
    """Bits of a sample."""
    color_type: int
    interlaced: bool = False

    @classmethod
    def of(cls, mode: str, width: int, height: int, bits: int) -> "ImageHeader":
        """Return the header of pixels in this mode."""
        return cls(width=width, height=height, bits=bits, color_type=_COLOR_TYPES[mode])

    @classmethod
    def parse(cls, content: bytes) -> "ImageHeader":
        """Parse the chunk's content. Raises: struct.error, ValueError."""
        width, height, bits, color_type, compression, filtering, interlacing = struct.unpack(">IIBBBBB", content)
        if compression or filtering or interlacing > 1 or bits not in _BITS.get(color_type, ()):
            raise ValueError("unknown compression, filter or interlace method, or an impossible depth")
        return cls(width=width, height=height, bits=bits, color_type=color_type, interlaced=bool(interlacing))

    def content(self) -> bytes:
        """Return the chunk's content."""
        return struct.pack(">IIBBBBB", self.width, self.height, self.bits, self.color_type, 0, 0, self.interlaced)


def chunk(name: bytes, *contents: bytes) -> bytes:
    """Return a whole chunk, with its length and checksum."""
    content = b"".join(contents)
    return b"".join(
        [struct.pack(">I", len(content)), name, content, struct.pack(">I", zlib.crc32(content, zlib.crc32(name)))]
    )


def chunks(png: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Yield names and contents up to IEND, or as far as the file goes; checksums are not checked."""
    view = memoryview(png)
    offset = len(SIGNATURE)
    name = b""
    while offset + 12 <= len(png) and name != b"IEND":
        size = int.from_bytes(view[offset : offset + 4], "big")
        name = bytes(view[offset + 4 : offset + 8])
        yield name, view[offset + 8 : offset + 8 + size]
        offset += 12 + size
