"""Regions of a JPEG whose other blocks are copied as bits: the result is what it would be if all were encoded again."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from services.blur_worker.engine import blur
from services.blur_worker.engine.jpeg import splice
from services.blur_worker.engine.jpeg.copied import CopiedJpeg
from services.common.domain.spec import BlurSpec, Effect, Gaussian, Pixelate, Redact, Region, Solid, Stroke
from tests.support.images import encode, opened, oriented, photo, samples
from tests.unit.engine.running import LIMITS, MIDDLE, run

EFFECTS: list[Effect] = [Gaussian(3), Pixelate(5), Solid("#c83c3c"), Redact()]
KINDS: list[dict[str, Any]] = [
    {"mode": "L"},
    {"subsampling": "4:4:4"},
    {"subsampling": "4:2:2"},
    {"subsampling": "4:2:0"},
    {"subsampling": "4:2:0", "quality": 100},
    {"subsampling": "4:2:0", "quality": 30},
    {"subsampling": "4:4:4", "restart_marker_blocks": 1},
    {"subsampling": "4:2:0", "restart_marker_blocks": 3},
    {"subsampling": "4:2:0", "restart_marker_rows": 1},
]


def picture(width: int, height: int, mode: str = "RGB", **options: Any) -> bytes:
    """A photograph with an edge as strong as can be."""
    image = photo(width, height)
    image.paste((255, 255, 255), (width // 3, 0, width // 2, height // 2))
    image.paste((0, 0, 0), (width // 2, 0, width // 2 + 5, height))
    return encode(image.convert(mode), "JPEG", **options)


def recoded(data: bytes, spec: BlurSpec, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """The result if all blocks are decoded, and encoded again."""
    with monkeypatch.context() as patch:
        patch.setattr(CopiedJpeg, "can_be_copied", lambda _self, **_: False)
        result = blur(data, spec, LIMITS)
    assert result.path == "jpeg-splice"
    return result.data


def copied(data: bytes, spec: BlurSpec, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """The result, of which bits are copied."""
    with monkeypatch.context() as patch:
        patch.delattr(splice, "RecodedJpeg")
        result = blur(data, spec, LIMITS)
    assert result.path == "jpeg-splice"
    return result.data


def some_regions(random: np.random.Generator) -> tuple[Region, ...]:
    shapes = []
    for _ in range(random.integers(1, 5)):
        left, top, width, height = random.random(4)
        edges = float(random.choice([0, 0.05])), float(random.choice([0, 0.1]))
        shape = random.choice(["box", "ellipse", "brush"])
        if shape == "brush":
            points = tuple((float(x), float(y)) for x, y in random.random((3, 2)))
            shapes.append(Region.brush([Stroke(points, float(random.uniform(0.01, 0.1)))], *edges))
        else:
            shapes.append(Region(shape, left, top, width * (1 - left), height * (1 - top), *edges))
    return tuple(shapes)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("effect", EFFECTS, ids=str)
@pytest.mark.parametrize("size", [(160, 96), (163, 101), (17, 40), (8, 8)])
def test_the_result_is_the_same_to_the_bit(
    kind: dict[str, Any], effect: Effect, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = picture(*size, **kind)
    random = np.random.default_rng(size[0] + len(str(kind)))
    for _ in range(4):
        spec = BlurSpec(effect, some_regions(random), invert_regions=bool(random.integers(4) == 0))
        if kind.get("quality") == 30 and isinstance(effect, Solid | Redact):
            expected = blur(data, spec, LIMITS).data  # its divisors become finer
        else:
            expected = copied(data, spec, monkeypatch)
        assert expected == recoded(data, spec, monkeypatch)
        assert opened(expected).size == size


def test_what_is_hidden_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    spec, results = BlurSpec(Solid("#102030"), (Region("box", 0.25, 0.25, 0.5, 0.5),)), []
    for seed in range(3):
        image = photo(128, 96)
        noise = np.random.default_rng(seed).integers(0, 256, (48, 64, 3), np.uint8)
        image.paste(Image.fromarray(noise), (32, 24))
        results.append(copied(encode(image, "JPEG", subsampling="4:4:4", restart_marker_rows=1), spec, monkeypatch))
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize(
    "options",
    [{"optimize": True}, {"progressive": True}, {"exif": oriented(6)}, {"exif": oriented(3)}],
    ids=["tables of its own", "progressive", "turned", "upside down"],
)
def test_other_files_are_encoded_again(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(photo(96, 64), "JPEG", **options)
    monkeypatch.setattr(splice, "CopiedJpeg", CopiedJpeg)
    monkeypatch.setattr(CopiedJpeg, "components", lambda *_: pytest.fail("copied"))
    assert run(data, Gaussian(3), MIDDLE).path == "jpeg-splice"


def test_own_tables_do_not_come_into_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    usual, own = (encode(photo(96, 64), "JPEG", optimize=optimize) for optimize in (False, True))
    assert usual != own
    spec = BlurSpec(Gaussian(3), (MIDDLE,))
    assert run(own, Gaussian(3), MIDDLE).data == copied(usual, spec, monkeypatch)


@pytest.mark.parametrize("where", [0.3, 0.6, 0.95])
def test_damage_is_found_in_what_is_copied(where: float, monkeypatch: pytest.MonkeyPatch) -> None:
    data, corner = picture(160, 96, subsampling="4:2:0", quality=90), Region("box", 0, 0, 0.1, 0.1)
    cut = data[: int(len(data) * where)].rstrip(b"\xff") + b"\xff\xd9"
    result = run(cut, Solid(), corner)
    with monkeypatch.context() as patch:
        patch.setattr(CopiedJpeg, "can_be_copied", lambda _self, **_: False)
        expected = run(cut, Solid(), corner)
    assert (result.path, result.data) == ("pixels", expected.data)


def test_several_effects_and_the_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    data = picture(320, 240, subsampling="4:2:0", quality=92)
    regions = (
        Region("box", 0.05, 0.05, 0.1, 0.1, effect=Redact()),
        Region("ellipse", 0.5, 0.5, 0.2, 0.2, 0, 0.05, Pixelate(8)),
        Region("box", 0.55, 0.55, 0.1, 0.1, effect=Gaussian(4)),
        Region("box", 0.9, 0, 0.1, 0.05, effect=Solid("#ff0000")),
    )
    spec = BlurSpec(Gaussian(2), regions)
    result = copied(data, spec, monkeypatch)
    assert result == recoded(data, spec, monkeypatch)
    one, other = samples(opened(data)), samples(opened(result))
    assert (one[100:110, :100] == other[100:110, :100]).all()
    assert (one[200:] == other[200:]).all()
