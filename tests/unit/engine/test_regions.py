import numpy as np
import pytest
from PIL import Image

from services.common.domain.spec import Effect, Format, Gaussian, Pixelate, Region, Solid
from tests.support.images import encode, opened, photo, photo_16, samples, with_alpha
from tests.unit.engine.reference import psnr
from tests.unit.engine.running import LEFT_HALF, MIDDLE, run, run_on

EFFECTS = [Gaussian(5), Pixelate(8), Solid("#00ff00")]


@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16", "CMYK"])
def test_outside_nothing_changes(effect: Effect, mode: str) -> None:
    image = photo_16() if mode == "I;16" else with_alpha(photo(), mode) if "A" in mode else photo().convert(mode)
    before, after = samples(image), samples(run_on(image, effect, MIDDLE))
    inside = np.zeros(before.shape[:2], bool)
    inside[16:48, 24:72] = True
    assert (after[~inside] == before[~inside]).all()
    assert (after[inside] != before[inside]).mean() > 0.4


@pytest.mark.parametrize("format_", ["PNG", "BMP", "TIFF", "GIF", "WEBP"])
def test_outside_nothing_changes_in_any_lossless_format(format_: str) -> None:
    image = photo().quantize(200) if format_ == "GIF" else photo()
    data = encode(image, format_, **({"lossless": True} if format_ == "WEBP" else {}))
    before, after = (samples(opened(each).convert("RGB")) for each in (data, run(data, Gaussian(6), MIDDLE).data))
    assert (after[:16] == before[:16]).all()
    assert (after[:, 72:] == before[:, 72:]).all()
    assert psnr(after[16:48, 24:72], before[16:48, 24:72]) < 35


def test_outside_a_jpeg_looks_the_same() -> None:
    data = encode(photo(), "JPEG", quality=90)
    before, after = (samples(opened(each)) for each in (data, run(data, Gaussian(6), LEFT_HALF).data))
    assert psnr(after[:, 64:], before[:, 64:]) > 40


@pytest.mark.parametrize("effect", EFFECTS)
def test_inverted_regions_stay(effect: Effect) -> None:
    before = samples(photo())
    after = samples(run_on(photo(), effect, MIDDLE, invert_regions=True))
    assert (after[16:48, 24:72] == before[16:48, 24:72]).all()
    whole = samples(run_on(photo(), effect))
    assert (after[:16] == whole[:16]).all()
    assert (after[:, 72:] == whole[:, 72:]).all()


def test_an_ellipse_covers_its_inside_and_not_its_corners() -> None:
    result = samples(run_on(Image.new("L", (100, 60)), Solid("#ffffff"), Region("ellipse", 0.1, 0.1, 0.8, 0.8)))
    y, x = np.mgrid[0:60, 0:100] + 0.5
    level = ((x - 50) / 40) ** 2 + ((y - 30) / 24) ** 2
    assert (result[level <= 1] == 255).all()
    assert (result[((np.abs(x - 50) - 1) / 40) ** 2 + ((np.abs(y - 30) - 1) / 24) ** 2 > 1.02] == 0).all()
    assert set(np.unique(result)) == {0, 255}


def test_a_touched_pixel_is_covered() -> None:
    result = samples(run_on(Image.new("L", (10, 10)), Solid("#ffffff"), Region("box", 0.25, 0.31, 0.11, 0.3)))
    ys, xs = np.nonzero(result)
    assert (xs.min(), xs.max(), ys.min(), ys.max()) == (2, 3, 3, 6)


@pytest.mark.parametrize("left", [0.0, 0.3, 0.999999, 1 - 1e-9])
def test_the_smallest_region_covers_a_pixel(left: float) -> None:
    region = Region("box", left, 0.5, 1e-9, 1e-9)
    assert samples(run_on(Image.new("L", (10, 10)), Solid("#ffffff"), region)).max() == 255


def test_padding_grows_a_region_by_the_shorter_side() -> None:
    result = samples(
        run_on(Image.new("L", (100, 50)), Solid("#ffffff"), Region("box", 0.4, 0.4, 0.2, 0.2, padding=0.1))
    )
    ys, xs = np.nonzero(result)
    assert (xs.min(), xs.max(), ys.min(), ys.max()) == (35, 64, 15, 34)


@pytest.mark.parametrize("shape", ["box", "ellipse"])
def test_the_feather_is_outside_and_falls_off(shape: str) -> None:
    soft = Region(shape, 0.4, 0.4, 0.2, 0.2, feather=0.2)  # type: ignore[arg-type]
    result = samples(run_on(Image.new("L", (100, 100)), Solid("#ffffff"), soft))
    row = result[50]
    assert (row[40:60] == 255).all()
    assert (np.diff(row[60:80]) < 0).all()
    assert 100 < row[70] < 155
    assert (row[81:] == 0).all()
    assert (row[:19] == 0).all()


def test_a_feathered_region_blends_premultiplied() -> None:
    image = Image.new("RGBA", (60, 60), (255, 255, 255, 0))
    region = Region("box", 0.4, 0.4, 0.2, 0.2, feather=0.3)
    pixels = samples(run_on(image, Solid("#000000"), region))
    seen = (pixels[..., 3] > 8) & (pixels[..., 3] < 255)
    assert seen.any()
    assert pixels[seen][:, :3].max() == 0
    assert (pixels[0, 0] == [255, 255, 255, 0]).all()


def test_regions_add_up() -> None:
    two = (Region("box", 0, 0, 0.2, 0.2), Region("box", 0.1, 0.1, 0.2, 0.2))
    assert (samples(run_on(Image.new("L", (10, 10)), Solid("#ffffff"), *two)) == 255).sum() == 7


def test_a_gif_with_all_colours_taken_keeps_the_outside() -> None:
    image = Image.fromarray(np.arange(256, dtype=np.uint8).repeat(16).reshape(64, 64))
    data = encode(image, "GIF")
    result = run(data, Solid("#ff0000"), Region("box", 0, 0, 1, 0.1))
    assert (samples(opened(result.data).convert("L"))[7:] == samples(image)[7:]).all()
    assert result.format is Format.GIF
