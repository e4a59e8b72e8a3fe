"""Writes GIF files frame by frame: Pillow's own writer drops frames that look like the one before."""

import struct

from PIL import Image, ImageChops
from PIL.GifImagePlugin import getdata

_KEEP, _CLEAR = 1, 2  # disposal: what becomes of a frame when the next one comes


def encode_gif(
    frames: list[tuple[Image.Image, int | None]], milliseconds: list[float], plays: int, comment: bytes | None
) -> bytes:
    """Encodes frames of one size in mode P, each with the index of its transparent colour.

    Each frame brings its own colours. Opaque frames write only the box that differs from the frame before.
    """
    first = frames[0][0]
    parts = [b"GIF89a", struct.pack("<HHBBB", *first.size, 0x70, 0, 0)]
    if len(frames) > 1 and plays != 1:
        parts.append(b"!\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<H", min(max(plays - 1, 0), 65535)) + b"\0")
    if comment:
        blocks = (comment[start : start + 255] for start in range(0, len(comment), 255))
        parts.append(b"!\xfe" + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0")
    see_through = any(transparent is not None for _, transparent in frames)
    shown: Image.Image | None = None
    for (frame, transparent), duration in zip(frames, milliseconds, strict=True):
        box = (0, 0, *frame.size)
        if not see_through:
            now = frame.convert("RGB")
            if shown is not None:
                # Even a frame without change takes its time: it becomes one pixel.
                box = ImageChops.difference(now, shown).getbbox() or (0, 0, 1, 1)
            shown = now
        ticks = min(round(duration / 10), 65535) * 10
        options = {"include_color_table": True, "duration": ticks, "disposal": _CLEAR if see_through else _KEEP}
        if transparent is not None:
            options["transparency"] = transparent
        parts += getdata(frame.crop(box), box[:2], **options)
    return b"".join([*parts, b";"])
