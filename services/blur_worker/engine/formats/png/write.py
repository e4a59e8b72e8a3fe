"""Write PNG files, still or animated. Source: PNG specification, third edition, clauses 11.2 and 11.3.6 (APNG).

Every frame of an animation is kept: Pillow's encoder drops frames that look like the one before.
"""

import struct
from collections.abc import Sequence
from fractions import Fraction

from services.blur_worker.engine.containers.png_chunks import SIGNATURE, ImageHeader, chunk
from services.blur_worker.engine.formats.changed_box import changed_box
from services.blur_worker.engine.formats.png.compress import compress_pixels
from services.blur_worker.engine.raster import Box, Raster

_MAX_16_BIT = 65535


def write_png(
    frames: Sequence[Raster], milliseconds: Sequence[float], *, plays: int, metadata: Sequence[bytes]
) -> bytes:
    """Return a PNG file.

    Args:
        frames: Of one size, mode and depth; a single one makes a still image.
        milliseconds: How long each frame is shown.
        plays: How often the animation is played; 0 is for ever.
        metadata: Chunks to write before the pixels.
    """
    first = frames[0]
    header = ImageHeader.of(first.mode, *first.size, 8 * first.samples.itemsize)
    parts = [SIGNATURE, chunk(b"IHDR", header.content()), *metadata]
    if len(frames) == 1:
        parts += [chunk(b"IDAT", part) for part in compress_pixels(first.samples)]
    else:
        parts.append(chunk(b"acTL", struct.pack(">II", len(frames), plays)))
        parts += _animation_chunks(frames, milliseconds)
    return b"".join([*parts, chunk(b"IEND")])


def _animation_chunks(frames: Sequence[Raster], milliseconds: Sequence[float]) -> list[bytes]:
    """Write of each frame the box that differs from the frame before, which it replaces."""
    parts: list[bytes] = []
    sequence_number = 0  # of chunks, across all frames
    before: Raster | None = None
    for frame, duration in zip(frames, milliseconds, strict=True):
        box = changed_box(frame, before)
        parts.append(chunk(b"fcTL", struct.pack(">I", sequence_number), _frame_control(box, duration)))
        sequence_number += 1
        for part in compress_pixels(frame.crop(box).samples):
            if before is None:
                parts.append(chunk(b"IDAT", part))
            else:
                parts.append(chunk(b"fdAT", struct.pack(">I", sequence_number), part))
                sequence_number += 1
        before = frame
    return parts


def _frame_control(box: Box, milliseconds: float) -> bytes:
    left, top, right, bottom = box
    seconds = min(Fraction(milliseconds / 1000).limit_denominator(1000), Fraction(_MAX_16_BIT))
    delay = seconds if seconds.numerator <= _MAX_16_BIT else Fraction(round(seconds))
    return struct.pack(">IIIIHHBB", right - left, bottom - top, left, top, delay.numerator, delay.denominator, 0, 0)
