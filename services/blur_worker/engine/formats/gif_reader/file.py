"""What a GIF file consists of (GIF89a, sections 17 to 26)."""

import struct
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.formats.gif_reader.lzw import join_sub_blocks
from services.blur_worker.engine.limits import Limits, check_count
from services.blur_worker.engine.metadata_source import MetadataSource
from services.blur_worker.engine.raster import Box, Size

_HEADER_BYTES = 13
_IMAGE, _EXTENSION, _TRAILER = 0x2C, 0x21, 0x3B
_CONTROL, _COMMENT, _APPLICATION = 0xF9, 0xFE, 0xFF
_LOOPING = {b"NETSCAPE2.0", b"ANIMEXTS1.0"}
_MAX_EXTENSION_BYTES = 1 << 16


@dataclass(kw_only=True)
class GifFrame:
    """A frame, its indices still compressed."""

    box: Box
    """What it covers of the screen; it may lie beyond."""
    palette: bytes
    interlaced: bool
    start: int
    """Where in the file the LZW code size is."""
    transparent: int | None = None
    disposal: int = 0
    milliseconds: float = 0


@dataclass(kw_only=True)
class GifFile:
    """A file, its pixels still compressed."""

    size: Size
    """Size of the logical screen, in pixels."""
    frames: list[GifFrame] = field(default_factory=list)
    described: MetadataSource = field(default_factory=lambda: MetadataSource(format="GIF"))


def parse(data: bytes, limits: Limits) -> GifFile:
    """Read all blocks.

    Raises:
        ImageError: TOO_LARGE.
        ValueError: The file is damaged.
        struct.error: The file is damaged.
    """
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    file = GifFile(size=(width, height))
    palette_bytes = 3 << ((flags & 7) + 1) if flags & 0x80 else 0
    palette, at = data[_HEADER_BYTES : _HEADER_BYTES + palette_bytes], _HEADER_BYTES + palette_bytes
    parser = _Parser(np.frombuffer(data, np.uint8), data, file, palette)
    blocks = 0
    while at < len(data) and data[at] != _TRAILER:
        blocks += 1
        check_count(blocks, limits.max_segments, "blocks")
        if data[at] == _IMAGE:
            at = parser.image(at + 1)
            check_count(len(file.frames), limits.max_frames, "frames")
        elif data[at] == _EXTENSION:
            at = parser.extension(at + 1)
        elif data[at] == 0:  # some writers end a block twice
            at += 1
        else:
            raise ValueError("an unknown block")
    if not file.frames:
        raise ValueError("no frames")
    # A screen that was not filled in, or is too small, is as large as the first frame.
    file.size = (max(width, file.frames[0].box[2]), max(height, file.frames[0].box[3]))
    return file


class _Parser:
    """Takes one block after the other."""

    def __init__(self, array: NDArray[np.uint8], data: bytes, file: GifFile, palette: bytes) -> None:
        self._array, self._data, self._file, self._palette = array, data, file, palette
        self._control = bytes(4)
        self._scratch = np.empty(_MAX_EXTENSION_BYTES, np.uint8)
        self._nothing = np.empty(0, np.uint8)

    def image(self, at: int) -> int:
        """Take an image; return where the next block begins."""
        left, top, width, height, flags = struct.unpack_from("<HHHHB", self._data, at)
        at += 9
        palette = self._palette
        if flags & 0x80:
            size = 3 << ((flags & 7) + 1)
            palette, at = self._data[at : at + size], at + size
        control, delay, transparent = struct.unpack("<BHB", self._control)
        self._file.frames.append(
            GifFrame(
                box=(left, top, left + width, top + height),
                palette=palette,
                interlaced=bool(flags & 0x40),
                start=at,
                transparent=transparent if control & 1 else None,
                disposal=control >> 2 & 7,
                milliseconds=10 * delay,
            )
        )
        self._control = bytes(4)
        end, _ = join_sub_blocks(self._array, at + 1, self._nothing)
        # The last one may lack its end: whether pixels are missing shows when they are decoded.
        return int(end) if end >= 0 else len(self._data)

    def extension(self, at: int) -> int:
        """Take an extension; return where the next block begins."""
        label = self._data[at]
        end, count = join_sub_blocks(self._array, at + 1, self._scratch)
        content, info = self._scratch[: int(count)].tobytes(), self._file.described.info
        if label == _CONTROL and count >= 4:
            self._control = content[:4]
        elif label == _COMMENT:
            info.setdefault("comment", content)
        elif label == _APPLICATION and content[:11] in _LOOPING and content[11:12] == b"\1" and count >= 14:
            info["loop"] = int.from_bytes(content[12:14], "little")
        return int(end) if end >= 0 else len(self._data)
