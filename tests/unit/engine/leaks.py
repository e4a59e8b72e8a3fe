"""Random images, regions and effects, and what must hold for all of them: nothing hidden shows.

`python -m tests.unit.engine.leaks --cases 10000` runs more cases than the tests do.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from services.blur_worker.engine import blur
from services.blur_worker.engine.effects import pixel_effect
from services.blur_worker.engine.formats.png.write import write_png
from services.blur_worker.engine.layers import Layer, layers
from services.blur_worker.engine.outlines import Mask
from services.blur_worker.engine.raster import Raster, Samples
from services.blur_worker.engine.regions import region_mask
from services.common.domain.spec import BlurSpec, Effect, Gaussian, Outline, Pixelate, Redact, Region, Solid, Stroke
from tests.support.images import encode, opened, oriented
from tests.unit.engine.running import LIMITS

LOSSLESS = (
    "PNG L",
    "PNG LA",
    "PNG RGB",
    "PNG RGBA",
    "PNG 16",
    "TIFF CMYK",
    "TIFF RGB",
    "BMP RGB",
    "WEBP RGB",
    "WEBP RGBA",
)
JPEG = ("JPEG L", "JPEG 4:4:4", "JPEG 4:2:0", "JPEG progressive", "JPEG CMYK")
_CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4, "16": 1, "4:4:4": 3, "4:2:0": 3, "progressive": 3}
_UNDO = {6: 8, 8: 6}

_Pixels = NDArray[np.bool_]
"""Shape (height, width)."""


@dataclass(frozen=True)
class Case:
    """An image as displayed, and what is done to it."""

    kind: str
    samples: Samples
    spec: BlurSpec
    orientation: int = 1
    seed: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as displayed."""
        return self.samples.shape[1], self.samples.shape[0]

    @cached_property
    def layers(self) -> list[Layer]:
        """What hides it."""
        return layers(self.spec, self.size)

    def hidden_by(self, *effects: type[Effect]) -> _Pixels:
        """The pixels that an effect of these kinds hides entirely."""
        found: _Pixels = self._masks(effects) == 255
        return found

    def touched_by(self, *effects: type[Effect]) -> _Pixels:
        """The pixels that an effect of these kinds hides, entirely or in part."""
        found: _Pixels = self._masks(effects) > 0
        return found

    def _masks(self, effects: tuple[type[Effect], ...]) -> Mask:
        found = np.zeros(self.samples.shape[:2], np.uint8)
        for layer in self.layers:
            if isinstance(layer.effect, effects):
                left, top, right, bottom = layer.box
                part = found[top:bottom, left:right]
                np.maximum(part, layer.mask, out=part)
        return found

    def file(self, samples: Samples | None = None) -> bytes:
        """The image, or one of other samples, as a file."""
        format_, variant = self.kind.split()
        stored = Raster("?", self.samples if samples is None else samples).oriented(
            _UNDO.get(self.orientation, self.orientation)
        )
        pixels = np.ascontiguousarray(stored.samples)
        if variant == "16":
            return write_png([Raster("L", pixels)], [0], plays=0, metadata=[])
        mode = variant if variant in {"L", "LA", "RGB", "RGBA", "CMYK"} else "RGB"
        image = Image.frombytes(mode, (pixels.shape[1], pixels.shape[0]), pixels.tobytes())
        if format_ == "JPEG":
            sampling = (
                {}
                if len(image.getbands()) == 1 or mode == "CMYK"
                else {"subsampling": "4:2:0" if variant == "4:2:0" else "4:4:4"}
            )
            progressive = variant == "progressive"
            return encode(
                image, "JPEG", quality=90, progressive=progressive, exif=oriented(self.orientation), **sampling
            )
        return encode(image, format_, **({"lossless": True, "exact": True} if format_ == "WEBP" else {}))

    def blurred(self, samples: Samples | None = None, spec: BlurSpec | None = None) -> bytes:
        """The result for this image, or for one of other samples, or with another spec."""
        return blur(self.file(samples), spec or self.spec, LIMITS).data

    def changed(self, where: _Pixels) -> Samples:
        """Other samples: random where pixels may change."""
        noise = np.random.default_rng(self.seed + 1).integers(
            0, np.iinfo(self.samples.dtype).max + 1, self.samples.shape
        )
        return np.where(where[:, :, np.newaxis], noise.astype(self.samples.dtype), self.samples)


def effects(*, solids: tuple[str, ...] = ("#000000", "#30a0f0")) -> st.SearchStrategy[Effect]:
    return st.one_of(
        st.sampled_from([0.4, 1.5, 4.0, 9.0, 40.0]).map(Gaussian),
        st.sampled_from([0.02, 0.3]).map(lambda sigma: Gaussian(sigma, relative=True)),
        st.sampled_from([2, 3, 8, 50]).map(Pixelate),
        st.sampled_from([0.05, 0.5]).map(lambda cell: Pixelate(cell, relative=True)),
        st.sampled_from(solids).map(Solid),
        st.just(Redact()),
        st.just(Redact()),
    )


