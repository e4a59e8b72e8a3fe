"""What colours look like before and after: carried on where the format of the result can say it, else converted."""

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms
from PIL.ExifTags import IFD

from services.blur_worker.engine.color.icc_profile import ADOBE_RGB, BT_709, matrix_profile
from services.common.domain.spec import Format, Gaussian, Region, Solid
from tests.support.images import encode, opened, photo, samples
from tests.unit.engine.formats.png_maker import chunk
from tests.unit.engine.running import FORMATS, run

CORNER = Region("box", 0, 0, 0.1, 0.1)
P3 = (0.3127, 0.3290, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
WITHOUT_PROFILES = [Format.GIF, Format.BMP]
PLAIN = Image.fromarray(np.asarray(photo()))
ADOBE_GAMMA = 563 / 256


def to_srgb(numbers: NDArray[np.float64], xy: tuple[float, ...], gamma: float | None) -> NDArray[np.float64]:
    """By the definition: to light, to XYZ, to sRGB; None is the transfer function of sRGB. Both whites are D65."""
    values = numbers / 255
    light = values**gamma if gamma else np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    linear = light @ (np.linalg.inv(matrix(BT_709)) @ matrix(xy)).T
    linear = linear.clip(0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055) * 255


def matrix(xy: tuple[float, ...]) -> NDArray[np.float64]:
    columns = [np.array([x / y, 1, (1 - x - y) / y]) for x, y in zip(xy[::2], xy[1::2], strict=True)]
    primaries = np.stack(columns[1:], axis=1)
    return primaries * np.linalg.solve(primaries, columns[0])


def with_chunks(*chunks: bytes) -> bytes:
    plain = encode(PLAIN, "PNG")
    return plain[:33] + b"".join(chunks) + plain[33:]


def gama_chrm(gamma: float, xy: tuple[float, ...]) -> bytes:
    numbers = [round(each * 100_000) for each in xy]
    return chunk(b"gAMA", struct.pack(">I", round(100_000 / gamma))) + chunk(b"cHRM", struct.pack(">8I", *numbers))


def with_nclx(primaries: int, transfer: int) -> bytes:
    data = bytearray(encode(PLAIN, "AVIF", quality=100, subsampling="4:4:4"))
    struct.pack_into(">HH", data, data.index(b"colrnclx") + 8, primaries, transfer)
    return bytes(data)


PROFILE = matrix_profile(ADOBE_RGB, ADOBE_GAMMA, grey=False)
SOURCES: dict[str, tuple[bytes, tuple[float, ...], float | None]] = {
    "gAMA and cHRM": (with_chunks(gama_chrm(ADOBE_GAMMA, ADOBE_RGB)), ADOBE_RGB, ADOBE_GAMMA),
    "gAMA of 1": (with_chunks(chunk(b"gAMA", struct.pack(">I", 100_000))), BT_709, 1.0),
    "cICP": (with_chunks(chunk(b"cICP", bytes([12, 13, 0, 1]))), P3, None),
    "cICP before gAMA": (with_chunks(chunk(b"cICP", bytes([12, 13, 0, 1])), gama_chrm(1.0, BT_709)), P3, None),
    "cICP of a video": (with_chunks(chunk(b"cICP", bytes([1, 1, 0, 1]))), BT_709, 2.4),
    "iCCP": (encode(PLAIN, "PNG", icc_profile=PROFILE), ADOBE_RGB, ADOBE_GAMMA),
    "JPEG": (encode(PLAIN, "JPEG", quality=98, icc_profile=PROFILE), ADOBE_RGB, ADOBE_GAMMA),
    "WebP": (encode(PLAIN, "WEBP", lossless=True, icc_profile=PROFILE), ADOBE_RGB, ADOBE_GAMMA),
    "TIFF": (encode(PLAIN, "TIFF", icc_profile=PROFILE), ADOBE_RGB, ADOBE_GAMMA),
    "AVIF": (encode(PLAIN, "AVIF", quality=100, subsampling="4:4:4", icc_profile=PROFILE), ADOBE_RGB, ADOBE_GAMMA),
    "nclx": (with_nclx(12, 13), P3, None),
}


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("target", FORMATS)
def test_colours_look_the_same(name: str, target: Format) -> None:
    data, xy, gamma = SOURCES[name]
    before = to_srgb(np.asarray(opened(data).convert("RGB")).astype(np.float64), xy, gamma)
    result = opened(run(data, Solid(), CORNER, output_format=target, quality=100).data)
    shown = displayed(result, target, xy, gamma)
    difference = np.abs(shown - before)[16:, 20:]
    # GIF has 256 colours; WebP and AVIF store chroma by half.
    assert difference.mean() < (1.2 if target in {Format.PNG, Format.TIFF, Format.BMP} else 6), difference.mean()
    if target is Format.BMP:
        assert difference.max() <= 2


def displayed(image: Image.Image, target: Format, xy: tuple[float, ...], gamma: float | None) -> NDArray[np.float64]:
    """By the profile if there is one, in littleCMS; or by what a PNG or AVIF says otherwise, which has to be there."""
    numbers = image.convert("RGB")
    if profile := image.info.get("icc_profile"):
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        shown = ImageCms.profileToProfile(numbers, source, ImageCms.createProfile("sRGB"))
        assert shown
        return np.asarray(shown).astype(np.float64)
    values = np.asarray(numbers).astype(np.float64)
    return values if target in WITHOUT_PROFILES else to_srgb(values, xy, gamma)


def test_a_png_says_what_it_said() -> None:
    said = [
        chunk(b"cICP", bytes([9, 16, 0, 1])),
        chunk(b"sRGB", b"\1"),
        chunk(b"gAMA", struct.pack(">I", 45_455)),
        gama_chrm(2.2, P3)[16:],
    ]
    for each in said:
        data = with_chunks(each)
        for effect, regions in ((Gaussian(2), ()), (Solid(), (CORNER,))):
            assert each in run(data, effect, *regions).data
    everything = run(with_chunks(*said)).data
    assert all(each in everything for each in said)


@pytest.mark.parametrize("code_points", [(12, 13), (9, 16), (9, 18)])
def test_code_points_go_from_avif_to_png_and_back(code_points: tuple[int, int]) -> None:
    png = run(with_nclx(*code_points), output_format=Format.PNG).data
    assert chunk(b"cICP", bytes([*code_points, 0, 1])) in png
    assert b"colrnclx" + struct.pack(">HH", *code_points) in run(png, output_format=Format.AVIF).data


@pytest.mark.parametrize("transfer", [16, 18])
def test_light_beyond_white_is_said_or_compressed(transfer: int) -> None:
    data = with_chunks(chunk(b"cICP", bytes([9, transfer, 0, 1])))
    for target in (Format.JPEG, Format.WEBP, Format.TIFF):
        profile = opened(run(data, output_format=target).data).info["icc_profile"]
        assert b"cicp\0\0\0\0" + bytes([9, transfer, 0, 1]) in profile
    ramp = Image.fromarray(np.repeat(np.arange(256, dtype=np.uint8)[np.newaxis, :, np.newaxis], 3, axis=2).repeat(8, 0))
    plain = encode(ramp, "PNG")
    data = plain[:33] + chunk(b"cICP", bytes([9, transfer, 0, 1])) + plain[33:]
    shown = samples(opened(run(data, Solid(), Region("box", 0, 0, 0.01, 0.1), output_format=Format.BMP).data))[4, :, 1]
    assert (np.diff(shown[4:]) >= 0).all()
    assert 200 < shown[-1] <= 255
    assert len(np.unique(shown)) > 100


def test_grey_with_a_profile_becomes_srgb_where_it_must() -> None:
    grey = PLAIN.convert("L")
    profile = matrix_profile(BT_709, 1.8, grey=True)
    data = encode(grey, "PNG", icc_profile=profile)
    expected = to_srgb(np.asarray(grey.convert("RGB")).astype(np.float64), BT_709, 1.8)
    for target in (Format.WEBP, Format.AVIF, Format.GIF, Format.BMP):
        result = opened(run(data, Solid(), CORNER, output_format=target, quality=100).data)
        assert "icc_profile" not in result.info
        assert np.abs(samples(result.convert("RGB")) - expected)[16:, 20:].mean() < 2
    assert opened(run(data, output_format=Format.JPEG).data).info["icc_profile"] == profile


def adobe_by_exif(index: str = "R03", space: int = 0xFFFF) -> bytes:
    exif = Image.Exif()
    exif[IFD.Exif] = {0xA001: space, 0xA005: {1: index, 2: b"0100"}}
    return encode(PLAIN, "JPEG", quality=95, exif=exif)


def declares_adobe_rgb(data: bytes) -> bool:
    exif = opened(data).getexif()
    directory = exif.get_ifd(IFD.Exif)
    return bool(directory.get(0xA001) == 0xFFFF and exif.get_ifd(IFD.Interop).get(1) == "R03")


@pytest.mark.parametrize("keep", [False, True])
def test_a_cameras_adobe_rgb_is_declared_again(*, keep: bool) -> None:
    data = adobe_by_exif()
    assert declares_adobe_rgb(data)
    for effect, regions in ((Gaussian(2), ()), (Solid(), (CORNER,))):
        for target in (Format.JPEG, Format.PNG, Format.WEBP, Format.AVIF):
            result = run(data, effect, *regions, output_format=target, keep_metadata=keep)
            assert declares_adobe_rgb(result.data), target
    for target in WITHOUT_PROFILES:
        shown = samples(opened(run(data, Solid(), CORNER, output_format=target).data).convert("RGB"))
        expected = to_srgb(samples(opened(data)), ADOBE_RGB, ADOBE_GAMMA)
        assert np.abs(shown - expected)[16:, 20:].mean() < 4
    for other in (adobe_by_exif("R98"), adobe_by_exif(space=1)):
        assert not declares_adobe_rgb(run(other, Solid(), CORNER, keep_metadata=keep).data)


def test_a_damaged_profile_does_not_matter() -> None:
    for profile in (PROFILE[:200], PROFILE[:40] + bytes(300), bytes(500)):
        data = encode(PLAIN, "JPEG", icc_profile=profile)
        for target in FORMATS:
            assert run(data, Solid(), CORNER, output_format=target).width == 96


def test_a_profile_that_hides_a_picture_is_dropped() -> None:
    data = encode(PLAIN, "JPEG", icc_profile=PROFILE + encode(PLAIN, "PNG"))
    assert "icc_profile" not in opened(run(data, Solid(), CORNER).data).info


def test_gamma_beside_a_profile_counts_only_if_there_is_no_profile() -> None:
    """A profile of colours beside grey pixels describes nothing, and yet Chromium ignores gAMA then."""
    grey, gamma = encode(PLAIN.convert("L"), "PNG"), chunk(b"gAMA", struct.pack(">I", 100_000))
    for profile, expected in ((PROFILE, False), (bytes(500), True), (b"", True)):
        data = grey[:33] + (chunk(b"iCCP", b"p\0\0" + zlib.compress(profile)) if profile else b"") + gamma + grey[33:]
        result = run(data, Solid(), CORNER)
        assert (b"gAMA" in result.data) == expected
        assert b"iCCP" not in result.data
        lightened = samples(opened(run(data, Solid(), CORNER, output_format=Format.BMP).data).convert("L"))
        assert (np.abs(lightened - np.asarray(PLAIN.convert("L")))[16:, 20:].mean() > 20) == expected
