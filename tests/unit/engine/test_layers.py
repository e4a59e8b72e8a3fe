"""Regions with effects of their own: the strongest wins where they overlap, and nothing undoes another."""

import itertools

import numpy as np
import pytest
from PIL import Image

from services.blur_worker.engine import blur
from services.blur_worker.engine.effects.strength import at_least, strength
from services.blur_worker.engine.layers import layers
from services.common.domain.spec import BlurSpec, Effect, Gaussian, Pixelate, Redact, Region, Solid
from tests.support.images import encode, opened, photo, samples
from tests.unit.engine.running import LEFT_HALF, LIMITS, MIDDLE, run, run_on

FROM_WEAK_TO_STRONG: list[Effect] = [
    Pixelate(2), Gaussian(2), Gaussian(5), Gaussian(0.1, relative=True), Pixelate(16), Redact(), Solid()
]  # fmt: skip
SIZE = (96, 64)


def region(left: float, width: float, effect: Effect | None = None, feather: float = 0) -> Region:
    return Region("box", left, 0.25, width, 0.5, feather=feather, effect=effect)


def test_the_order_of_strength() -> None:
    for weaker, stronger in itertools.pairwise(FROM_WEAK_TO_STRONG):
        assert strength(weaker, SIZE) < strength(stronger, SIZE)
        assert at_least(weaker, stronger, SIZE) == at_least(stronger, weaker, SIZE) == stronger


def test_regions_of_one_effect_are_one_layer() -> None:
    spec = BlurSpec(Gaussian(3), (region(0, 0.1), region(0.5, 0.1, Solid()), region(0.8, 0.1, Gaussian(3))))
    first, second = layers(spec, SIZE)
    assert (first.effect, second.effect) == (Solid(), Gaussian(3))
    assert second.box == (0, 16, 87, 48)


def test_effects_that_are_the_same_in_pixels_are_one_layer() -> None:
    spec = BlurSpec(Gaussian(3), (region(0, 0.5, Pixelate(8)), region(0.4, 0.5, Pixelate(0.125, relative=True))))
    (layer,) = layers(spec, SIZE)
    assert layer.box == (0, 16, 87, 48)


def test_each_region_has_its_effect() -> None:
    effects: list[Effect] = [Gaussian(4), Pixelate(8), Solid("#00ff00")]
    regions = [region(0.05 + 0.3 * index, 0.2, effect) for index, effect in enumerate(effects)]
    result = samples(run_on(photo(), Gaussian(0.3), *regions))
    for each, effect in zip(regions, effects, strict=True):
        left, right = round(each.left * 96 + 0.4), round((each.left + each.width) * 96 - 0.4)
        alone = samples(run_on(photo(), effect, each))
        # Their halos read what is hidden beside them; here, nothing is near.
        assert np.abs(result - alone)[16:48, left + 1 : right - 1].max() <= (2 if isinstance(effect, Gaussian) else 0)


@pytest.mark.parametrize(("weaker", "stronger"), list(itertools.combinations(FROM_WEAK_TO_STRONG, 2)))
def test_the_stronger_wins_in_any_order(weaker: Effect, stronger: Effect) -> None:
    regions = (region(0.1, 0.5, weaker), region(0.4, 0.5, stronger))
    one, two = (samples(run_on(photo(), Gaussian(1), *some)) for some in (regions, regions[::-1]))
    assert (one == two).all()
    if not isinstance(stronger, Redact):  # which leaves out what the other hides
        alone = samples(run_on(photo(), Gaussian(1), regions[1]))
        assert (one[16:48, 39:86] == alone[16:48, 39:86]).all()


@pytest.mark.parametrize("weak", [Gaussian(6), Gaussian(30), Pixelate(40)])
@pytest.mark.parametrize("strong", [Solid("#808080"), Redact()])
def test_a_weaker_effect_brings_nothing_back(weak: Effect, strong: Effect) -> None:
    beside = (region(0.1, 0.4, strong), region(0.5, 0.4, weak), region(0.3, 0.3, weak, feather=0.2))
    dark, bright = photo(), photo()
    for image, value in ((dark, 0), (bright, 255)):
        image.paste((value, value, value), (10, 16, 48, 48))
    one, two = (samples(run_on(image, Gaussian(2), *beside)) for image in (dark, bright))
    assert (one == two).all()


def test_the_later_of_two_fills_lies_above() -> None:
    regions = [region(0.1, 0.5, Solid("#ff0000")), region(0.4, 0.5, Solid("#0000ff"))]
    assert tuple(samples(run_on(photo(), Gaussian(2), *regions))[30, 50]) == (0, 0, 255)
    assert tuple(samples(run_on(photo(), Gaussian(2), *regions[::-1]))[30, 50]) == (255, 0, 0)


def test_a_feather_over_another_region_shows_none_of_the_original() -> None:
    regions = (region(0.1, 0.3, Solid("#ff0000"), feather=0.5), region(0.35, 0.5, Solid("#0000ff")))
    white, black = (Image.new("RGB", SIZE, color) for color in ("white", "black"))
    one, two = (samples(run_on(image, Gaussian(2), *regions))[16:48, 10:80] for image in (white, black))
    assert (one == two).all()


def test_inverted_regions_have_no_effect_of_their_own() -> None:
    own = Region("box", 0.25, 0.25, 0.5, 0.5, effect=Pixelate(8))
    one, two = (samples(run_on(photo(), Solid(), each, invert_regions=True)) for each in (own, MIDDLE))
    assert (one == two).all()


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
def test_several_effects_in_a_jpeg(subsampling: str) -> None:
    data = encode(photo(), "JPEG", quality=95, subsampling=subsampling)
    result = run(data, Gaussian(4), region(0.1, 0.2), region(0.35, 0.3, Solid("#00ff00")), region(0.7, 0.1, Redact()))
    assert result.path == "jpeg-splice"
    before, after = samples(opened(data)), samples(opened(result.data))
    assert (before[:14] == after[:14]).all()
    assert np.abs(after[24:40, 40:56] - (0, 255, 0)).max() <= 3
    whole = samples(opened(run(data, Gaussian(4), LEFT_HALF).data))
    assert np.abs(after[22:42, 14:22] - whole[22:42, 14:22]).mean() <= 3


def test_regions_far_apart_are_hidden_as_together(monkeypatch: pytest.MonkeyPatch) -> None:
    corners = [Region("box", left, top, 0.1, 0.1) for left in (0.05, 0.8) for top in (0.02, 0.85)]
    stronger = Region("ellipse", 0.1, 0.05, 0.3, 0.1, feather=0.02, effect=Gaussian(9))
    data = encode(photo(800, 600), "PNG")
    for effect in (Gaussian(4), Pixelate(16), Solid("#203040")):
        spec = BlurSpec(effect, (*corners, stronger))
        assert len([layer for layer in layers(spec, (800, 600)) if layer.effect == effect]) == 4
        apart = blur(data, spec, LIMITS).data
        for other in ((stronger, *corners[::-1]), (*corners, *corners, stronger)):
            assert blur(data, BlurSpec(effect, other), LIMITS).data == apart
        with monkeypatch.context() as patch:
            patch.setattr("services.blur_worker.engine.layers._MANY_REGIONS", 0)
            assert len(layers(spec, (800, 600))) == 2
            assert blur(data, spec, LIMITS).data == apart
