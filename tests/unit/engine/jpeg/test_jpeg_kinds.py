"""Kinds of JPEG that real programs write, and that were refused or came out wrong."""

import struct
from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from PIL.JpegImagePlugin import JpegImageFile
from scipy.ndimage import gaussian_filter1d

from services.common.domain.errors import ImageError, Reason
from services.common.domain.spec import Format, Gaussian, Region, Solid
from tests.support.images import encode, opened, photo, samples, whole_photo
from tests.unit.engine.reference import psnr
from tests.unit.engine.running import LIMITS, MIDDLE, run, run_on

CORNER = Region("box", 0, 0, 0.1, 0.1)


def blurred_as_shown(data: bytes, sigma: float) -> NDArray[np.float64]:
    """The float64 Gaussian of what libjpeg shows."""
    shown = np.asarray(opened(data).convert("RGB")).astype(np.float64)
    for axis in (0, 1):
        shown = gaussian_filter1d(shown, sigma, axis=axis, mode="reflect", truncate=6)
    return shown


def page() -> Image.Image:
    """Words, black on white."""
    image = Image.new("RGB", (640, 480), "white")
    draw = ImageDraw.Draw(image)
    for line in range(40):
        draw.text((8 + line % 3, 4 + 12 * line), "The quick brown fox jumps over the lazy dog, and on. " * 3, "black")
    return image


@pytest.mark.parametrize("sigma", [0.7, 1, 2, 3, 5, 8, 20])
@pytest.mark.parametrize("quality", [20, 50, 75])
def test_text_is_blurred_as_it_is_shown(quality: int, sigma: float) -> None:
    data = encode(page(), "JPEG", quality=quality)
    result = run(data, Gaussian(sigma), quality=100)
    assert result.path == "jpeg-coefficients"
    errors = samples(opened(result.data)) - blurred_as_shown(data, sigma)
    assert abs(errors.mean()) < 0.1
    assert np.abs(errors).max() <= 2.5


