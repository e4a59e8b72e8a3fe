"""HEIC, as phones write it: the primary picture as other programs show it, nothing else of the file, and its limits."""

import struct
from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageDraw

from services.blur_worker.engine import Limits, blur
from services.blur_worker.engine.containers.iso_media import displayed_properties
from services.blur_worker.engine.decode import decode
from services.blur_worker.engine.raster import Samples
from services.common.domain.errors import ImageError, Reason
from services.common.domain.spec import BlurSpec, Format, Region, Solid
from tests.support.heif_files import (
    ALPHA,
    DEPTH,
    GAIN_MAP,
    Item,
    auxiliary,
    box,
    clap,
    coded,
    grid,
    heic,
    heif,
    imir,
    irot,
    ispe,
)
from tests.support.images import opened, oriented, photo, photo_16, samples
from tests.unit.engine.reference import psnr
from tests.unit.engine.running import LIMITS, MIDDLE, run

SECRET = Region("box", 0, 0, 1, 1)


def decoded(data: bytes, limits: Limits = LIMITS) -> NDArray[np.float64]:
    return pixels(data, limits).astype(np.float64)


def pixels(data: bytes, limits: Limits = LIMITS) -> Samples:
    (frame,) = decode(data, limits, Format.PNG, keep_metadata=False).frames
    return frame.raster.samples


def refused(data: bytes, limits: Limits = LIMITS) -> tuple[Reason, str]:
    with pytest.raises(ImageError) as caught:
        decoded(data, limits)
    return caught.value.reason, str(caught.value)