@st.composite
def regions(draw: st.DrawFn, effect: st.SearchStrategy[Effect]) -> Region:
    edges = (
        draw(st.sampled_from([0, 0, 0.05])),
        draw(st.sampled_from([0, 0, 0.1, 0.5])),
        draw(st.one_of(st.none(), effect)),
    )
    shape: Outline = draw(st.sampled_from(["box", "ellipse", "polygon", "brush"]))
    points = st.tuples(st.floats(0, 1), st.floats(0, 1))
    if shape == "polygon":
        return Region.polygon(draw(st.lists(points, min_size=3, max_size=6)), *edges)
    if shape == "brush":
        strokes = st.builds(Stroke, st.lists(points, min_size=1, max_size=4).map(tuple), st.floats(0.01, 0.4))
        return Region.brush(draw(st.lists(strokes, min_size=1, max_size=2)), *edges)
    left, top = draw(st.floats(0, 0.9)), draw(st.floats(0, 0.9))
    return Region(shape, left, top, draw(st.floats(0.01, 1)) * (1 - left), draw(st.floats(0.01, 1)) * (1 - top), *edges)


@st.composite
def cases(draw: st.DrawFn, kinds: tuple[str, ...], effect: st.SearchStrategy[Effect] | None = None) -> Case:
    kind = draw(st.sampled_from(kinds))
    effect = effects() if effect is None else effect
    width, height, seed = draw(st.integers(1, 70)), draw(st.integers(1, 70)), draw(st.integers(0, 2**20))
    spec = BlurSpec(
        draw(effect),
        tuple(draw(st.lists(regions(effect), min_size=1, max_size=5))),
        invert_regions=draw(st.sampled_from([False, False, False, True])),
    )
    random = np.random.default_rng(seed)
    largest = 65535 if kind == "PNG 16" else 255
    coarse = random.integers(0, largest + 1, (height // 8 + 1, width // 8 + 1, _CHANNELS[kind.split()[1]]))
    smooth = coarse.repeat(8, 0).repeat(8, 1)[:height, :width]
    noise = random.integers(-largest // 10, largest // 10, smooth.shape)
    samples: Samples = (smooth + noise).clip(0, largest).astype(np.uint16 if kind == "PNG 16" else np.uint8)
    orientation = draw(st.integers(1, 8)) if kind.startswith("JPEG") else 1
    return Case(kind, samples, spec, orientation, seed)


def solid_and_redact_show_nothing(case: Case) -> None:
    """Whatever else hides the image beside or below: pixels that Solid or Redact hides change nothing."""
    hidden = case.hidden_by(Solid, Redact)
    if case.kind.startswith("JPEG"):
        hidden = _whole_blocks(case, hidden)
    event(f"hidden: {hidden.any()}")
    if hidden.any():
        assert case.blurred() == case.blurred(case.changed(hidden))


def the_order_of_regions_says_nothing(case: Case) -> None:
    """Nor does naming one twice."""
    expected = case.blurred()
    mixed = list(case.spec.regions)
    np.random.default_rng(case.seed).shuffle(mixed)
    for other in (case.spec.regions[::-1], mixed, (*mixed, mixed[0])):
        assert case.blurred(spec=replace(case.spec, regions=tuple(other))) == expected


def the_rest_stays(case: Case) -> None:
    """To the bit."""
    outside = region_mask(case.spec, case.size) == 0
    after = _samples(case.blurred(), case)
    assert (after[outside] == case.samples[outside]).all()


def solid_is_seen(case: Case) -> None:
    """Where regions overlap, no weaker effect covers or mixes with a fill."""
    color = next((layer.effect.color for layer in case.layers if isinstance(layer.effect, Solid)), None)
    if color is None:
        return
    filled = case.blurred(spec=BlurSpec(Solid(color)))
    hidden = case.hidden_by(Solid)
    assert (_samples(case.blurred(), case)[hidden] == _samples(filled, case)[hidden]).all()


def pixelate_shows_only_sums(case: Case) -> None:
    """Pixels of a cell that is hidden as a whole may change places."""
    if any(isinstance(layer.effect, Gaussian) for layer in case.layers):
        return  # which may read the pixels themselves, where they are hidden by a weaker effect
    cells = {layer.effect for layer in case.layers if isinstance(layer.effect, Pixelate)}
    if len(cells) != 1:
        return
    swapped = case.samples.copy()
    _turn_cells(swapped, case.hidden_by(Pixelate) & ~case.touched_by(Solid, Redact), cells.pop().cell_px(*case.size))
    event(f"swapped: {(swapped != case.samples).any()}")
    assert case.blurred() == case.blurred(swapped)


def gaussian_reaches_no_further_than_its_kernel(case: Case) -> None:
    """A pixel that changes, and is hidden, changes nothing beyond the widest kernel or cell."""
    ys, xs = np.nonzero(case.hidden_by(Gaussian, Pixelate))
    if not len(ys):
        return
    at = case.seed % len(ys)
    one = np.zeros(case.samples.shape[:2], np.bool_)
    one[ys[at], xs[at]] = True
    raster = Raster("?", case.samples)
    reaches = [pixel_effect(layer.effect, raster) for layer in case.layers]
    # One effect may read what another one has written.
    reach = sum(each.margin + each.grid for each in reaches)
    before, after = _samples(case.blurred(), case), _samples(case.blurred(case.changed(one)), case)
    different = np.argwhere((before != after).any(axis=2))
    assert (np.abs(different - (ys[at], xs[at])) <= reach).all()


PROPERTIES: dict[str, tuple[Callable[[Case], None], st.SearchStrategy[Case]]] = {
    "solid and redact show nothing": (solid_and_redact_show_nothing, cases(LOSSLESS)),
    "solid and redact show nothing in JPEGs": (solid_and_redact_show_nothing, cases(JPEG)),
    "the order says nothing": (the_order_of_regions_says_nothing, cases(LOSSLESS + JPEG, effects(solids=("#102030",)))),
    "the rest stays": (the_rest_stays, cases(LOSSLESS)),
    "solid is seen": (solid_is_seen, cases(LOSSLESS, effects(solids=("#30a0f0",)))),
    "pixelate shows only sums": (
        pixelate_shows_only_sums,
        cases(
            ("PNG L", "PNG RGB", "PNG 16", "TIFF CMYK"), st.sampled_from([Pixelate(2), Pixelate(8), Redact(), Solid()])
        ),
    ),
    "gaussian reaches no further than its kernel": (
        gaussian_reaches_no_further_than_its_kernel,
        cases(("PNG L", "PNG RGB")),
    ),
}


def check(name: str, examples: int) -> None:
    """Run a property for so many cases."""
    holds, strategy = PROPERTIES[name]

    @settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        phases=[Phase.generate, Phase.shrink],
    )
    @given(strategy)
    def run(case: Case) -> None:
        holds(case)

    run()


def _whole_blocks(case: Case, hidden: _Pixels) -> _Pixels:
    """Return the pixels of the JPEG's blocks of which all are hidden: blocks beside them decode as before."""
    undo = _UNDO.get(case.orientation, case.orientation)
    stored = _oriented(hidden, undo)
    side = 16 if case.kind == "JPEG 4:2:0" else 8
    rows, columns = (-(-length // side) for length in stored.shape)
    # Chroma of 4:2:0 is interpolated: pixels beside a block depend on it.
    beyond = 2 if side == 16 else 0
    padded = np.pad(
        stored,
        ((beyond, rows * side - len(stored) + beyond), (beyond, columns * side - stored.shape[1] + beyond)),
        constant_values=True,
    )
    found = np.zeros((rows * side, columns * side), np.bool_)
    for row in range(rows):
        for column in range(columns):
            top, left = row * side, column * side
            if padded[top : top + side + 2 * beyond, left : left + side + 2 * beyond].all():
                found[top : top + side, left : left + side] = True
    return _oriented(found[: stored.shape[0], : stored.shape[1]], case.orientation)


def _oriented(pixels: _Pixels, orientation: int) -> _Pixels:
    return Raster("?", pixels[:, :, np.newaxis].astype(np.uint8)).oriented(orientation).samples[:, :, 0] > 0


def _turn_cells(samples: Samples, hidden: _Pixels, side: int) -> None:
    for top in range(0, samples.shape[0], side):
        for left in range(0, samples.shape[1], side):
            cell = np.s_[top : top + side, left : left + side]
            if hidden[cell].all():
                samples[cell] = samples[cell][::-1, ::-1].copy()


def _samples(data: bytes, case: Case) -> Samples:
    image = opened(data)
    # An opaque WebP has no alpha.
    return np.asarray(image.convert("RGBA") if case.kind == "WEBP RGBA" else image).reshape(case.samples.shape)


def main() -> None:
    """Run all properties."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    cases_each = -(-parser.parse_args().cases // len(PROPERTIES))
    for name in PROPERTIES:
        check(name, cases_each)
        print(f"{name}: {cases_each:,} cases", flush=True)


if __name__ == "__main__":
    main()
