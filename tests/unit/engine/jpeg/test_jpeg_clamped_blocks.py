"""Blocks whose samples leave what can be shown, and what else is particular to pages of text."""

from collections.abc import Callable, Iterator
from typing import Any

import numba
import numpy as np
import pytest
from numba.extending import intrinsic
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from services.blur_worker.engine.containers.jpeg_segments import find_end
from services.blur_worker.engine.jpeg.decode import clamped_blocks, rows_of_eight
from services.blur_worker.engine.jpeg.decode.image import decode_sequential
from services.blur_worker.engine.jpeg.format.header_reader import HeaderReader
from services.blur_worker.engine.jpeg.transform.plain_plane import without_detail
from services.blur_worker.engine.jpeg.transform.planes import CoefficientPlane, plan
from tests.support.images import encode
from tests.unit.engine.jpeg.jpeg_planes import DCT, blurred


@pytest.fixture(scope="module")
def clamp() -> Iterator[Callable[[int, int, NDArray[np.float32]], bool]]:
    """`clamp_samples` by itself: the engine has it compiled into those that call it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clamped_blocks, "combine", intrinsic(rows_of_eight._combine))
        compiled: Any = numba.njit
        yield compiled(clamped_blocks.clamp_samples)


@pytest.mark.parametrize("wanted", [1, 3, 8])
@pytest.mark.parametrize("contrast", [10, 60, 300])
def test_samples_are_clamped(
    clamp: Callable[[int, int, NDArray[np.float32]], bool], contrast: int, wanted: int
) -> None:
    random = np.random.default_rng(contrast)
    for mean in (-126, 0, 120):
        samples = random.normal(mean, contrast, (8, 8))
        out = np.full(64 * 5, np.nan, np.float32)
        before = DCT @ samples @ DCT.T
        out[64:128] = before.reshape(64)
        outside = samples.min() < -128.5 or samples.max() > 127.5
        assert clamp(64, wanted, out) == outside
        expected = before.copy()
        if outside:
            expected[:wanted] = (DCT @ samples.clip(-128, 127) @ DCT.T)[:wanted]
        np.testing.assert_allclose(out[64:128].reshape(8, 8), expected, atol=0.01)
        assert np.isnan(out[:64]).all()
        assert np.isnan(out[256:]).all()


def _decoded(image: Image.Image, sigma: float, orientation: int) -> list[CoefficientPlane]:
    reader = HeaderReader(encode(image, "JPEG", quality=50))
    frame, scan = reader.first_scan()
    planes = plan(frame, sigma, orientation, sharp=True)
    decode_sequential(reader, frame, scan, planes)
    return list(planes.planes)


def _page(size: tuple[int, int]) -> Image.Image:
    """Black text on white, and squares of one colour that lie on whole blocks."""
    page = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(page)
    for line in range(8):
        draw.text((2, 12 * line), "The quick brown fox jumps over the lazy dog.", "black")
    for at, colour in ((16, "red"), (64, "blue")):
        draw.rectangle((at, at, at + 31, at + 15), colour)
    return page


@pytest.mark.parametrize("size", [(160, 112), (150, 101)])
@pytest.mark.parametrize("sigma", [1, 3, 10, 30])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_planes_without_detail_are_blurred_the_same(orientation: int, sigma: float, size: tuple[int, int]) -> None:
    for index, plane in enumerate(_decoded(_page(size), sigma, orientation)):
        less = without_detail(plane)
        assert (less.x.kept, less.y.kept) == ((1, 1) if index else (plane.x.kept, plane.y.kept))
        np.testing.assert_allclose(blurred(less), blurred(plane), atol=0.02)


def test_planes_with_detail_keep_it() -> None:
    image = _page((160, 112))
    ImageDraw.Draw(image).line((0, 100, 159, 90), "red")
    assert all(without_detail(plane) is plane for plane in _decoded(image, 3, 1))


@pytest.mark.parametrize("behind", [b"", b"\xff\xd9", b"more\xff\xd8\xff\xd9"])
def test_the_first_end_is_found(behind: bytes) -> None:
    assert find_end(b"\xff\xd9ab\xff\0\xd9\xff\xd0cd\xff\xd9" + behind, 2) == 11
    assert find_end(b"\xff\xd9ab\xff", 2) == 5