def colored() -> Image.Image:
    """Each corner has a colour of its own."""
    image = Image.new("RGB", (128, 64), "white")
    for index, color in enumerate(("red", "green", "blue", "yellow")):
        ImageDraw.Draw(image).rectangle(
            (index % 2 * 64, index // 2 * 32, index % 2 * 64 + 63, index // 2 * 32 + 31), color
        )
    return image


@pytest.mark.parametrize(
    ("asked", "written"), [(None, Format.JPEG), (Format.AVIF, Format.AVIF), (Format.PNG, Format.PNG)]
)
def test_a_phone_s_picture_becomes_a_jpeg_or_what_is_asked_for(asked: Format | None, written: Format) -> None:
    result = run(heic(photo()), Solid("#336699"), Region("box", 0, 0, 0.5, 1), output_format=asked)
    assert (result.format, result.width, result.height) == (written, 96, 64)
    image = opened(result.data)
    assert image.format == written.value
    after = samples(image.convert("RGB"))
    assert psnr(after[:, 56:], samples(photo())[:, 56:]) > 30
    assert np.abs(after[:, :40] - (0x33, 0x66, 0x99)).max() <= 4


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("chroma", ["420", "444"])
def test_pixels(mode: str, chroma: str) -> None:
    image = photo().convert(mode)
    assert psnr(decoded(heic(image, chroma=chroma)).squeeze(), samples(image)) > 33


def test_ten_bits_become_sixteen_or_eight() -> None:
    grey = samples(photo_16())
    data = heic(Image.fromarray(grey.astype(np.uint16)))
    result = pixels(data)
    assert result.dtype.name == "uint16"
    assert displayed_properties(data)[b"hvcC"][17] & 7 == 2
    assert np.abs(result[..., 0].astype(int) - grey).max() < 65535 / 16
    white = Image.fromarray(np.full((64, 64), 65535, np.uint16))
    assert decoded(heic(white, quality=-1)).max() == 65535
    assert opened(run(data).data).mode == "L"


@pytest.mark.parametrize("quarters", range(4))
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_it_is_turned_by_irot_and_imir(quarters: int, axis: int | None) -> None:
    properties = [irot(quarters), *([] if axis is None else [imir(axis)])]
    expected = np.rot90(samples(colored()), quarters)
    expected = {None: expected, 0: expected[::-1], 1: expected[:, ::-1]}[axis]
    assert psnr(decoded(heif([coded(colored(), *properties)])), expected) > 30


def test_it_is_not_turned_by_exif() -> None:
    exif = Item(type=b"Exif", data=b"\0\0\0\6" + oriented(6).tobytes(), references={b"cdsc": [1]})
    data = heif([coded(colored()), exif])
    assert psnr(decoded(data), samples(colored())) > 30
    kept = opened(run(data, keep_metadata=True).data)
    assert kept.size == colored().size
    assert 0x0112 not in kept.getexif()


def test_it_is_cropped_before_it_is_turned() -> None:
    data = heif([coded(colored(), clap(32, 16, 80, 8, (128, 64)), irot(1))])
    green = decoded(data)
    assert green.shape == (32, 16, 3)
    assert np.abs(green.astype(int) - (0, 128, 0)).max() < 24


def test_tiles_are_put_together() -> None:
    whole = samples(photo(128, 128))
    tiles = [coded(Image.fromarray(whole[y : y + 64, x : x + 64].astype(np.uint8))) for y in (0, 64) for x in (0, 64)]
    # The last row and column stick out.
    data = heif([*tiles, grid(2, 2, (120, 100), [1, 2, 3, 4], irot(3))], primary=5)
    result = decoded(data)
    assert result.shape == (120, 100, 3)
    assert psnr(result, np.rot90(whole[:100, :120], 3)) > 32


def test_alpha() -> None:
    alpha = Image.linear_gradient("L").resize((96, 64))
    result = decoded(heif([coded(photo()), auxiliary(alpha, ALPHA, of=1)]))
    assert psnr(result[..., :3], samples(photo())) > 32
    assert np.abs(result[..., 3].astype(int) - samples(alpha)).max() < 8


def test_colours_that_are_premultiplied_are_divided() -> None:
    # Half transparent: what is stored is half as light.
    stored = photo().point([value // 2 for value in range(256)] * 3)
    items = [coded(stored, references={b"prem": [2]}), auxiliary(Image.new("L", (96, 64), 128), ALPHA, of=1)]
    assert psnr(decoded(heif(items))[..., :3], samples(photo())) > 28


def test_profiles_and_code_points_are_kept() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = photo()
    image.info["icc_profile"] = profile
    assert opened(run(heic(image)).data).info["icc_profile"] == profile


def test_code_points_are_kept() -> None:
    display_p3 = box(b"colr", b"nclx", struct.pack(">HHHB", 12, 13, 6, 0x80))
    data = heif([coded(photo(), display_p3)])
    avif = run(data, output_format=Format.AVIF).data
    assert displayed_properties(avif)[b"colr"][4:8] == struct.pack(">HH", 12, 13)
    # A JPEG gets a profile that says the same; what cannot have one is converted.
    profile = ImageCms.ImageCmsProfile(BytesIO(opened(run(data).data).info["icc_profile"]))
    to_srgb = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), "RGB", "RGB")
    expected = ImageCms.applyTransform(opened(run(data, Solid(), MIDDLE, output_format=Format.PNG).data), to_srgb)
    assert expected is not None
    bmp = opened(run(data, Solid(), MIDDLE, output_format=Format.BMP).data)
    assert psnr(samples(bmp.convert("RGB"))[:16], samples(expected)[:16]) > 40
    assert np.abs(samples(bmp.convert("RGB"))[:16] - decoded(data)[:16]).mean() > 0.5


def hidden_parts() -> tuple[bytes, list[bytes]]:
    """A picture with a thumbnail, a depth and a gain map, another picture, a video behind it; and the bytes of each."""
    secret = photo(64, 64)
    thumbnail = coded(secret, references={b"thmb": [1]})
    extras = [auxiliary(secret.convert("L"), kind, of=1) for kind in (DEPTH, GAIN_MAP)]
    exif = Item(type=b"Exif", data=b"\0\0\0\6" + oriented(1).tobytes(), references={b"cdsc": [1]})
    video = np.random.default_rng(1).bytes(1024)
    items = [coded(photo()), thumbnail, *extras, coded(secret), exif]
    return heif(items, trailer=box(b"ftyp", b"mp42", bytes(12)) + box(b"mdat", video)), [
        item.data for item in items[:-1]
    ] + [video]


@pytest.mark.parametrize("target", [None, Format.AVIF, Format.PNG, Format.TIFF, Format.WEBP])
@pytest.mark.parametrize("keep_metadata", [False, True])
def test_nothing_but_the_primary_picture_is_in_the_result(target: Format | None, keep_metadata: bool) -> None:
    data, parts = hidden_parts()
    result = run(data, Solid(), SECRET, output_format=target, keep_metadata=keep_metadata)
    alone = run(heif([coded(photo())]), Solid(), SECRET, output_format=target)
    assert len(result.data) <= len(alone.data) + 200
    assert samples(opened(result.data).convert("RGB")).max() <= 3
    assert not any(part[start : start + 12] in result.data for part in parts for start in range(len(part) - 12))


def test_of_a_burst_the_primary_picture() -> None:
    flat = [coded(Image.new("RGB", (64, 64), color)) for color in ("red", "blue")]
    assert np.abs(decoded(heif(flat, primary=2)).astype(int) - (0, 0, 255)).max() < 8


@pytest.mark.parametrize("cut", [200, 400, 700, 2000])
def test_a_damaged_file_is_corrupt(cut: int) -> None:
    data = heic(photo(256, 256))
    assert refused(data[:cut])[0] is Reason.CORRUPT


def test_other_kinds_are_named() -> None:
    item = coded(photo())
    for kind in (b"av01", b"jpeg", b"unci", b"tmap"):
        reason, message = refused(heif([Item(type=kind, data=item.data, properties=item.properties)]))
        assert reason is Reason.UNSUPPORTED
        assert kind.decode() in message
    sequence = b"\0\0\0\x18ftyphevc\0\0\0\0hevcmsf1" + b"\0\0\0\x10moov\0\0\0\x08trak"
    assert refused(sequence) == (Reason.UNSUPPORTED, "HEIF image sequences without a still image are not supported")


LITTLE = Limits(max_pixels=96 * 64)


def test_pixels_are_counted_before_they_are_decoded() -> None:
    assert decoded(heif([coded(photo())]), LITTLE).shape == (64, 96, 3)
    larger = coded(photo(128, 64))
    assert refused(heif([larger]), LITTLE)[0] is Reason.TOO_LARGE
    # The file says that it is small, the stream that it is not.
    lying = Item(type=b"hvc1", data=larger.data, properties=(larger.properties[0], ispe(8, 8)))
    assert refused(heif([lying]), LITTLE)[0] is Reason.TOO_LARGE
    tiles = [grid(1, 1, (8, 8), [2]), larger]
    assert refused(heif(tiles), LITTLE)[0] is Reason.TOO_LARGE
    small = coded(photo())
    many = [grid(4, 4, (96, 64), list(range(2, 18))), *[small] * 16]
    assert refused(heif(many), LITTLE)[0] is Reason.TOO_LARGE
    assert refused(heif([small, auxiliary(photo(128, 64).convert("L"), ALPHA, of=1)]), LITTLE)[0] is Reason.TOO_LARGE
    # What is not decoded does not count.
    assert decoded(heif([small, auxiliary(photo(128, 64).convert("L"), DEPTH, of=1)]), LITTLE).shape == (64, 96, 3)


def test_a_limit_of_the_decoder_is_no_lack_of_memory() -> None:
    data = bytearray(heif([coded(photo())]))
    count = data.index(b"iloc") + 10  # behind the version, the flags and the sizes of its numbers
    data[count : count + 2] = b"\xff\xff"
    reason, message = refused(bytes(data))
    assert reason is Reason.TOO_LARGE
    assert "iloc" in message


def test_tiles_of_tiles_without_end_end() -> None:
    loop = [grid(1, 1, (64, 64), [2]), grid(1, 1, (64, 64), [1])]
    assert refused(heif(loop))[0] in {Reason.CORRUPT, Reason.UNSUPPORTED}


def test_a_spec_cannot_ask_for_it() -> None:
    with pytest.raises(ValueError, match="only read: choose one of JPEG"):
        BlurSpec(output_format=Format.HEIF)


def test_the_same_by_the_public_function() -> None:
    assert blur(heic(photo()), BlurSpec(), LIMITS).format is Format.JPEG
