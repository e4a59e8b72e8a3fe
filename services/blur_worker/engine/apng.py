"""Writes animated PNG files frame by frame: Pillow's own writer drops frames that look like the one before."""

import struct
import zlib
from collections.abc import Iterator
from fractions import Fraction
from io import BytesIO
from typing import Any

from PIL import Image, ImageChops

_HEAD = 8


def encode_apng(images: list[Image.Image], milliseconds: list[float], plays: int, options: dict[str, Any]) -> bytes:
    """Encodes frames of one size and mode; `options` are those of Pillow's PNG writer.

    Frames write the box that differs from the frame before, and replace what was there.
    """
    parts: list[bytes] = []
    number = 0  # of the chunk, over all frames
    shown: Image.Image | None = None
    for image, duration in zip(images, milliseconds, strict=True):
        box = _changed(image, shown)
        png = _encode(image.crop(box), options if shown is None else {"compress_level": options["compress_level"]})
        if shown is None:
            parts.append(png[:_HEAD])
            for name, content in _chunks(png):
                if name not in {b"IDAT", b"IEND"}:
                    parts.append(_chunk(name, content))
                if name == b"IHDR":
                    parts.append(_chunk(b"acTL", struct.pack(">II", len(images), plays)))
        parts.append(_chunk(b"fcTL", struct.pack(">I", number) + _control(box, duration)))
        number += 1
        for name, content in _chunks(png):
            if name == b"IDAT" and shown is None:
                parts.append(_chunk(name, content))
            elif name == b"IDAT":
                parts.append(_chunk(b"fdAT", struct.pack(">I", number) + content))
                number += 1
        shown = image
    return b"".join([*parts, _chunk(b"IEND", b"")])


def _changed(image: Image.Image, shown: Image.Image | None) -> tuple[int, int, int, int]:
    if shown is None or image.mode == "I;16":
        return (0, 0, *image.size)
    # Even a frame without change takes its time: it becomes one pixel.
    return ImageChops.difference(image, shown).getbbox(alpha_only=False) or (0, 0, 1, 1)


def _control(box: tuple[int, int, int, int], milliseconds: float) -> bytes:
    left, top, right, bottom = box
    seconds = min(Fraction(milliseconds / 1000).limit_denominator(1000), Fraction(65535))
    exact = seconds if seconds.numerator <= 65535 else Fraction(round(seconds))
    return struct.pack(">IIIIHHBB", right - left, bottom - top, left, top, exact.numerator, exact.denominator, 0, 0)


def _encode(image: Image.Image, options: dict[str, Any]) -> bytes:
    out = BytesIO()
    image.save(out, "PNG", **options)
    return out.getvalue()


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = _HEAD
    while at < len(png):
        size = int.from_bytes(png[at : at + 4], "big")
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        at += 12 + size


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
