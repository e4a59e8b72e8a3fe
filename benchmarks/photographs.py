"""The photographs of the benchmarks, never enlarged."""

import functools
import io
import os
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

from PIL import Image

_PACKAGES = ("mate-backgrounds", "plasma-workspace-wallpapers")
_MATE = Path("/usr/share/backgrounds/mate/nature")
_PLASMA = Path("/usr/share/wallpapers")
LARGE = {
    **{
        name: _MATE / f"{name}.jpg" for name in ("Aqua", "Garden", "LadyBird", "RainDrops", "Storm", "TwoWings", "Wood")
    },
    "YellowFlower": _MATE / "YellowFlower.jpg",
    **{
        name: _PLASMA / name / "contents/images/2560x1600.jpg"
        for name in ("Autumn", "BytheWater", "ColorfulCups", "EveningGlow", "FallenLeaf")
    },
}
"""Of 2.3 to 4.9 megapixels, from Debian's packages."""
LARGEST = {
    "Elephants": Path("/usr/share/backgrounds/mate/abstract/Elephants_5640x3172.jpg"),
    "Shell": _PLASMA / "Shell/contents/images/5120x2880.jpg",
    "SafeLanding": _PLASMA / "SafeLanding/contents/images/5120x2880.jpg",
}
"""Of 14.7 to 17.9 megapixels."""


def install() -> None:
    """Install Debian's photographs.

    Raises:
        SystemExit: They are missing and cannot be installed here.
    """
    if all(path.exists() for path in (*LARGE.values(), *LARGEST.values())):
        return
    if os.getuid() != 0 or not shutil.which("apt-get"):
        raise SystemExit(f"Photographs are missing; on Debian: apt-get install {' '.join(_PACKAGES)}")
    subprocess.run(["apt-get", "update", "-qq"], check=True)
    subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *_PACKAGES], check=True)


def square_jpeg() -> bytes:
    """A photograph in the public domain: 512×512 pixels, JPEG, quality 88, 61 kB."""
    buffer = io.BytesIO()
    with Image.open(io.BytesIO((files("skimage") / "data" / "astronaut.png").read_bytes())) as picture:
        picture.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


@functools.cache
def cropped(name: str, width: int, height: int) -> Image.Image:
    """Return the middle of a named photograph, in RGB.

    Raises:
        ValueError: The photograph is smaller.
    """
    with Image.open({**LARGE, **LARGEST}[name]) as image:
        if image.width < width or image.height < height:
            raise ValueError(f"{name} is smaller than {width} × {height}")
        left, top = (image.width - width) // 2, (image.height - height) // 2
        return image.convert("RGB").crop((left, top, left + width, top + height))


def jpeg(image: Image.Image, quality: int = 90) -> bytes:
    """Encode as a baseline JPEG, 4:2:0."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling="4:2:0")
    return buffer.getvalue()


def jpeg_of_size(image: Image.Image, size: int) -> bytes:
    """Encode as the best baseline JPEG, 4:2:0, of at most `size` bytes."""
    low, high = 30, 96
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if len(jpeg(image, middle)) <= size else (low, middle)
    return jpeg(image, low)


def png(image: Image.Image, mode: str = "RGB") -> bytes:
    """Encode as Pillow's default PNG; in RGBA, alpha falls off from left to right."""
    picture = image.copy()
    if mode == "RGBA":
        picture.putalpha(Image.linear_gradient("L").rotate(90).resize(image.size))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def mosaic(width: int, height: int) -> Image.Image:
    """Return the largest photographs side by side: more pixels without enlarging any."""
    whole = Image.new("RGB", (width, height))
    tiles = [cropped(name, 5000, 2800) for name in LARGEST]
    for number, top in enumerate(range(0, height, 2800)):
        for column, left in enumerate(range(0, width, 5000)):
            whole.paste(tiles[(number + column) % len(tiles)], (left, top))
    return whole
