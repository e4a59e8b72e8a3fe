"""The frames of a PNG by this project's encoder: each replaces its box of the one before."""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.containers.png_chunks import ImageHeader, chunks
from services.blur_worker.engine.formats.png.filters import unfilter_rows

_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}


def shown_frames(png: bytes) -> list[NDArray[np.uint8]]:
    """RGBA of 8 bits."""
    found: list[tuple[tuple[int, ...], bytes]] = []
    header = None
    box: tuple[int, ...] = ()
    for name, content in chunks(png):
        if name == b"IHDR":
            header = ImageHeader.parse(bytes(content))
            box = (header.width, header.height, 0, 0)
        elif name == b"fcTL":
            box = struct.unpack_from(">IIII", content, 4)
            found.append((box, b""))
        elif name in {b"IDAT", b"fdAT"}:
            part = bytes(content[4:] if name == b"fdAT" else content)
            before = found.pop()[1] if found else b""
            found.append((box, before + part))
    assert header is not None
    canvas = np.zeros((header.height, header.width, 4), np.uint8)
    shown = []
    for (width, height, left, top), packed in found:
        canvas[top : top + height, left : left + width] = _rgba(packed, header, width, height)
        shown.append(canvas.copy())
    return shown


def _rgba(packed: bytes, header: ImageHeader, width: int, height: int) -> NDArray[np.uint8]:
    channels, sample = _CHANNELS[header.color_type], header.bits // 8
    length = width * channels * sample
    filtered = np.frombuffer(bytearray(zlib.decompress(packed)), np.uint8).reshape(height, 1 + length)
    rows = np.empty((height, length), np.uint8)
    assert unfilter_rows(np.zeros(length, np.uint8), filtered, channels * sample, rows)
    samples = rows.reshape(height, width, channels, sample)[..., 0]
    colors = samples[..., : 3 if channels > 2 else 1]
    alpha = samples[..., -1:] if channels in {2, 4} else np.full((height, width, 1), 255, np.uint8)
    return np.concatenate([np.broadcast_to(colors, (height, width, 3)), alpha], axis=2)
