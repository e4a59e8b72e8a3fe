"""The path that never makes pixels, against the float64 Gaussian of the samples that libjpeg decodes."""

from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from services.blur_worker.engine import pipeline
from services.common.domain.spec import Gaussian
from tests.support.images import encode, opened, photo, samples, whole_photo
from tests.unit.engine.jpeg.jpeg_planes import AWAY, gaussian, header, soft, stored, synthesized, turned
from tests.unit.engine.reference import psnr
from tests.unit.engine.running import run, small_images_too

# Errors are measured against what contrast is left.
_LEFT = 255 - 2 * AWAY
SIGMAS = [0.4, 1, 1.5, 2, 2.1, 3, 5, 7.5, 10, 20, 40, 50, 100, 300]
SIZES = [(1, 1), (1, 9), (8, 8), (9, 9), (7, 3), (16, 16), (17, 33), (64, 96), (100, 1), (33, 200), (131, 130)]
SMALL = pytest.fixture(autouse=True)(small_images_too)
SUBSAMPLINGS = ["4:4:4", "4:2:2", "4:2:0"]


@pytest.mark.parametrize("sigma", SIGMAS)
def test_photographs(sigma: float) -> None:
    data = encode(soft(whole_photo()), "JPEG", quality=90)
    (luma, *_), expected = synthesized(data, sigma), gaussian(stored(data), sigma)
    assert psnr(luma, expected, _LEFT) >= 54
    assert np.abs(luma - expected).max() <= 4 * _LEFT / 255


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("sigma", [0.4, 2, 5, 20, 300])
def test_every_size_up_to_its_edges(size: tuple[int, int], sigma: float) -> None:
    for mode, options in [("L", {}), *(("RGB", {"subsampling": each}) for each in SUBSAMPLINGS)]:
        data = encode(soft(whole_photo().crop((100, 50, 100 + size[0], 50 + size[1]))).convert(mode), "JPEG", **options)
        luma = synthesized(data, sigma)[0]
        assert luma.shape == size[::-1]
        assert np.abs(luma - gaussian(stored(data), sigma)).max() <= 4 * _LEFT / 255


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2"])
def test_chroma_where_pillow_tells_what_is_stored(subsampling: str) -> None:
    # Of the same picture, stored in full and by half: away from its own edge effects the result is the same.
    data = encode(soft(whole_photo()), "JPEG", quality=95, subsampling=subsampling)
    full = encode(soft(whole_photo()), "JPEG", quality=95, subsampling="4:4:4")
    for plane, expected in zip(synthesized(data, 6), synthesized(full, 6), strict=True):
        wide = np.repeat(plane, expected.shape[1] // plane.shape[1], axis=1)
        assert psnr(wide, expected) > 42


def _noise() -> NDArray[np.uint8]:
    return np.random.default_rng(4).integers(0, 256, (264, 264)).astype(np.uint8)


def _zone_plate() -> NDArray[np.uint8]:
    y, x = np.mgrid[0:264, 0:264]
    return np.asarray(127.5 + 127.5 * np.cos((x * x + y * y) * np.pi / 528), np.uint8)


def _checkerboard(cell: int) -> NDArray[np.uint8]:
    y, x = np.mgrid[0:264, 0:264]
    return np.asarray((x // cell + y // cell) % 2 * 255, np.uint8)


def _text() -> NDArray[np.uint8]:
    rows = np.random.default_rng(7).integers(0, 2, (33, 66)) * 255
    return np.repeat(np.repeat(rows, 8, axis=0), 4, axis=1).astype(np.uint8)


WORST: dict[str, Callable[[], NDArray[np.uint8]]] = {
    "noise": _noise,
    "zone plate": _zone_plate,
    "checkerboard of 1": lambda: _checkerboard(1),
    "checkerboard of 5": lambda: _checkerboard(5),
    "checkerboard of 8": lambda: _checkerboard(8),
    "text": _text,
}


@pytest.mark.parametrize("kind", WORST)
@pytest.mark.parametrize("sigma", [2, 2.1, 3, 5, 10, 20, 40, 80])
def test_worst_cases(kind: str, sigma: float) -> None:
    data = encode(soft(Image.fromarray(WORST[kind]())), "JPEG", quality=97)
    (luma,), expected = synthesized(data, sigma), gaussian(stored(data), sigma)
    assert psnr(luma, expected, _LEFT) >= 48


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(64, 48), (61, 37), (9, 70)])
def test_orientation_is_applied(orientation: int, size: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x112] = orientation
    data = encode(soft(photo(*size)), "JPEG", exif=exif, subsampling="4:2:2", quality=95)
    expected = gaussian(turned(stored(data), orientation), 4)
    luma = synthesized(data, 4, orientation)[0]
    assert luma.shape == expected.shape
    assert np.abs(luma - expected).max() <= 4 * _LEFT / 255
    result = run(data, Gaussian(4), quality=95)
    assert result.path == "jpeg-coefficients"
    assert psnr(stored(result.data), expected) > 45


@pytest.mark.parametrize("options", [{"subsampling": each} for each in SUBSAMPLINGS] + [{"restart_marker_blocks": 3}])
@pytest.mark.parametrize("size", [(96, 64), (97, 61)])
def test_what_is_written_is_what_was_made(options: dict[str, object], size: tuple[int, int]) -> None:
    data = encode(soft(photo(*size)), "JPEG", quality=92, **options)
    result = run(data, Gaussian(5), quality=100)
    assert (result.path, result.width, result.height) == ("jpeg-coefficients", *size)
    assert psnr(stored(result.data), synthesized(data, 5)[0]) > 54
    assert [each.h for each in header(result.data).components] == [each.h for each in header(data).components]


@pytest.mark.parametrize("quality", [1, 30, 75, 90, 100])
@pytest.mark.parametrize("sigma", [0.5, 3, 30])
def test_no_coefficient_is_lost_on_the_way(quality: int, sigma: float) -> None:
    """Rounding to multiples of the divisors is all that happens: what is beyond reach would have been 0 anyway."""
    data = encode(soft(Image.fromarray(_text())), "JPEG", quality=95)
    result = run(data, Gaussian(sigma), quality=quality)
    made = synthesized(data, sigma)[0]
    usual = encode(Image.fromarray(np.rint(made).astype(np.uint8)), "JPEG", quality=quality)
    assert psnr(stored(result.data), made) > psnr(stored(usual), made) - 0.5


@pytest.mark.parametrize("quality", [30, 75, 90, 95])
@pytest.mark.parametrize("size", [(32, 32), (96, 64)])
def test_divisors_are_those_of_the_quality(quality: int, size: tuple[int, int]) -> None:
    result = run(encode(photo(*size), "JPEG"), Gaussian(3), quality=quality)
    assert result.path == "jpeg-coefficients"
    usual = encode(photo(*size), "JPEG", quality=quality)
    assert _divisors(result.data) == _divisors(usual)


def _divisors(data: bytes) -> dict[int, list[int]]:
    with JpegImageFile(BytesIO(data)) as image:
        return image.quantization


def test_constant_stays_constant() -> None:
    for sigma in SIGMAS:
        data = encode(Image.new("RGB", (75, 43), (200, 30, 90)), "JPEG", quality=95)
        result = opened(run(data, Gaussian(sigma), quality=95).data)
        assert np.abs(samples(result) - samples(opened(data))).max() <= 1


def test_the_path_of_pixels_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    for subsampling in SUBSAMPLINGS:
        for sigma in (1, 3, 8, 30):
            data = encode(soft(whole_photo()), "JPEG", quality=92, subsampling=subsampling)
            fast = run(data, Gaussian(sigma), quality=95)
            with monkeypatch.context() as without:
                without.setattr(pipeline, "FAST_PATHS", ())
                slow = run(data, Gaussian(sigma), quality=95)
            assert (fast.path, slow.path) == ("jpeg-coefficients", "pixels")
            assert psnr(samples(opened(fast.data)), samples(opened(slow.data))) > 42
