"""Properties that hold for every image."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from services.blur_worker.engine import blur as blur_file
from services.blur_worker.engine.effects import pixel_effect
from services.blur_worker.engine.effects.gaussian import blur
from services.blur_worker.engine.raster import Raster, Samples
from services.blur_worker.engine.regions import bounding_box, input_box, region_mask
from services.common.domain.spec import BlurSpec, Effect, Gaussian, Pixelate, Region, Solid, Stroke
from tests.support.images import encode, opened, samples
from tests.unit.engine.running import LIMITS

SIGMAS = st.floats(0.05, 120)
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
EFFECTS = st.one_of(
    SIGMAS.map(Gaussian),
    st.integers(2, 50).map(Pixelate),
    st.just(Solid("#203040")),
    st.floats(0.01, 1).map(lambda s: Gaussian(s, True)),
)
FRACTIONS = st.floats(0, 0.9)


def pixels(channels: tuple[int, ...] = (1, 3), kind: type[np.unsignedinteger] = np.uint8) -> st.SearchStrategy[Samples]:
    shapes = st.tuples(st.integers(1, 48), st.integers(1, 48), st.sampled_from(channels))
    return shapes.flatmap(lambda shape: hnp.arrays(kind, shape))


@st.composite
def regions(draw: st.DrawFn) -> tuple[Region, ...]:
    found = []
    points = st.tuples(st.floats(0, 1), st.floats(0, 1))
    for _ in range(draw(st.integers(1, 3))):
        left, top = draw(FRACTIONS), draw(FRACTIONS)
        width, height = draw(st.floats(0.01, 1 - left)), draw(st.floats(0.01, 1 - top))
        edges = draw(st.sampled_from([0, 0.05])), draw(st.sampled_from([0, 0.1]))
        match draw(st.integers(0, 3)):
            case 0:
                region = Region("box", left, top, width, height, *edges)
            case 1:
                region = Region("ellipse", left, top, width, height, *edges)
            case 2:
                region = Region.polygon(draw(st.lists(points, min_size=3, max_size=5)), *edges)
            case _:
                stroke = Stroke(tuple(draw(st.lists(points, min_size=1, max_size=4))), width)
                region = Region.brush([stroke], *edges)
        found.append(region)
    return tuple(found)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 255), SIGMAS)
def test_a_constant_stays_constant(width: int, height: int, value: int, sigma: float) -> None:
    flat = np.full((height, width, 3), value, np.uint8)
    assert (blur(flat, sigma, alpha=False) == value).all()
    assert (blur(flat.astype(np.uint16) * 257, sigma, alpha=False) == value * 257).all()


@given(pixels(), SIGMAS)
def test_the_range_is_kept(before: Samples, sigma: float) -> None:
    after = blur(before, sigma, alpha=False)
    assert (after.min(axis=(0, 1)) >= before.min(axis=(0, 1))).all()
    assert (after.max(axis=(0, 1)) <= before.max(axis=(0, 1))).all()


@given(pixels(), SIGMAS)
def test_transposing_and_flipping_commute(before: Samples, sigma: float) -> None:
    after = blur(before, sigma, alpha=False).astype(int)
    transposed = blur(before.transpose(1, 0, 2), sigma, alpha=False).astype(int)
    assert np.abs(transposed.transpose(1, 0, 2) - after).max() <= 1
    # Downsampling starts at the top left: a flipped image is averaged in other groups.
    for flip in (np.s_[::-1], np.s_[:, ::-1], np.s_[::-1, ::-1]):
        flipped = blur(before[flip], sigma, alpha=False).astype(int)[flip]
        assert np.abs(flipped - after).max() <= 7
        assert np.abs(flipped - after).mean() <= 1.5


@given(pixels((2, 4)), SIGMAS)
def test_transparent_colours_do_not_matter(before: Samples, sigma: float) -> None:
    other = before.copy()
    other[..., :-1][before[..., -1] == 0] ^= 0xFF
    assert (blur(before, sigma, alpha=True) == blur(other, sigma, alpha=True)).all()


@given(pixels((1, 2, 3, 4)), EFFECTS)
def test_an_effect_keeps_mode_and_size(before: Samples, effect: Effect) -> None:
    raster = Raster(MODES[before.shape[2]], before)
    after = pixel_effect(effect, raster).apply(raster)
    assert after.mode == raster.mode
    assert (after.samples.shape, after.samples.dtype) == (before.shape, before.dtype)


@settings(max_examples=60)
@given(pixels((1, 2, 3, 4)), EFFECTS, regions(), st.booleans())
def test_pixels_outside_regions_stay(
    before: Samples, effect: Effect, where: tuple[Region, ...], inverted: bool
) -> None:
    image = Raster(MODES[before.shape[2]], before).to_pillow()
    spec = BlurSpec(effect, where, invert_regions=inverted)
    after = samples(opened(blur_file(encode(image, "PNG"), spec, LIMITS).data)).reshape(before.shape)
    outside = region_mask(spec, image.size) == 0
    assert (after[outside] == before[outside]).all()


@given(pixels((1, 3)), st.integers(2, 40), regions())
def test_a_part_gives_the_same_as_the_whole(before: Samples, cell: int, where: tuple[Region, ...]) -> None:
    raster = Raster(MODES[before.shape[2]], before)
    for effect in (Pixelate(cell), Gaussian(cell / 3)):
        pixels = pixel_effect(effect, raster)
        affected = bounding_box(region_mask(BlurSpec(effect, where), raster.size))
        assert affected
        box = input_box(affected, pixels, raster.size)
        part, whole = pixels.apply(raster.crop(box)).samples, pixels.apply(raster).samples
        left, top, right, bottom = affected
        inside = part[top - box[1] : bottom - box[1], left - box[0] : right - box[0]]
        assert (inside == whole[top:bottom, left:right]).all()
