"""The chunks that a PNG file is made of."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, COLOR, PALETTE, GREY_ALPHA, COLOR_ALPHA = 0, 2, 3, 4, 6
MODES = {GREY: "L", COLOR: "RGB", GREY_ALPHA: "LA", COLOR_ALPHA: "RGBA"}
_COLOR_TYPES = {mode: color_type for color_type, mode in MODES.items()}


@dataclass(frozen=True)
class Header:
    """What IHDR says."""

    width: int
    height: int
    bits: int
    """Of a sample."""
    color_type: int
    interlaced: bool = False

    @classmethod
    def of(cls, mode: str, width: int, height: int, bits: int) -> "Header":
        """The header of pixels of this mode."""
        return cls(width, height, bits, _COLOR_TYPES[mode])

    @classmethod
    def parse(cls, content: bytes) -> "Header":
        """From the chunk's content. Raises: struct.error, ValueError."""
        width, height, bits, color_type, compression, filtering, interlacing = struct.unpack(">IIBBBBB", content)
        if compression or filtering or interlacing > 1:
            raise ValueError("a PNG of another kind than any that is known")
        return cls(width, height, bits, color_type, bool(interlacing))

    def content(self) -> bytes:
        """The chunk's content."""
        return struct.pack(">IIBBBBB", self.width, self.height, self.bits, self.color_type, 0, 0, self.interlaced)


def chunk(name: bytes, *contents: bytes) -> bytes:
    """A chunk with its length and checksum around it."""
    content = b"".join(contents)
    return b"".join(
        [struct.pack(">I", len(content)), name, content, struct.pack(">I", zlib.crc32(content, zlib.crc32(name)))]
    )


def chunks(png: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Names and contents, as far as the file goes; checksums are not looked at."""
    view = memoryview(png)
    at = len(SIGNATURE)
    while at + 12 <= len(png):
        size = int.from_bytes(view[at : at + 4], "big")
        yield bytes(view[at + 4 : at + 8]), view[at + 8 : at + 8 + size]
        at += 12 + size
