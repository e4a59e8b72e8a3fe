"""Images to blur, and the engine as the tests call it."""

from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.blur_worker.engine import Blurred, Limits, blur
from services.common.domain.spec import BlurSpec, Effect, Format, Gaussian, Region

LIMITS = Limits(max_pixels=10_000_000)
LEFT_HALF = Region("box", 0, 0, 0.5, 1)
MIDDLE = Region("box", 0.25, 0.25, 0.5, 0.5)


@cache
def photo(width: int = 96, height: int = 64) -> Image.Image:
    with (files("skimage") / "data" / "astronaut.png").open("rb") as file, Image.open(file) as image:
        return image.convert("RGB").resize((width, height), Image.Resampling.LANCZOS, box=(60, 0, 396, 224))


@cache
def whole_photo() -> Image.Image:
    with (files("skimage") / "data" / "astronaut.png").open("rb") as file, Image.open(file) as image:
        return image.convert("RGB")


def photo_16(width: int = 96, height: int = 64) -> Image.Image:
    grey = np.asarray(photo(width, height).convert("L")).astype(np.uint16)
    return Image.fromarray(grey * 257 - np.where(grey > 100, 77, 0).astype(np.uint16))


def moving(count: int = 4, mode: str = "RGB") -> list[Image.Image]:
    frames = []
    for index in range(count):
        frame = photo().copy()
        frame.paste((255, 40 * index, 0), (10 + 12 * index, 10, 30 + 12 * index, 50))
        frames.append(frame.convert(mode))
    return frames


def encode(image: Image.Image, format_: str, **options: Any) -> bytes:
    out = BytesIO()
    image.save(out, format_, **options)
    return out.getvalue()


def opened(data: bytes) -> Any:
    image = Image.open(BytesIO(data))
    image.load()
    return image


def run(data: bytes, effect: Effect | None = None, *regions: Region, limits: Limits = LIMITS, **fields: Any) -> Blurred:
    return blur(data, BlurSpec(effect or Gaussian(3), regions=regions, **fields), limits)


def run_on(image: Image.Image, effect: Effect | None = None, *regions: Region, **fields: Any) -> Image.Image:
    """The result of a lossless trip."""
    result: Image.Image = opened(
        run(encode(image, "TIFF" if image.mode == "CMYK" else "PNG"), effect, *regions, **fields).data
    )
    return result


def samples(image: Image.Image) -> NDArray[np.float64]:
    return np.asarray(image).astype(np.float64)


def psnr(one: NDArray[np.float64], other: NDArray[np.float64], top: float = 255) -> float:
    error = float(np.mean((one - other) ** 2))
    return 99.0 if error == 0 else float(10 * np.log10(top**2 / error))


FORMATS = list(Format)
