"""Writes PNG files, still or animated.

Every frame of an animation is kept: Pillow's own writer drops those that look like the one before.
"""

import struct
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from services.blur_worker.engine.png.chunks import SIGNATURE, Header, chunk
from services.blur_worker.engine.png.deflating import deflated
from services.blur_worker.engine.raster import Raster

_Area = tuple[int, int, int, int]


def encode(frames: Sequence[Raster], milliseconds: Sequence[float], plays: int, before: list[bytes]) -> bytes:
    """Encodes frames of one size and kind.

    Args:
        frames: One makes a still picture.
        milliseconds: How long each is shown.
        plays: How often all of them are shown; 0 is for ever.
        before: The chunks between the header and the pixels.
    """
    first = frames[0]
    header = Header.of(first.mode, *first.size, 8 * first.samples.itemsize)
    parts = [SIGNATURE, chunk(b"IHDR", header.content()), *before]
    if len(frames) == 1:
        parts += [chunk(b"IDAT", part) for part in deflated(first.samples)]
    else:
        parts.append(chunk(b"acTL", struct.pack(">II", len(frames), plays)))
        parts += _animation(frames, milliseconds)
    return b"".join([*parts, chunk(b"IEND")])


def _animation(frames: Sequence[Raster], milliseconds: Sequence[float]) -> list[bytes]:
    """Frames write the box that differs from the frame before, and replace what was there."""
    parts: list[bytes] = []
    number = 0  # of the chunk, over all frames
    shown: Raster | None = None
    for frame, duration in zip(frames, milliseconds, strict=True):
        area = _changed(frame, shown)
        parts.append(chunk(b"fcTL", struct.pack(">I", number), _control(area, duration)))
        number += 1
        for part in deflated(frame.cut(area).samples):
            if shown is None:
                parts.append(chunk(b"IDAT", part))
            else:
                parts.append(chunk(b"fdAT", struct.pack(">I", number), part))
                number += 1
        shown = frame
    return parts


def _changed(frame: Raster, shown: Raster | None) -> _Area:
    if shown is None:
        return (0, 0, *frame.size)
    differs = (frame.samples != shown.samples).any(axis=2)
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    # Even a frame without change takes its time: it becomes one pixel.
    return (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1) if len(rows) else (0, 0, 1, 1)


def _control(area: _Area, milliseconds: float) -> bytes:
    left, top, right, bottom = area
    seconds = min(Fraction(milliseconds / 1000).limit_denominator(1000), Fraction(65535))
    exact = seconds if seconds.numerator <= 65535 else Fraction(round(seconds))
    return struct.pack(">IIIIHHBB", right - left, bottom - top, left, top, exact.numerator, exact.denominator, 0, 0)
