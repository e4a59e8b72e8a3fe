"""Pixels as detectors take them."""

import numpy as np
import pytest
from PIL import Image

from services.blur_worker.engine.finding.rgb import to_rgb
from services.blur_worker.engine.raster import Raster
from tests.support.images import photo, photo_16, with_alpha


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_any_mode_looks_as_it_is_displayed(mode: str) -> None:
    pixels = to_rgb(Raster.from_pillow(photo().convert(mode)))
    assert pixels.shape == (64, 96, 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    expected = np.asarray(photo().convert("L").convert("RGB") if "L" in mode else photo()).astype(int)
    assert np.abs(pixels - expected).max() <= (3 if mode == "YCbCr" else 0)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_what_is_transparent_is_white(mode: str) -> None:
    image = with_alpha(photo(), mode)
    image.putpixel((0, 0), (0,) * len(mode))
    pixels = to_rgb(Raster.from_pillow(image))
    assert (pixels[0, 0] == 255).all()
    alpha = np.asarray(image)[..., -1:] / 255
    over_white = np.asarray(image)[..., :-1] * alpha + 255 * (1 - alpha)
    assert np.abs(pixels - over_white).max() <= 1


def test_sixteen_bits_are_reduced() -> None:
    image = photo_16()
    assert (to_rgb(Raster.from_pillow(image))[..., 1] == np.asarray(image) >> 8).all()
    colors = np.full((2, 2, 4), 40_000, np.uint16)
    assert np.abs(to_rgb(Raster("RGBA", colors)).astype(int) - (156 * 156 / 255 + 99)).max() <= 1


def test_a_turned_image_is_contiguous() -> None:
    raster = Raster.from_pillow(Image.new("RGB", (5, 3), (1, 2, 3))).oriented(6)
    assert to_rgb(raster).flags.c_contiguous
