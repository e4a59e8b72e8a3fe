"""Regions of a JPEG: what they do not touch is, to the bit, what it was."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from services.blur_worker.engine.jpeg.decode.image import decode_sequential
from services.blur_worker.engine.jpeg.format.header_reader import HeaderReader
from services.blur_worker.engine.jpeg.transform.planes import plan_as_stored
from services.blur_worker.engine.regions import region_mask
from services.common.domain.spec import BlurSpec, Effect, Gaussian, Pixelate, Redact, Region, Solid, Stroke
from tests.support.images import encode, opened, photo, samples, whole_photo
from tests.unit.engine.jpeg.jpeg_planes import stored, turned
from tests.unit.engine.reference import psnr
from tests.unit.engine.running import LEFT_HALF, MIDDLE, run

EFFECTS = [Gaussian(5), Pixelate(8), Solid("#00ff00")]
FILES: list[dict[str, Any]] = [
    {"subsampling": "4:4:4", "quality": 100},
    {"subsampling": "4:2:2", "quality": 60},
    {"subsampling": "4:2:0", "optimize": True},
    {"subsampling": "4:2:0", "restart_marker_blocks": 5},
]


def coefficients(data: bytes) -> list[NDArray[np.float32]]:
    """(rows, 64, columns) of each component."""
    reader = HeaderReader(data)
    frame, scan = reader.first_scan()
    stored = plan_as_stored(frame, 1)
    decode_sequential(reader, frame, scan, stored)
    return [plane.values.reshape(plane.rows, 64, plane.columns) for plane in stored.planes]


@pytest.mark.parametrize("options", FILES)
@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("size", [(96, 64), (99, 61)])
def test_blocks_that_are_not_touched_stay(options: dict[str, Any], effect: Effect, size: tuple[int, int]) -> None:
    data = encode(photo(*size), "JPEG", **options)
    result = run(data, effect, Region("box", 0.5, 0.5, 0.2, 0.2))
    assert (result.path, result.width, result.height) == ("jpeg-splice", *size)
    left, top = int(0.5 * size[0]), int(0.5 * size[1])
    for before, after in zip(coefficients(data), coefficients(result.data), strict=True):
        side = 8 * round(size[0] / before.shape[2] / 8)
        changed = (before != after).any(axis=1)
        assert changed.any()
        assert not changed[: top // side].any()
        assert not changed[:, : left // side].any()
    # libjpeg draws chroma out of neighbouring samples too: a pixel beyond the blocks may see what they are now.
    one, other = (np.asarray(opened(each)).astype(int) for each in (data, result.data))
    assert (one[: top // 16 * 16 - 1] == other[: top // 16 * 16 - 1]).all()
    assert (one[:, : left // 16 * 16 - 1] == other[:, : left // 16 * 16 - 1]).all()
    luma = stored(data) != stored(result.data)
    assert not luma[: top // 8 * 8].any()
    assert not luma[:, : left // 8 * 8].any()


@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_inside_it_looks_like_the_effect(effect: Effect, mode: str) -> None:
    image = photo().convert(mode)
    data = encode(image, "JPEG", quality=95)
    inside = samples(opened(run(data, effect, MIDDLE).data))[16:48, 24:72]
    whole = samples(opened(run(data, effect, quality=95).data))[16:48, 24:72]
    # Colours of the outside reach in by a sample of chroma.
    assert psnr(inside[4:-4, 4:-4], whole[4:-4, 4:-4]) > 38


def test_inverted_and_soft_regions() -> None:
    data = encode(whole_photo(), "JPEG", quality=92)
    region = Region("ellipse", 0.3, 0.1, 0.3, 0.4, feather=0.05)
    result = run(data, Gaussian(8), region, invert_regions=True)
    assert result.path == "jpeg-splice"
    before, after = samples(opened(data)), samples(opened(result.data))
    assert (before[128:208, 200:256] == after[128:208, 200:256]).all()
    assert psnr(before[400:], after[400:]) < 32


def test_regions_that_touch_nothing_visible_change_nothing() -> None:
    data = encode(photo(), "JPEG")
    result = run(data, Gaussian(5), Region("box", 0, 0, 1, 1), invert_regions=True)
    assert all((one == other).all() for one, other in zip(coefficients(data), coefficients(result.data), strict=True))


@pytest.mark.parametrize("quality", [75, 100])
def test_a_filled_block_tells_nothing_of_what_it_hid(quality: int) -> None:
    dark, bright = photo().point([value // 2 for value in range(256)] * 3), photo().point([200] * 768)
    one, other = (
        coefficients(run(encode(image, "JPEG", quality=quality), Solid("#336699"), Region("box", 0, 0, 0.5, 1)).data)
        for image in (dark, bright)
    )
    for first, second in zip(one, other, strict=True):
        assert (first[:, :, : first.shape[2] // 2] == second[:, :, : first.shape[2] // 2]).all()


def with_orientation(data: bytes, orientation: int) -> bytes:
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0" + bytes([orientation]) + bytes(6)
    return data[:2] + b"\xff\xe1" + (2 + len(exif)).to_bytes(2, "big") + exif + data[2:]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("progressive", [False, True])
def test_turned_and_turned_back_nothing_has_changed(orientation: int, subsampling: str, progressive: bool) -> None:
    # With quantization tables that are other ones when transposed.
    tables = [list(range(1 + start, 65 + start)) for start in (0, 30)]
    data = encode(photo(96, 64), "JPEG", qtables=tables, subsampling=subsampling, progressive=progressive)
    nothing = Region("box", 0, 0, 1, 1)
    upright = run(with_orientation(data, orientation), Solid(), nothing, invert_regions=True)
    assert (upright.path, upright.width, upright.height) == (
        "jpeg-splice",
        *((96, 64) if orientation < 5 else (64, 96)),
    )
    # libjpeg rounds differently in a block that lies otherwise.
    assert np.abs(stored(upright.data) - turned(stored(data), orientation)).max() <= 1
    back = {6: 8, 8: 6}.get(orientation, orientation)
    again = run(with_orientation(upright.data, back), Solid(), nothing, invert_regions=True)
    assert again.path == "jpeg-splice"
    assert (samples(opened(again.data)) == samples(opened(data))).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize(
    "region",
    [
        Region("ellipse", 0.1, 0.5, 0.6, 0.4, feather=0.1),
        Region.polygon([(0.1, 0.6), (0.7, 0.5), (0.4, 0.9)], padding=0.05),
        Region.brush([Stroke(((0.2, 0.2), (0.2, 0.8)), 0.2), Stroke(((0.9, 0.1),), 0.1)]),
    ],
    ids=["ellipse", "polygon", "brush"],
)
def test_regions_are_those_of_the_upright_picture(orientation: int, effect: Effect, region: Region) -> None:
    data = encode(photo(96, 64), "JPEG", quality=95)
    result = run(with_orientation(data, orientation), effect, region)
    assert result.path == "jpeg-splice"
    before, after = turned(stored(data), orientation), stored(result.data)
    mask = region_mask(BlurSpec(effect, (region,)), (result.width, result.height))
    touched = np.kron(mask.reshape(len(mask) // 8, 8, -1, 8).any(axis=(1, 3)), np.ones((8, 8)))
    assert np.abs(after - before)[touched == 0].max() <= 1
    # The same picture, upright from the beginning.
    usual = encode(Image.fromarray(before.astype(np.uint8)), "JPEG", quality=98)
    expected = stored(run(usual, effect, region).data) if not isinstance(effect, Solid) else np.full(before.shape, 150)
    assert psnr(after[mask == 255], expected[mask == 255]) > 40


@pytest.mark.parametrize(
    ("size", "orientation", "path"),
    [
        ((97, 61), 1, "jpeg-splice"),
        ((97, 61), 5, "jpeg-splice"),
        ((97, 64), 4, "jpeg-splice"),
        ((97, 64), 6, "jpeg-splice"),
        ((96, 61), 2, "jpeg-splice"),
        ((96, 61), 8, "jpeg-splice"),
        ((97, 64), 2, "pixels"),
        ((96, 61), 3, "pixels"),
        ((104, 64), 3, "pixels"),
        ((96, 61), 6, "pixels"),
        ((97, 64), 8, "pixels"),
    ],
)
def test_turned_only_where_no_block_is_cut_through(size: tuple[int, int], orientation: int, path: str) -> None:
    data = with_orientation(encode(photo(*size), "JPEG", subsampling="4:2:0"), orientation)
    result = run(data, Solid("#00ff00"), LEFT_HALF)
    assert (result.path, result.width, result.height) == (path, *(size if orientation < 5 else size[::-1]))
    right = stored(result.data)[:, 16 + result.width // 2 :]
    assert np.abs(right - turned(stored(data), orientation)[:, 16 + result.width // 2 :]).max() <= (
        1 if path != "pixels" else 12
    )


def test_files_that_go_another_way() -> None:
    data = encode(photo(), "JPEG", keep_rgb=True)
    assert run(data, Gaussian(5), LEFT_HALF).path == "pixels"


def test_black_at_the_highest_quality_has_its_code() -> None:
    image = Image.new("L", (64, 64))
    image.paste(255, (8, 8, 24, 64))
    data = encode(image, "JPEG", quality=100)
    result = run(data, Solid("#808080"), Region("box", 0.5, 0, 0.5, 1))
    assert result.path == "jpeg-splice"
    assert (stored(result.data)[:, :32] == stored(data)[:, :32]).all()


@pytest.mark.parametrize("size", [(24, 24), (31, 64), (96, 17)])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("effect", [Gaussian(3), Pixelate(4), Redact(), Solid("#c83c3c")])
def test_colours_of_small_images(size: tuple[int, int], subsampling: str, effect: Effect) -> None:
    data = encode(Image.new("RGB", size, (200, 60, 60)), "JPEG", quality=95, subsampling=subsampling)
    result = run(data, effect, MIDDLE)
    assert result.path == "jpeg-splice"
    # Redact is lighter and darker by a twentieth of white.
    assert np.abs(samples(opened(result.data)) - samples(opened(data))).max() <= (18 if effect == Redact() else 4)


def test_finer_divisors_depend_on_nothing_that_is_hidden() -> None:
    def with_hidden(grey: int) -> bytes:
        image = photo(96, 64).convert("L")
        image.paste(grey, (32, 16, 64, 48))
        # Of black and white, coefficients for a divisor of 1 would have no codes.
        return encode(image, "JPEG", qtables=[[89] * 64])

    region = Region("box", 1 / 3, 1 / 4, 1 / 3, 1 / 2)
    grey, *others = (run(with_hidden(each), Solid("#646464"), region) for each in (128, 0, 255))
    assert grey.path == "jpeg-splice"
    assert [other.data for other in others] == [grey.data] * 2
    assert np.abs(samples(opened(grey.data))[16:48, 32:64].astype(int) - 100).max() <= 3
