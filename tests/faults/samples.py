"""Small pictures, always the same."""

import io
import itertools

from PIL import Image

SIZE = (160, 120)


def _picture(shift: int) -> Image.Image:
    width, height = SIZE
    pixels = bytes(
        (x * (shift + 1) ^ y * 3 ^ c * shift) & 255 for y in range(height) for x in range(width) for c in range(3)
    )
    return Image.frombytes("RGB", SIZE, pixels)


def _encoded(shift: int, form: str) -> bytes:
    buffer = io.BytesIO()
    _picture(shift).save(buffer, form)
    return buffer.getvalue()


SAMPLES = {"one.png": _encoded(1, "PNG"), "two.jpg": _encoded(2, "JPEG"), "three.webp": _encoded(3, "WEBP")}


def many(count: int) -> dict[str, bytes]:
    """So many files, the samples in turn, under names of their own."""
    pictures = itertools.islice(itertools.cycle(SAMPLES.items()), count)
    return {f"{number} {name}": data for number, (name, data) in enumerate(pictures, 1)}


def sample_of(filename: str) -> str:
    """The sample that a file is."""
    return filename.rpartition(" ")[2]
