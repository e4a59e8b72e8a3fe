"""Kinds of TIFF that Pillow reads wrongly or not at all, against what their samples mean."""

import lzma
import zlib
from io import BytesIO

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from services.common.domain.errors import ImageError, Reason
from services.common.domain.spec import Format, Gaussian, Region, Solid
from tests.support.images import encode, encode_frames, opened, photo, samples
from tests.unit.engine.formats.tiff_maker import LONG, SHORT, make_tiff
from tests.unit.engine.running import LIMITS, run

CORNER = Region("box", 0, 0, 0.1, 0.1)
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, MASK, CMYK, YCBCR = range(7)


def photo_of(bits: int, channels: int = 1) -> NDArray[np.integer]:
    """The photograph with samples of so many bits, noise in the lower ones."""
    wide = np.asarray(photo(43, 31).convert("CMYK" if channels == 4 else "RGB")).astype(np.int64)[..., :channels]
    noisy = wide * 257 + np.random.default_rng(4).integers(-128, 128, wide.shape)
    return noisy.clip(0, 65535) >> (16 - bits)


def shown(data: bytes) -> NDArray[np.int64]:
    """The result as a 16-bit or 8-bit PNG, one corner hidden; shape (height, width, channels)."""
    result = opened(run(data, Solid("#000000"), CORNER, output_format=Format.TIFF).data)
    found = np.asarray(result).astype(np.int64)
    return found if found.ndim == 3 else found[..., np.newaxis]


def same(data: bytes, expected: NDArray[np.integer], tolerance: int = 0) -> None:
    found = shown(data)
    assert found.shape == expected.shape
    assert np.abs(found - expected)[4:, 5:].max() <= tolerance


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [1, 2, 3, 4, 6, 8, 10, 12, 14, 16])
@pytest.mark.parametrize("photometric", [WHITE_IS_ZERO, BLACK_IS_ZERO])
def test_grey_of_any_depth(bits: int, photometric: int, order: str) -> None:
    before = photo_of(bits)
    full = 255 if bits <= 8 else 65535
    most = (1 << bits) - 1
    expected = np.rint(before * full / most).astype(np.int64)
    same(
        make_tiff(before, bits=bits, photometric=photometric, order=order),
        full - expected if photometric == WHITE_IS_ZERO else expected,
        1 if bits not in {1, 2, 4, 8, 16} else 0,
    )


def test_grey_of_12_bits_is_not_dark_as_a_jpeg() -> None:
    before = photo_of(12)
    result = run(make_tiff(before, bits=12, photometric=BLACK_IS_ZERO), Gaussian(0.1), output_format=Format.JPEG)
    assert np.abs(samples(opened(result.data).convert("L")) - before[..., 0] / 16).mean() < 4


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("planar", [False, True])
def test_colours_in_every_arrangement(order: str, *, planar: bool, big: bool) -> None:
    before = photo_of(8, 3)
    same(make_tiff(before, bits=8, photometric=RGB, order=order, planar=planar, big=big), before)


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("kind", [0, 1, 2])
def test_what_the_sample_beyond_the_colours_is(kind: int, *, planar: bool) -> None:
    alpha = np.linspace(1, 255, 31 * 43).reshape(31, 43).astype(np.int64)
    grey = photo_of(8)[..., 0]
    stored = np.rint(grey * alpha / 255).astype(np.int64) if kind == 1 else grey
    data = make_tiff(
        np.stack([stored, alpha], axis=2),
        bits=8,
        photometric=BLACK_IS_ZERO,
        planar=planar,
        extra={338: (SHORT, [kind])},
    )
    if kind == 0:
        same(data, grey[..., np.newaxis])
        return
    found = shown(data)
    assert (found[4:, 5:, 1] == alpha[4:, 5:]).all()
    # A premultiplied colour is known as finely as its alpha allows.
    assert (np.abs(found[..., 0] - grey) <= (128 / alpha + 1 if kind == 1 else 0))[4:, 5:].all()


