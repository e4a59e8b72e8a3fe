"""Images for tests: photographs, animations, and files in every format."""

from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FRAME_MILLISECONDS = [40, 120, 80, 200]


@cache
def whole_photo() -> Image.Image:
    """A photograph in the public domain: 512 × 512 pixels, RGB."""
    with (files("skimage") / "data" / "astronaut.png").open("rb") as file, Image.open(file) as image:
        return image.convert("RGB")


def photo(width: int = 96, height: int = 64) -> Image.Image:
    """A part of the photograph, scaled to this size; the caller's own, to be drawn into."""
    return _scaled_photo(width, height).copy()


@cache
def _scaled_photo(width: int, height: int) -> Image.Image:
    return whole_photo().resize((width, height), Image.Resampling.LANCZOS, box=(60, 0, 396, 224))


def photo_16(width: int = 96, height: int = 64) -> Image.Image:
    """The same in grey of 16 bits (mode I;16), with lower bytes of its own."""
    grey = np.asarray(photo(width, height).convert("L")).astype(np.uint16)
    return Image.fromarray(grey * 257 - np.where(grey > 100, 77, 0).astype(np.uint16))


def with_alpha(image: Image.Image, mode: str = "RGBA") -> Image.Image:
    """A copy whose alpha grows from the centre to the corners."""
    result = image.convert(mode)
    result.putalpha(Image.radial_gradient("L").resize(image.size))
    return result


def frames(count: int = 4, mode: str = "RGB") -> list[Image.Image]:
    """The photograph with a rectangle that moves from frame to frame."""
    found = []
    for index in range(count):
        frame = photo().copy()
        frame.paste((255, 40 * index, 0), (10 + 12 * index, 10, 30 + 12 * index, 50))
        found.append(frame.convert(mode))
    return found


def oriented(orientation: int) -> Image.Exif:
    """EXIF with this orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def encode(image: Image.Image, format_: str, **options: Any) -> bytes:
    """A file, by Pillow."""
    out = BytesIO()
    image.save(out, format_, **options)
    return out.getvalue()


def encode_frames(images: list[Image.Image], format_: str, **options: Any) -> bytes:
    """An animation, or the pages of a TIFF, by Pillow."""
    return encode(images[0], format_, save_all=True, append_images=images[1:], **options)


def animation(format_: str, **options: Any) -> bytes:
    """An animation of four frames, each shown for another time."""
    return encode_frames(frames(4), format_, duration=FRAME_MILLISECONDS, **options)


def opened(data: bytes) -> Any:
    """Pillow's image of a file, loaded."""
    image = Image.open(BytesIO(data))
    image.load()
    return image


def samples(image: Image.Image) -> NDArray[np.float64]:
    """The samples of an image: (height, width) or (height, width, channels)."""
    return np.asarray(image).astype(np.float64)
