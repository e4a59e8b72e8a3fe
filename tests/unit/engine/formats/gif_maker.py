"""Make GIF files with any frames: a direct implementation of GIF89a, without compressing anything."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PALETTE = bytes(value for index in range(8) for value in (255 * (index & 1), 255 * (index >> 1 & 1), 36 * index))
"""Eight colours."""


@dataclass(frozen=True, kw_only=True)
class MadeFrame:
    """A frame of indices into the palette."""

    indices: NDArray[np.uint8]
    left: int = 0
    top: int = 0
    transparent: int | None = None
    disposal: int = 0
    delay: int = 5
    interlaced: bool = False
    palette: bytes = b""
    """Its own one, of eight colours."""
    missing: int = 0
    """Pixels that are left out at the end."""


def loop_extension(name: bytes = b"NETSCAPE2.0", repetitions: int = 0) -> bytes:
    return b"\x21\xff\x0b" + name + b"\x03\x01" + struct.pack("<H", repetitions) + b"\0"


def make_gif(
    size: tuple[int, int],
    frames: Sequence[MadeFrame],
    *,
    palette: bytes = PALETTE,
    before: bytes = b"",
    after_first: bytes = b"",
) -> bytes:
    """Return a file; `before` and `after_first` are blocks around the first frame."""
    flags = 0x82 if palette else 0
    parts = [b"GIF89a", struct.pack("<HHBBB", *size, flags, 0, 0), palette, before]
    for index, frame in enumerate(frames):
        parts += [frame_blocks(frame), after_first if index == 0 else b""]
    return b"".join([*parts, b";"])


def frame_blocks(frame: MadeFrame) -> bytes:
    height, width = frame.indices.shape
    flags = frame.disposal << 2 | (frame.transparent is not None)
    control = b"\x21\xf9\x04" + struct.pack("<BHB", flags, frame.delay, frame.transparent or 0) + b"\0"
    image_flags = 0x40 * frame.interlaced | (0x82 if frame.palette else 0)
    image = b"," + struct.pack("<HHHHB", frame.left, frame.top, width, height, image_flags)
    return control + image + frame.palette + packed(frame)


def packed(frame: MadeFrame) -> bytes:
    """Codes of 4 bits: the table is cleared so often that they never become longer."""
    rows = frame.indices
    if frame.interlaced:
        order = [row for first, step in ((0, 8), (4, 8), (2, 4), (1, 2)) for row in range(first, len(rows), step)]
        rows = rows[order]
    indices = rows.ravel()[: rows.size - frame.missing]
    codes: list[int] = []
    for start in range(0, len(indices), 5):
        codes += [8, *indices[start : start + 5].tolist()]
    codes.append(9)
    codes += [0] * (len(codes) % 2)
    data = bytes(low | high << 4 for low, high in zip(codes[::2], codes[1::2], strict=True))
    blocks = (data[start : start + 255] for start in range(0, len(data), 255))
    return b"\x03" + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"