def test_associated_alpha_of_16_bits_keeps_them() -> None:
    alpha = np.full((31, 43, 1), 40_000)
    before = photo_of(16, 3)
    stored = np.concatenate([np.rint(before * 40_000 / 65535).astype(np.int64), alpha], axis=2)
    result = run(
        make_tiff(stored, bits=16, photometric=RGB, extra={338: (SHORT, [1])}),
        Solid(),
        CORNER,
        output_format=Format.PNG,
    )
    assert result.data[24:26] == b"\x10\x06"
    again = run(result.data, Solid(), CORNER, output_format=Format.TIFF).data
    with tifffile.TiffFile(BytesIO(again)) as file:
        assert np.abs(file.pages[0].asarray()[..., :3].astype(np.int64) - before)[4:, 5:].max() <= 1


@pytest.mark.parametrize("largest", [255, 65535])
def test_a_palette_of_8_bit_values(largest: int) -> None:
    colors = np.random.default_rng(1).integers(0, 256, (256, 3))
    colors[0] = (255, 0, 255)
    indices = photo_of(8)
    table = (colors * (1 if largest == 255 else 257)).T.ravel().tolist()
    data = make_tiff(indices, bits=8, photometric=PALETTE, extra={320: (SHORT, table)})
    same(data, colors[indices[..., 0]])


def test_inks_with_opaque_alpha_are_read_and_with_another_are_named() -> None:
    inks = photo_of(8, 4)
    for alpha, readable in ((255, True), (128, False)):
        data = make_tiff(
            np.concatenate([inks, np.full((31, 43, 1), alpha)], axis=2),
            bits=8,
            photometric=CMYK,
            extra={338: (SHORT, [2])},
        )
        if readable:
            found = shown(data)
            assert (found[4:, 5:] == inks[4:, 5:]).all()
        else:
            unsupported(data, "CMYK with transparency")


@pytest.mark.parametrize(("across", "down"), [(1, 1), (2, 1), (2, 2), (4, 2)])
def test_ycbcr_that_is_not_compressed(across: int, down: int) -> None:
    width, height = 40, 24
    ycbcr = np.asarray(photo(width, height).convert("YCbCr")).astype(np.int64)
    coarse = ycbcr[::down, ::across, 1:]
    units = [
        bytes(ycbcr[y * down : (y + 1) * down, x * across : (x + 1) * across, 0].ravel().tolist())
        + bytes(coarse[y, x].tolist())
        for y in range(height // down)
        for x in range(width // across)
    ]
    data = make_tiff(ycbcr, bits=8, photometric=YCBCR, strips=[b"".join(units)], extra={530: (SHORT, [across, down])})
    full = np.repeat(np.repeat(coarse, down, axis=0), across, axis=1)
    stored = np.concatenate([ycbcr[..., :1], full], axis=2).astype(np.uint8)
    expected = np.asarray(Image.fromarray(stored, "YCbCr").convert("RGB")).astype(np.int64)
    same(data, expected, 1)


def compressed(samples_: NDArray[np.integer], number: int) -> list[bytes]:
    raw = samples_.astype("<u2").tobytes()
    if number == 34925:
        return [lzma.compress(raw)]
    return [zlib.compress(raw)] if number in {8, 32946} else [raw]


@pytest.mark.parametrize("number", [1, 8, 32946, 34925])
@pytest.mark.parametrize("differences", [False, True])
def test_compressions_of_16_bits(number: int, *, differences: bool) -> None:
    before = photo_of(16)
    stored = np.diff(before, axis=1, prepend=0) % 65536 if differences else before
    data = make_tiff(
        before,
        bits=16,
        photometric=BLACK_IS_ZERO,
        strips=compressed(stored, number),
        extra={259: (SHORT, [number]), 317: (SHORT, [2 if differences else 1])},
    )
    same(data, before)


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "tiff_adobe_deflate"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "CMYK"])
def test_what_libtiff_compresses(compression: str, mode: str) -> None:
    for image in (photo(300, 200).convert(mode), Image.new(mode, (300, 200), 7 if mode == "L" else None)):
        result = run(encode(image, "TIFF", compression=compression), Solid(), CORNER)
        assert (samples(opened(result.data))[20:, 30:] == samples(image)[20:, 30:]).all()


