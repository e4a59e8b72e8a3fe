"""Redact: soft cells in the colours around a region, and nothing of what it hides."""

import numpy as np
import pytest
from PIL import Image

from services.blur_worker.engine.effects.redact import MAX_CELLS, Redaction
from services.blur_worker.engine.raster import Raster
from services.common.domain.spec import Redact, Region, Solid
from tests.support.images import encode, opened, photo, photo_16, samples, whole_photo, with_alpha
from tests.unit.engine.running import MIDDLE, run, run_on

INSIDE = np.s_[16:48, 24:72]
MODES = ["L", "LA", "RGB", "RGBA", "CMYK", "I;16"]


def in_mode(mode: str) -> Image.Image:
    return photo_16() if mode == "I;16" else with_alpha(photo(), mode) if "A" in mode else photo().convert(mode)


@pytest.mark.parametrize("mode", MODES)
def test_nothing_of_what_is_hidden_is_in_it(mode: str) -> None:
    image = in_mode(mode)
    other = image.copy()
    other.paste(0 if mode == "I;16" else Image.new("RGB", (1, 1)).convert(mode).getpixel((0, 0)), (24, 16, 72, 48))  # type: ignore[arg-type]
    one, two = (samples(run_on(each, Redact(), MIDDLE)) for each in (image, other))
    assert (one == two).all()
    before = samples(image)
    outside = np.ones(before.shape[:2], bool)
    outside[INSIDE] = False
    assert (one[outside] == before[outside]).all()
    assert (one[INSIDE] != before[INSIDE]).any()


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK", "I;16"])
def test_colours_are_those_around(mode: str) -> None:
    image = (
        Image.new("I;16", (96, 64), 40_000)
        if mode == "I;16"
        else Image.new("RGB", (96, 64), (200, 120, 60)).convert(mode)
    )
    result, before = samples(run_on(image, Redact(), MIDDLE)), samples(image)
    largest = 65535 if mode == "I;16" else 255
    change = np.abs(result - before)[INSIDE]
    # Black of CMYK, of which there is none here, only grows.
    assert 0 < change.max() <= (0.13 if mode == "CMYK" else 0.07) * largest
    # Hues stay.
    if mode == "RGB":
        assert (np.ptp((result - before)[INSIDE], axis=-1) <= 1).all()


def test_it_is_soft() -> None:
    pixels = samples(run_on(whole_photo(), Redact(), MIDDLE))[128:384, 128:384]
    assert max(np.abs(np.diff(pixels, axis=axis)).max() for axis in (0, 1)) < 255 / (256 / MAX_CELLS) * 1.1


def test_opaque_surroundings_make_an_opaque_fill() -> None:
    image = photo().convert("RGBA")
    image.putpixel((40, 30), (0, 0, 0, 0))
    assert (samples(run_on(image, Redact(), MIDDLE))[INSIDE][..., 3] == 255).all()
    clear = Image.new("RGBA", (96, 64), (200, 10, 10, 0))
    assert (samples(run_on(clear, Redact(), MIDDLE))[INSIDE] == 0).all()


@pytest.mark.parametrize("mode", MODES)
def test_of_a_whole_image_nothing_is_left(mode: str) -> None:
    one = samples(run_on(in_mode(mode), Redact()))
    blank = Image.new("I;16", (96, 64)) if mode == "I;16" else Image.new(mode, (96, 64))
    assert (one == samples(run_on(blank, Redact()))).all()
    assert 0 < one.std() < 0.5 * one.max()


def test_regions_that_touch_are_one() -> None:
    parts = (Region("box", 0.25, 0.25, 0.25, 0.5), Region("box", 0.5, 0.25, 0.25, 0.5))
    for count, regions in enumerate((parts, parts[::-1], (*parts, parts[0]), (MIDDLE, parts[1]))):
        assert (samples(run_on(photo(), Redact(), *regions)) == samples(run_on(photo(), Redact(), MIDDLE))).all(), count
    # The same box of two triangles.
    left, top, right, bottom = 0.25, 0.25, 0.75, 0.75
    one = Region.polygon([(left, top), (right, top), (right, bottom)])
    other = Region.polygon([(left, top), (left, bottom), (right, bottom)])
    assert (samples(run_on(photo(), Redact(), one, other)) == samples(run_on(photo(), Redact(), MIDDLE))).all()
    apart = (parts[0], Region("box", 0.52, 0.25, 0.23, 0.5))
    assert (
        samples(run_on(photo(), Redact(), *apart))[INSIDE] != samples(run_on(photo(), Redact(), MIDDLE))[INSIDE]
    ).any()