def test_progressive_text_is_blurred_as_it_is_shown() -> None:
    data = encode(page(), "JPEG", quality=30, progressive=True)
    for sigma in (2, 20):
        errors = samples(opened(run(data, Gaussian(sigma), quality=100).data)) - blurred_as_shown(data, sigma)
        assert np.abs(errors).max() <= 3
        assert abs(errors.mean()) < 0.1


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_clamped_blocks_are_turned_like_the_others(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = encode(page(), "JPEG", quality=20, exif=exif)
    upright = samples(opened(run(encode(page(), "JPEG", quality=20), Gaussian(3), quality=100).data))
    expected = {1: upright, 3: upright[::-1, ::-1], 6: np.rot90(upright, -1)}[orientation]
    assert np.abs(samples(opened(run(turned, Gaussian(3), quality=100).data)) - expected).max() <= 3


@pytest.mark.parametrize("size", [(17, 17), (31, 9), (5, 21), (16, 31)])
@pytest.mark.parametrize("sigma", [1, 3, 10])
def test_small_images_with_odd_sides(size: tuple[int, int], sigma: float) -> None:
    image = Image.fromarray(np.random.default_rng(2).integers(0, 256, (4, 4, 3), np.uint8)).resize(size)
    data = encode(image, "JPEG", quality=95)
    assert psnr(samples(opened(run(data, Gaussian(sigma)).data)), blurred_as_shown(data, sigma)) > 43
    exact = run(data, Gaussian(sigma), quality=100).data
    assert psnr(samples(opened(exact)), blurred_as_shown(data, sigma)) > 48


def sampled(h: int, v: int) -> bytes:
    """A JPEG whose luma has so many samples for each of chroma: a flat one, of which only the factors are changed."""
    data = bytearray(encode(photo(160, 128), "JPEG", quality=90, subsampling="4:2:0"))
    at = data.index(b"\xff\xc0")
    # The same blocks in another order: with 4 blocks of luma in an MCU as before.
    assert h * v == 4
    data[at + 11] = h << 4 | v
    return bytes(data)


@pytest.mark.parametrize(("h", "v"), [(4, 1), (1, 4)])
@pytest.mark.parametrize("sigma", [1, 5])
def test_chroma_that_viewers_repeat_is_blurred_smoothly(h: int, v: int, sigma: float) -> None:
    data = sampled(h, v)
    result = run(data, Gaussian(sigma), quality=100)
    assert psnr(samples(opened(result.data)), blurred_as_shown(data, sigma)) > 46


@pytest.mark.parametrize(("h", "v"), [(4, 1), (1, 4)])
@pytest.mark.parametrize("region", [MIDDLE, Region.polygon([(0.25, 0.25), (0.9, 0.3), (0.5, 0.9)])])
def test_a_region_of_chroma_that_viewers_repeat_is_smooth_and_the_rest_stays(h: int, v: int, region: Region) -> None:
    data = sampled(h, v)
    before, exact = samples(opened(data)), samples(run_on(opened(data).convert("RGB"), Gaussian(4), region))
    after = samples(opened(run(data, Gaussian(4), region).data))
    assert np.abs(after - exact).max() <= 5
    outside = (exact == before).all(axis=2)
    assert outside.any()
    assert np.abs(after - before)[outside].max() <= 3


def cmyk() -> Image.Image:
    picture = photo(100, 100)
    planes = [*picture.split(), picture.convert("L").rotate(90)]
    return Image.merge("CMYK", planes)


def test_inks_keep_their_resolution() -> None:
    data = encode(cmyk(), "JPEG", quality=75, subsampling="4:4:4")
    result = run(data, Solid(), CORNER)
    after, before = opened(result.data), opened(data)
    assert [component[1:3] for component in JpegImageFile(BytesIO(result.data)).layer] == [(1, 1)] * 4
    assert np.abs(samples(after) - samples(before))[18:, 18:].max() <= 2
    whole = samples(opened(run(data, Gaussian(2), quality=95).data))
    expected = np.asarray(before).astype(np.float64)
    for axis in (0, 1):
        expected = gaussian_filter1d(expected, 2, axis=axis, mode="reflect", truncate=6)
    assert np.abs(whole - expected).max() <= 6


def test_ycck_stays_what_it_is_outside_regions() -> None:
    # A CMYK file by Pillow, of which the colour transform is said to be YCCK.
    data = bytearray(encode(cmyk(), "JPEG", quality=90, subsampling="4:4:4"))
    data[data.index(b"Adobe") + 11] = 2
    result = run(bytes(data), Solid(), CORNER)
    assert np.abs(samples(opened(result.data)) - samples(opened(bytes(data))))[18:, 18:].max() <= 2


def test_rgb_stays_rgb_outside_regions() -> None:
    data = encode(photo(), "JPEG", quality=75, keep_rgb=True)
    result = run(data, Solid(), CORNER)
    assert np.abs(samples(opened(result.data)) - samples(opened(data)))[16:, 16:].max() <= 2


@pytest.mark.parametrize("progressive", [False, True])
def test_only_the_end_marker_is_missing(*, progressive: bool) -> None:
    data = encode(photo(), "JPEG", progressive=progressive)
    for cut in (data[:-2], data[:-1]):
        for target in (None, Format.PNG):
            for effect, regions in ((Gaussian(2), ()), (Solid(), (MIDDLE,))):
                assert (
                    run(cut, effect, *regions, output_format=target).data
                    == run(data, effect, *regions, output_format=target).data
                )
    for cut in (data[:-9], data[: len(data) // 2]):
        with pytest.raises(ImageError) as caught:
            run(cut)
        assert caught.value.reason is Reason.CORRUPT


@pytest.mark.parametrize("mode", ["CMYK", "RGB"])
@pytest.mark.parametrize("progressive", [False, True])
def test_only_the_end_marker_is_missing_of_other_colours(mode: str, *, progressive: bool) -> None:
    image, options = (cmyk(), {}) if mode == "CMYK" else (photo(), {"keep_rgb": True})
    data = encode(image, "JPEG", progressive=progressive, **options)
    for cut in (data[:-2], data[:-1]):
        for effect, regions in ((Gaussian(2), ()), (Solid(), (MIDDLE,))):
            assert run(cut, effect, *regions).data == run(data, effect, *regions).data
    with pytest.raises(ImageError) as caught:
        run(data[: len(data) // 2])
    assert caught.value.reason is Reason.CORRUPT


@pytest.mark.parametrize("color", ["#ff0000", "#10c0f0", "#000000"])
@pytest.mark.parametrize("quality", [1, 5, 50])
def test_a_fill_is_the_colour_whatever_the_divisors(quality: int, color: str) -> None:
    data = encode(whole_photo(), "JPEG", quality=quality)
    result = samples(opened(run(data, Solid(color), MIDDLE).data))
    wanted = [int(color[at : at + 2], 16) for at in (1, 3, 5)]
    assert np.abs(result[144:368, 144:368] - wanted).max() <= 3
    outside = np.ones(result.shape[:2], bool)
    outside[112:400, 112:400] = False
    assert (result[outside] == samples(opened(data))[outside]).all()


def with_frame(marker: int, *, bits: int = 8, components: int = 3, height: int = 64) -> bytes:
    """A JPEG whose frame header says so."""
    data = bytearray(encode(photo(), "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 1] = marker
    data[at + 4] = bits
    data[at + 5 : at + 7] = struct.pack(">H", height)
    data[at + 9] = components
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (with_frame(0xC1, bits=12), "JPEG of 12 bits"),
        (with_frame(0xC2, bits=12), "JPEG of 12 bits"),
        (with_frame(0xC3, bits=16), "lossless JPEG"),
        (with_frame(0xC5), "hierarchical JPEG"),
        (with_frame(0xF7), "JPEG-LS"),
        (with_frame(0xC0, components=2), "JPEG of 2 components"),
        (with_frame(0xC0, height=0), "height comes after"),
    ],
)
def test_what_is_not_supported_is_named(data: bytes, name: str) -> None:
    for effect, regions in ((Gaussian(2), ()), (Solid(), (MIDDLE,))):
        with pytest.raises(ImageError, match=name) as caught:
            run(data, effect, *regions)
        assert caught.value.reason is Reason.UNSUPPORTED


def refused(data: bytes, name: str) -> None:
    for effect, regions in ((Gaussian(2), ()), (Solid(), (MIDDLE,))):
        with pytest.raises(ImageError, match=name) as caught:
            run(data, effect, *regions)
        assert caught.value.reason is Reason.TOO_LARGE


def test_segments_are_counted() -> None:
    plain = encode(photo(), "JPEG")
    comment = b"\xff\xfe\0\2"
    scan = plain.index(b"\xff\xda")
    many = LIMITS.max_segments + 1
    refused(plain[:2] + comment * many + plain[2:], "segments")
    refused(plain[:2] + b"\xff" * many + plain[2:], "segments and fill bytes")
    progressive = encode(photo(), "JPEG", progressive=True)
    second = progressive.index(b"\xff\xda", progressive.index(b"\xff\xda") + 2)
    refused(progressive[:second] + comment * many + progressive[second:], "segments")
    refused(progressive[:second] + b"\xff" * 2 * many + progressive[second:], "fill bytes")
    assert run(plain[:scan] + comment * 1000 + plain[scan:], Solid(), MIDDLE).width == 96


def test_scans_are_counted() -> None:
    progressive = encode(photo(), "JPEG", progressive=True)
    last = progressive.rindex(b"\xff\xda")
    refused(progressive[:-2] + progressive[last:-2] * LIMITS.max_scans + b"\xff\xd9", "scans")
    # What looks like scans behind the end is none: a phone puts a film there.
    assert run(progressive + b"\xff\xda\0\2" * 1000, Solid(), MIDDLE).width == 96
