import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from services.blur_worker.engine.blur_frame import blur_frame
from services.blur_worker.engine.images import Frame
from services.blur_worker.engine.raster import Raster
from services.common.domain.spec import BlurSpec, Effect, Gaussian, Pixelate, Redact, Region, Solid
from tests.support.images import encode, opened, photo, photo_16, samples, whole_photo
from tests.unit.engine.reference import gaussian, psnr
from tests.unit.engine.running import MIDDLE, run, run_on


def gaussian_of_grey(image: Image.Image, sigma: float) -> NDArray[np.float64]:
    return gaussian(samples(image)[:, :, np.newaxis], sigma)[:, :, 0]


@pytest.mark.parametrize("sigma", [0.8, 2, 4, 5, 11.9, 12, 40])
def test_gaussian_is_near_the_exact_one(sigma: float) -> None:
    image = whole_photo()
    expected = gaussian(samples(image), sigma)
    got = samples(run_on(image, Gaussian(sigma)))
    assert psnr(got, expected) >= 45
    assert np.abs(got - expected).max() <= 6


@pytest.mark.parametrize("sigma", [3, 25, 90, 400])
def test_edges_are_mirrored_even_when_sigma_exceeds_the_image(sigma: float) -> None:
    image = photo(60, 40).convert("L")
    got = samples(run_on(image, Gaussian(sigma)))
    expected = gaussian_of_grey(image, sigma)
    for border in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        assert np.abs(got[border] - expected[border]).max() <= 3


def test_sixteen_bit_gaussian_is_exact_to_a_level() -> None:
    image = photo_16()
    result = run_on(image, Gaussian(4))
    assert result.mode == "I;16"
    assert np.abs(samples(result) - gaussian_of_grey(image, 4)).max() <= 1


def test_relative_sigma_refers_to_the_shorter_side() -> None:
    assert (
        samples(run_on(photo(), Gaussian(0.125, relative=True))).tolist()
        == samples(run_on(photo(), Gaussian(8))).tolist()
    )


@pytest.mark.parametrize("effect", [Gaussian(4), Pixelate(8)])
def test_transparent_pixels_do_not_bleed(effect: Effect) -> None:
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    image.paste((250, 250, 250, 255), (30, 0, 64, 64))
    result = samples(run_on(image, effect))
    seen = result[..., 3] >= 16
    assert result[seen][:, :3].min() >= 230
    assert 0 < result[..., 3].mean() < 255
    assert ((result[..., 3] > 16) & (result[..., 3] < 240)).any()


def test_grey_with_alpha_is_blurred_premultiplied() -> None:
    image = Image.new("LA", (64, 64), (0, 0))
    image.paste((200, 255), (32, 0, 64, 64))
    result = run_on(image, Gaussian(4))
    assert result.mode == "LA"
    pixels = samples(result)
    assert pixels[pixels[..., 1] >= 16][:, 0].min() >= 185


@pytest.mark.parametrize("size", [(96, 64), (97, 61), (5, 3)])
def test_pixelated_cells_are_the_means_of_their_own_pixels(size: tuple[int, int]) -> None:
    image = photo(*size)
    before, after = samples(image), samples(run_on(image, Pixelate(10)))
    for top in range(0, size[1], 10):
        for left in range(0, size[0], 10):
            cell = np.s_[top : top + 10, left : left + 10]
            assert np.abs(after[cell] - before[cell].mean(axis=(0, 1))).max() <= 0.5


def test_pixelating_a_region_uses_the_cells_of_the_whole_image() -> None:
    whole = samples(run_on(photo(), Pixelate(7)))
    part = samples(run_on(photo(), Pixelate(7), MIDDLE))
    assert (part[16:48, 24:72] == whole[16:48, 24:72]).all()


def test_huge_cells_do_not_overflow() -> None:
    image = Image.new("L", (4100, 2100), 250)
    assert run_on(image, Pixelate(10_000)).getextrema() == (250, 250)
    bright = Image.fromarray(np.full((300, 400), 60_000, np.uint16))
    assert run_on(bright, Pixelate(10_000)).getextrema() == (60_000, 60_000)


@pytest.mark.parametrize(
    ("mode", "fill"),
    [("RGB", (255, 136, 0)), ("RGBA", (255, 136, 0, 255)), ("L", 156), ("LA", (156, 255)), ("CMYK", (0, 119, 255, 0))],
)
def test_solid_is_flat_and_opaque(mode: str, fill: int | tuple[int, ...]) -> None:
    image = photo().convert(mode)
    if "A" in mode:
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    result = run_on(image, Solid("#ff8800"))
    assert result.mode == mode
    assert result.getcolors() == [(96 * 64, fill)]


def test_solid_in_a_jpeg_has_its_colour() -> None:
    result = samples(opened(run(encode(photo(), "JPEG"), Solid("#ff8800")).data))
    assert np.abs(result - [255, 136, 0]).max() <= 3


@pytest.mark.parametrize("effect", [Gaussian(5), Gaussian(0.3), Gaussian(99), Pixelate(2), Pixelate(10_000), Solid()])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (300, 1), (2, 2)])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_tiny_images(effect: Effect, size: tuple[int, int], mode: str) -> None:
    image = Image.new("I;16", size, 4660) if mode == "I;16" else Image.new("RGB", size, (200, 100, 50)).convert(mode)
    for regions in ((), (Region("ellipse", 0, 0, 1, 1, feather=0.5),)):
        result = run_on(image, effect, *regions)
        assert result.size == size
        if not isinstance(effect, Solid) and mode not in {"1", "P"}:
            assert samples(result).tolist() == samples(image).tolist()


def test_a_region_blurs_as_the_whole_image_would() -> None:
    whole = samples(run_on(photo(), Gaussian(3)))
    part = samples(run_on(photo(), Gaussian(3), MIDDLE))
    assert (part[16:48, 24:72] == whole[16:48, 24:72]).all()


@pytest.mark.parametrize(
    "effect", [Gaussian(3), Pixelate(8), Solid("#336699"), Redact()], ids=lambda effect: type(effect).__name__
)
@pytest.mark.parametrize("regions", [(), (Region("ellipse", 0.2, 0.1, 0.4, 0.6),)], ids=["whole", "region"])
@pytest.mark.parametrize(
    ("mode", "dtype"), [("L", np.uint8), ("RGB", np.uint8), ("RGBA", np.uint8), ("LA", np.uint16), ("RGB", np.uint16)]
)
def test_samples_may_lie_in_any_order(effect: Effect, regions: tuple[Region, ...], mode: str, dtype: type) -> None:
    # Samples of files that are turned are views.
    stored = np.random.default_rng(1).integers(0, np.iinfo(dtype).max, (40, 60, len(mode)), endpoint=True)
    turned: NDArray[np.unsignedinteger] = stored.astype(dtype).transpose(1, 0, 2)[::-1]
    spec = BlurSpec(effect, regions)
    results = [blur_frame(Frame(Raster(mode, each)), spec).raster for each in (turned, np.ascontiguousarray(turned))]
    assert np.array_equal(results[0].samples, results[1].samples)
