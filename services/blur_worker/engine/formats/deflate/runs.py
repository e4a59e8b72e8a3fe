"""Compress filtered pixels as Huffman codes and runs, into a zlib stream (RFC 1950)."""

import numpy as np
from zlib_ng import zlib_ng

from services.blur_worker.engine.formats.deflate.block import room_for, write_block
from services.blur_worker.engine.formats.deflate.layout import BLOCK_WRITER

_HEADER = b"\x78\x5e"
_LAST_BLOCK = 0b11, 10
"""An empty block of fixed codes: its bits, the first one lowest, and their number."""
_LIKELY_LENGTH = 8


class RunCompressor:
    """A `Compressor`: each part becomes a block of its own."""

    def __init__(self, pixel_bytes: int) -> None:
        """Start a stream; pixels have 1 to 4 bytes."""
        self._writer = np.zeros(1, BLOCK_WRITER)
        self._writer["distance"] = pixel_bytes
        self._writer["order"] = np.arange(self._writer["order"].shape[1])
        self._writer["lengths"] = _LIKELY_LENGTH
        self._checksum = 1
        self._header = _HEADER
        self._out = np.empty(0, np.uint8)
        self._matches = np.empty((0, 2), np.int64)

    def compress(self, data: memoryview, /) -> bytes:
        """Add data; return what is complete so far."""
        part = np.frombuffer(data, np.uint8)
        if not len(part):
            return b""
        if len(self._out) < room_for(len(part)):
            self._out = np.empty(room_for(len(part)), np.uint8)
            self._matches = np.empty((len(part) // 4 + 1, 2), np.int64)
        write_block(part, self._writer, self._matches, self._out)
        self._checksum = zlib_ng.adler32(part, self._checksum)
        header, self._header = self._header, b""
        return header + self._out[: int(self._writer["written"][0])].tobytes()

    def flush(self) -> bytes:
        """End the stream; return the rest of it."""
        bits, count = int(self._writer["bits"][0]), int(self._writer["count"][0])
        last, length = _LAST_BLOCK
        rest = (bits | last << count).to_bytes(-(-(count + length) // 8), "little")
        return self._header + rest + self._checksum.to_bytes(4, "big")
