"""Effects against references in float64: every size, sigma, mode and depth, before any encoding."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw

from services.blur_worker.engine.effects.gaussian import blur
from services.blur_worker.engine.regions import region_mask
from services.common.domain.spec import BlurSpec, Effect, Gaussian, Pixelate, Redact, Region, Solid
from tests.support.images import encode, opened, photo, samples, whole_photo
from tests.unit.engine import reference
from tests.unit.engine.running import run, run_on

SIZES = [(1, 1), (1, 9), (13, 1), (2, 3), (7, 5), (16, 16), (33, 17), (64, 48), (101, 67)]
SIGMAS = [0.3, 1, 2, 3.3, 4.9, 5, 7.7, 9.9, 10, 19.9, 20, 41, 100, 333]


def error_of(got: NDArray[np.unsignedinteger], expected: NDArray[np.float64]) -> tuple[float, float]:
    """PSNR and largest error."""
    exact = got.astype(np.float64)
    return reference.psnr(exact, expected), float(np.abs(exact - expected).max())


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_photograph_of_any_size_at_any_sigma(size: tuple[int, int]) -> None:
    pixels = np.asarray(photo(*size))
    for sigma in SIGMAS:
        got = blur(pixels, sigma, alpha=False)
        quality, worst = error_of(got, reference.gaussian(pixels.astype(np.float64), sigma))
        assert quality >= 48, sigma
        assert worst <= 1.5, sigma


@pytest.mark.parametrize("sigma", [2, 5, 10, 40, 100])
def test_a_whole_photograph(sigma: float) -> None:
    pixels = np.asarray(whole_photo())
    got = blur(pixels, sigma, alpha=False)
    expected = reference.gaussian(pixels.astype(np.float64), sigma)
    quality, worst = error_of(got, expected)
    assert quality >= 57
    assert worst <= 2
    assert reference.ssim(got.astype(np.float64), expected) >= 0.998


def noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(4).integers(0, 256, (149, 151), np.uint8))


def black_and_white_noise() -> Image.Image:
    return Image.fromarray((np.random.default_rng(4).integers(0, 2, (149, 151)) * 255).astype(np.uint8))


def zone_plate() -> Image.Image:
    y, x = np.mgrid[0:149, 0:151]
    return Image.fromarray((127.5 + 127.5 * np.cos((x**2 + y**2) * np.pi / 300)).astype(np.uint8))


def checkerboard(cell: int) -> Image.Image:
    y, x = np.mgrid[0:149, 0:151]
    return Image.fromarray(((x // cell + y // cell) % 2 * 255).astype(np.uint8))


def text() -> Image.Image:
    image = Image.new("L", (151, 149), 255)
    draw = ImageDraw.Draw(image)
    for line in range(0, 149, 11):
        draw.text((1, line), "Sphinx of black quartz, judge my vow", fill=0)
    return image


PATTERNS = [noise(), black_and_white_noise(), zone_plate(), *map(checkerboard, (1, 2, 3, 4, 5, 8, 16, 20)), text()]
NAMES = ["noise", "two-levels", "zone-plate", *(f"cells-of-{cell}" for cell in (1, 2, 3, 4, 5, 8, 16, 20)), "text"]


@pytest.mark.parametrize("image", PATTERNS, ids=NAMES)
def test_the_hardest_patterns(image: Image.Image) -> None:
    pixels = np.asarray(image)[:, :, np.newaxis]
    for sigma in (2, 4.9, 5, 7, 9.9, 10, 14, 20, 40, 80):
        got = blur(pixels, sigma, alpha=False)
        quality, worst = error_of(got, reference.gaussian(pixels.astype(np.float64), sigma))
        assert quality >= 46, sigma
        assert worst <= 7, sigma


@pytest.mark.parametrize("side", [7, 10, 16])
def test_small_images_of_two_levels(side: int) -> None:
    pixels = np.asarray(checkerboard(1))[:side, :side, np.newaxis]
    for sigma in (0.5, 1, 2, 3, 5, 10, 50):
        quality, worst = error_of(
            blur(pixels, sigma, alpha=False), reference.gaussian(pixels.astype(np.float64), sigma)
        )
        assert quality >= 48, sigma
        assert worst <= 7, sigma


@pytest.mark.parametrize("size", [(1, 1), (31, 1), (37, 29), (90, 62)], ids=str)
def test_colours_with_alpha(size: tuple[int, int]) -> None:
    width, height = size
    alpha = np.random.default_rng(7).integers(0, 256, (height, width, 1), np.uint8)
    alpha[: height // 3] = 0
    pixels = np.concatenate([np.asarray(photo(*size)), alpha], axis=2)
    for sigma in (1, 5, 12, 60):
        got = blur(pixels, sigma, alpha=True).astype(np.float64)
        expected = reference.gaussian_premultiplied(pixels.astype(np.float64), sigma)
        assert np.abs(got[..., 3] - expected[..., 3]).max() <= 4
        seen = expected[..., 3] >= 8
        assert np.abs(got - expected)[seen].max(initial=0) <= 4


def deep(channels: int) -> NDArray[np.uint16]:
    fine = np.random.default_rng(5).integers(0, 257, (67, 101, channels))
    return (np.resize(np.asarray(photo(101, 67)), fine.shape) * 256.0 + fine).clip(0, 65535).astype(np.uint16)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_are_exact_to_a_quarter_of_eight(channels: int) -> None:
    pixels = deep(channels)
    for sigma in (0.5, 2, 6, 9.9, 12, 50):
        got = blur(pixels, sigma, alpha=False).astype(np.float64)
        worst = np.abs(got - reference.gaussian(pixels.astype(np.float64), sigma)).max()
        assert worst <= (2 if sigma < 10 else 64), sigma


def test_sixteen_bits_with_alpha() -> None:
    pixels = deep(4)
    pixels[:20, :, 3] = 0
    for sigma in (1, 5, 12, 60):
        got = blur(pixels, sigma, alpha=True).astype(np.float64)
        expected = reference.gaussian_premultiplied(pixels.astype(np.float64), sigma, 65535)
        assert np.abs(got[..., 3] - expected[..., 3]).max() <= 256, sigma
        seen = expected[..., 3] >= 8 * 257
        assert np.abs(got - expected)[seen].max() <= 256, sigma


REGIONS = {
    "whole": (),
    "box": (Region("box", 0.25, 0.25, 0.5, 0.5),),
    "ellipse": (Region("ellipse", 0.1, 0.2, 0.6, 0.5),),
    "feathered": (Region("box", 0.5, 0, 0.5, 0.5, padding=0.05, feather=0.2), Region("ellipse", 0, 0.5, 0.3, 0.5)),
}


@pytest.mark.parametrize(
    ("where", "inverted"),
    [(name, inverted) for name in REGIONS for inverted in (False, True) if REGIONS[name] or not inverted],
)
@pytest.mark.parametrize(
    "effect", [Gaussian(2), Gaussian(6), Gaussian(0.2, relative=True), Pixelate(7), Solid("#0a64c8")]
)
@pytest.mark.parametrize(("mode", "size"), [("L", (80, 56)), ("RGB", (97, 61)), ("RGBA", (64, 80))])
def test_through_a_file(mode: str, size: tuple[int, int], effect: Effect, where: str, inverted: bool) -> None:
    image = photo(*size).convert(mode)
    before = samples(image).reshape(size[1], size[0], -1)
    regions = REGIONS[where]
    result = opened(run(encode(image, "PNG"), effect, *regions, invert_regions=inverted).data)
    after = samples(result).reshape(before.shape)
    mask = (
        region_mask(BlurSpec(effect, regions, invert_regions=inverted), size) if regions else np.full(size[::-1], 255)
    )
    weights = mask[:, :, np.newaxis] / 255
    expected = before * (1 - weights) + changed(before, effect, size) * weights
    assert np.abs(after - expected).max() <= 4
    assert (after == before)[np.broadcast_to(weights == 0, after.shape)].all()


def changed(before: NDArray[np.float64], effect: Effect, size: tuple[int, int]) -> NDArray[np.float64]:
    match effect:
        case Gaussian():
            return reference.gaussian(before, effect.sigma_px(*size))
        case Pixelate():
            return reference.pixelated(before, int(effect.cell))
        case Redact():
            raise NotImplementedError
        case Solid():
            rgb = ImageColor.getrgb(effect.color)
            fill = np.array([*rgb, 255][: before.shape[2]], np.float64)
            return np.zeros_like(before) + (
                fill if len(fill) > 1 else samples(Image.new("RGB", (1, 1), rgb).convert("L"))
            )


@pytest.mark.parametrize("side", [3, 10, 33, 63])
@pytest.mark.parametrize("sigma", [5, 6, 7, 40, 300])
def test_small_images_are_as_exact_as_large_ones(side: int, sigma: float) -> None:
    rows = np.add.outer(np.arange(side), np.arange(side) // 3)
    for pattern in (rows % 2, rows // 2 % 2, np.broadcast_to(np.arange(side) >= side // 2, (side, side))):
        before = Image.fromarray((pattern * 255).astype(np.uint8))
        expected = reference.gaussian(samples(before)[..., np.newaxis].astype(np.float64), sigma)
        assert np.abs(samples(run_on(before, Gaussian(sigma))) - expected[..., 0]).max() <= 1.1


@pytest.mark.parametrize("size", [(300, 1), (1, 300), (2, 41), (41, 2)])
@pytest.mark.parametrize("sigma", [5, 11, 40, 500])
def test_an_image_is_narrower_than_the_gaussian(size: tuple[int, int], sigma: float) -> None:
    before = Image.fromarray(np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8))
    expected = reference.gaussian(samples(before).astype(np.float64), sigma)
    assert np.abs(samples(run_on(before, Gaussian(sigma))) - expected).max() <= 0.51