def test_regions_that_touch_by_a_corner_or_a_chain_are_one() -> None:
    raster = photo(90, 90)
    corner = (Region("box", 0, 0, 1 / 3, 1 / 3), Region("box", 1 / 3, 1 / 3, 1 / 3, 1 / 3))
    # The cells of the union begin at its corner: with it, the second one is filled otherwise.
    both, alone = (samples(run_on(raster, Redact(), *some))[30:60, 30:60] for some in (corner, corner[1:]))
    assert (both != alone).any()
    boxes = [Region("box", x / 10, 0.4, 0.1, 0.2) for x in range(10)]
    chain = [boxes[index] for index in (0, 4, 8, 2, 6, 1, 9, 3, 7, 5)]
    whole = Region("box", 0, 0.4, 1, 0.2)
    assert (samples(run_on(raster, Redact(), *chain)) == samples(run_on(raster, Redact(), whole))).all()


@pytest.mark.parametrize("other", [Solid("#ff0000"), None])
def test_what_other_regions_hide_is_not_read(other: Solid | None) -> None:
    beside = Region("box", 0.75, 0.25, 0.05, 0.5, effect=other) if other else Region("box", 0.77, 0.25, 0.05, 0.5)
    changed = photo()
    changed.paste((255, 0, 255), (75 if other is None else 72, 16, 76, 48))
    one, two = (samples(run_on(each, Redact(), MIDDLE, beside))[INSIDE] for each in (photo(), changed))
    assert (one == two).all()


def test_the_rest_as_one_region() -> None:
    result = samples(run_on(photo(), Redact(), MIDDLE, invert_regions=True))
    assert (result[INSIDE] == samples(photo())[INSIDE]).all()
    changed = Image.new("RGB", (96, 64), (1, 2, 3))
    changed.paste(photo().crop((24, 16, 72, 48)), (24, 16))
    assert (result == samples(run_on(changed, Redact(), MIDDLE, invert_regions=True))).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (3, 2), (7, 7)])
def test_any_size(size: tuple[int, int]) -> None:
    image = photo(*size)
    for regions in ((), (Region("box", 0, 0, 0.5, 0.5),), (Region("ellipse", 0, 0, 1, 1, feather=0.3),)):
        assert run_on(image, Redact(), *regions).size == size


def test_a_jpeg_shows_nothing_of_what_was_hidden() -> None:
    one, two = photo(), photo()
    two.paste((250, 0, 0), (32, 16, 64, 48))
    results = []
    for image in (one, two):
        data = encode(image, "JPEG", quality=95, subsampling="4:4:4")
        result = run(data, Redact(), Region("box", 1 / 3, 0.25, 1 / 3, 0.5))
        assert result.path == "jpeg-splice"
        results.append(samples(opened(result.data)))
    assert (results[0] == results[1]).all()


def test_a_cell_without_known_pixels_gets_those_of_its_neighbours() -> None:
    pixels = np.full((60, 60, 1), 200, np.uint8)
    known = np.zeros((60, 60), bool)
    known[:, :5] = True
    pixels[:, 5:] = 7
    filled = Redaction().fill(Raster("L", pixels), known, (0, 0, 60, 60)).samples
    assert np.abs(filled.astype(int) - 200).max() <= 0.07 * 255


def test_a_part_is_filled_as_in_the_whole() -> None:
    pixels = np.random.default_rng(5).integers(0, 256, (150, 90, 3), np.uint8)
    known = np.random.default_rng(6).random((150, 90)) < 0.5
    whole = Redaction().fill(Raster("RGB", pixels), known, (0, 0, 90, 150))
    part = Redaction().fill(Raster("RGB", pixels), known, (7, 20, 81, 149))
    assert (part.samples == whole.samples[20:149, 7:81]).all()
