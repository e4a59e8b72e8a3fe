"""Whole JPEGs that are pixelated or filled: by coefficients they become what they become by pixels."""

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from services.common.domain.errors import ImageError
from services.common.domain.spec import Effect, Pixelate, Redact, Solid
from tests.support.images import encode, opened, oriented, photo, samples
from tests.unit.engine.reference import psnr
from tests.unit.engine.running import run

SIZES = [(96, 64), (97, 61), (33, 200)]
FILLS = [Solid("#336699"), Redact()]


def in_ycbcr(data: bytes) -> NDArray[np.float64]:
    """What is stored, upright."""
    image = Image.open(io.BytesIO(data))
    image.draft("YCbCr", None)
    return np.asarray(ImageOps.exif_transpose(image), np.float64)


def pixelated(pixels: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    result = np.empty_like(pixels)
    for top in range(0, pixels.shape[0], side):
        for left in range(0, pixels.shape[1], side):
            cell = np.s_[top : top + side, left : left + side]
            result[cell] = pixels[cell].mean(axis=(0, 1))
    return result


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("orientation", [1, 2, 3, 6, 7])
@pytest.mark.parametrize("options", [{"subsampling": "4:4:4"}, {"subsampling": "4:2:0"}, {"progressive": True}])
@pytest.mark.parametrize("side", [2, 7, 16, 50, 500])
def test_cells_are_the_means_of_their_own_pixels(
    size: tuple[int, int], orientation: int, options: dict[str, Any], side: int
) -> None:
    data = encode(photo(*size), "JPEG", quality=92, exif=oriented(orientation), **options)
    result = run(data, Pixelate(side), quality=100)
    assert result.path == "jpeg-coefficients"
    before, after = in_ycbcr(data), in_ycbcr(result.data)
    expected = pixelated(before, side)
    assert np.abs(after - expected)[..., 0].max() < 3
    # Chroma that is stored by half has no sharp edges.
    assert psnr(after, expected) > (48 if options.get("subsampling") == "4:4:4" else 38)


@pytest.mark.parametrize("size", [*SIZES, (1, 1), (8, 300)])
@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("effect", FILLS)
def test_fills_look_as_in_any_other_format(size: tuple[int, int], mode: str, effect: Effect) -> None:
    image = photo(*size).convert(mode)
    result = run(encode(image, "JPEG", exif=oriented(6)), effect, quality=95)
    expected = samples(opened(run(encode(image.transpose(Image.Transpose.ROTATE_270), "PNG"), effect).data))
    assert np.abs(samples(opened(result.data)).astype(int) - expected.astype(int)).max() <= 6


@pytest.mark.parametrize("effect", [*FILLS, Pixelate(24)])
def test_nothing_of_the_original_is_in_a_fill_and_damage_is_reported(effect: Effect) -> None:
    one, other = (encode(photo(96, 64).point([level] * 768), "JPEG") for level in (20, 230))
    if not isinstance(effect, Pixelate):
        assert run(one, effect).data == run(other, effect).data
    cut = encode(photo(96, 64), "JPEG")[:-400]
    with pytest.raises(ImageError):
        run(cut, effect)
    assert Image.open(io.BytesIO(run(one, effect).data)).size == (96, 64)
