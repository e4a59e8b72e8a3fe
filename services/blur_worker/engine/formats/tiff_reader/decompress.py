"""The compressions of TIFF that lose nothing.

Source: TIFF 6.0, sections 9 (PackBits) and 13 (LZW); libtiff (Deflate, LZMA).

What keeps indices in range: nothing is written beyond what is wanted, and nothing read beyond the data.
"""

import lzma
import zlib

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled

_NONE, _LZW, _DEFLATE, _OLD_DEFLATE, _PACK_BITS, _LZMA = 1, 5, 8, 32946, 32773, 34925
SUPPORTED = frozenset({_NONE, _LZW, _DEFLATE, _OLD_DEFLATE, _PACK_BITS, _LZMA})
_CLEAR, _END, _FIRST_CODE, _MAX_CODES = 256, 257, 258, 4096
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_Bytes = NDArray[np.uint8]


def decompress(data: bytes, compression: int, size: int, *, reverse_bits: bool) -> _Bytes:
    """Return the first `size` bytes of what is compressed.

    Raises:
        ValueError: There are fewer, or the data are wrong.
        zlib.error: The data are wrong.
        lzma.LZMAError: The data are wrong.
    """
    if reverse_bits:
        data = data.translate(_REVERSED)
    if compression in {_DEFLATE, _OLD_DEFLATE}:
        data = zlib.decompressobj().decompress(data, size)
    elif compression == _LZMA:
        data = lzma.LZMADecompressor().decompress(data, size)
    elif compression != _NONE:
        out = np.zeros(size, np.uint8)
        expand = _expand_lzw if compression == _LZW else _expand_pack_bits
        if expand(np.frombuffer(data, np.uint8), out) < size:
            raise ValueError("pixels are missing")
        return out
    if len(data) < size:
        raise ValueError("pixels are missing")
    return np.frombuffer(data, np.uint8, size)


@compiled("int64(Array(uint8, 1, 'C', readonly=True), uint8[::1])")
def _expand_pack_bits(data: _Bytes, out: _Bytes) -> np.int64:
    """Return how many bytes were written."""
    end, room = np.int64(len(data)), np.int64(len(out))
    at = written = np.int64(0)
    while at < end and written < room:
        header = np.int64(np.int8(data[at]))
        at += 1
        if header >= 0:
            count = min(header + 1, end - at, room - written)
            for index in range(count):
                out[written + index] = data[at + index]
            at += header + 1
            written += count
        elif header != -128 and at < end:
            count = min(1 - header, room - written)
            for index in range(count):
                out[written + index] = data[at]
            at += 1
            written += count
    return written


@compiled("int64(Array(uint8, 1, 'C', readonly=True), uint8[::1])")
def _expand_lzw(data: _Bytes, out: _Bytes) -> np.int64:  # noqa: C901 - one loop, for its speed
    """Return how many bytes were written, -1 for a code that cannot be.

    Each code means bytes that were written before: where they begin, and how many they are.
    """
    begins, lengths = np.zeros(_MAX_CODES, np.int64), np.zeros(_MAX_CODES, np.int64)
    bits = np.uint64(0)
    end, room = np.int64(len(data)), np.int64(len(out))
    ready = at = written = np.int64(0)
    width, known, before, before_length = np.int64(9), np.int64(_FIRST_CODE), np.int64(-1), np.int64(0)
    while written < room:
        while ready < width and at < end:
            bits = (bits << np.uint64(8)) | np.uint64(data[at])
            ready += 8
            at += 1
        if ready < width:
            break
        code = np.int64((bits >> np.uint64(ready - width)) & np.uint64((np.int64(1) << width) - 1))
        ready -= width
        if code == _END:
            break
        if code == _CLEAR:
            width, known, before = np.int64(9), np.int64(_FIRST_CODE), np.int64(-1)
            continue
        start, length = written, np.int64(1)
        if code < _CLEAR:
            out[written] = code
            written += 1
        else:
            if before < 0 or code > known or code >= _MAX_CODES:
                return np.int64(-1)
            # The code that is just being defined: the bytes before, and the first of them again.
            begin = begins[code] if code < known else before
            length = lengths[code] if code < known else before_length + 1
            for index in range(min(length, room - written)):
                out[written + index] = out[begin + index]
            written += min(length, room - written)
        if before >= 0 and known < _MAX_CODES:
            begins[known], lengths[known] = before, before_length + 1
            known += 1
        before, before_length = start, length
        # Codes become longer one code early.
        if known + 1 >= np.int64(1) << width and width < 12:
            width += 1
    return written
