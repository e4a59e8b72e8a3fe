"""The engine as the tests call it."""

from typing import Any

import pytest
from PIL import Image

from services.blur_worker.engine import Blurred, Limits, blur
from services.blur_worker.engine.jpeg import original
from services.common.domain.spec import OUTPUT_FORMATS, BlurSpec, Effect, Gaussian, Region
from tests.support.images import encode, opened

FORMATS = list(OUTPUT_FORMATS)
LIMITS = Limits(max_pixels=10_000_000)
LEFT_HALF = Region("box", 0, 0, 0.5, 1)
MIDDLE = Region("box", 0.25, 0.25, 0.5, 0.5)


def run(data: bytes, effect: Effect | None = None, *regions: Region, limits: Limits = LIMITS, **fields: Any) -> Blurred:
    """Blur a file; by default with a Gaussian of 3 pixels."""
    return blur(data, BlurSpec(effect or Gaussian(3), regions=regions, **fields), limits)


def small_images_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fixture: have small images with odd sides blurred by coefficients too, where every edge is exercised."""
    monkeypatch.setattr(original, "_SMALL_SIDE", 0)


def run_on(image: Image.Image, effect: Effect | None = None, *regions: Region, **fields: Any) -> Image.Image:
    """Blur an image by way of a lossless file; the result has exactly what the engine computed."""
    data = encode(image, "TIFF" if image.mode == "CMYK" else "PNG")
    result: Image.Image = opened(run(data, effect, *regions, **fields).data)
    return result