def test_reversed_bits() -> None:
    before = photo_of(4)
    plain = make_tiff(before, bits=4, photometric=BLACK_IS_ZERO)
    packed = plain[-31 * 22 :]
    reversed_ = bytes(int(f"{byte:08b}"[::-1], 2) for byte in packed)
    same(
        make_tiff(before, bits=4, photometric=BLACK_IS_ZERO, strips=[reversed_], extra={266: (SHORT, [2])}), before * 17
    )


def test_orientation_of_an_unusual_page() -> None:
    before = photo_of(12)
    data = make_tiff(before, bits=12, photometric=BLACK_IS_ZERO, extra={274: (SHORT, [6])})
    result = run(data, Gaussian(0.1))
    assert (result.width, result.height) == (31, 43)


def unsupported(data: bytes, name: str) -> None:
    with pytest.raises(ImageError, match=name) as caught:
        run(data)
    assert caught.value.reason is Reason.UNSUPPORTED


@pytest.mark.parametrize(
    ("bits", "channels", "photometric", "extra", "name"),
    [
        (8, 1, BLACK_IS_ZERO, {339: (SHORT, [2])}, "signed samples"),
        (16, 1, BLACK_IS_ZERO, {339: (SHORT, [2])}, "signed samples"),
        (16, 1, BLACK_IS_ZERO, {339: (SHORT, [3])}, "floating-point samples"),
        (32, 1, BLACK_IS_ZERO, {339: (SHORT, [3])}, "floating-point samples"),
        (32, 1, BLACK_IS_ZERO, {}, "32 bits per sample"),
        (8, 3, RGB, {258: (SHORT, [5, 6, 5])}, "5, 6, 5 bits per sample"),
        (8, 3, 8, {}, "CIE L"),
        (16, 1, 32803, {}, "a sensor"),
        (8, 3, RGB, {259: (SHORT, [50001])}, "WebP"),
        (8, 3, RGB, {259: (SHORT, [34712])}, "JPEG 2000"),
        (12, 1, BLACK_IS_ZERO, {259: (SHORT, [7])}, "JPEG, with 12 bits"),
        (12, 1, BLACK_IS_ZERO, {317: (SHORT, [2])}, "predictor"),
    ],
)
def test_what_is_not_supported_is_named(
    bits: int, channels: int, photometric: int, extra: dict[int, tuple[int, list[int]]], name: str
) -> None:
    before = photo_of(min(bits, 16), channels)
    unsupported(make_tiff(before, bits=bits, photometric=photometric, extra=extra), name)


def test_pages_strips_and_tiles_are_counted() -> None:
    one = np.zeros((1, 1, 1), np.int64)
    for data, name in (
        (make_tiff(one, bits=8, photometric=BLACK_IS_ZERO, pages=LIMITS.max_pages + 1), "pages"),
        (
            make_tiff(
                np.zeros((LIMITS.max_segments + 1, 1, 1), np.int64),
                bits=8,
                photometric=BLACK_IS_ZERO,
                strips=[b"\0"] * (LIMITS.max_segments + 1),
                extra={278: (LONG, [1])},
            ),
            "strips or tiles",
        ),
    ):
        with pytest.raises(ImageError, match=name) as caught:
            run(data)
        assert caught.value.reason is Reason.TOO_LARGE
    assert run(make_tiff(one, bits=8, photometric=BLACK_IS_ZERO, pages=20)).frames == 20


def test_a_page_that_points_to_itself_ends() -> None:
    data = bytearray(encode_frames([photo(8, 8)] * 2, "TIFF"))
    first = int.from_bytes(data[4:8], "little")
    count = int.from_bytes(data[first : first + 2], "little")
    at = first + 2 + 12 * count
    data[at : at + 4] = first.to_bytes(4, "little")
    assert run(bytes(data)).frames == 1
