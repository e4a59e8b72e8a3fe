import numpy as np
import pytest
from PIL import Image, ImageCms, JpegImagePlugin
from PIL.TiffImagePlugin import PREDICTOR

from services.blur_worker.engine.formats import CODECS
from services.common.domain.spec import Format, Gaussian, Region, Solid
from tests.support.images import encode, frames, opened, photo, photo_16, samples, whole_photo, with_alpha
from tests.unit.engine.reference import psnr
from tests.unit.engine.running import FORMATS, LEFT_HALF, run, run_on

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def test_every_format_of_the_interface_has_a_codec() -> None:
    assert CODECS.keys() == set(Format)


@pytest.mark.parametrize("format_", FORMATS)
def test_every_format_comes_back_as_itself(format_: Format) -> None:
    result = run(encode(photo(), format_.value), Gaussian(3))
    image = opened(result.data)
    path = "jpeg-coefficients" if format_ is Format.JPEG else "pixels"
    assert (result.format, result.width, result.height, result.frames, result.path) == (format_, 96, 64, 1, path)
    assert list(result.seconds) == ["decode", "blur", "encode"]
    assert min(result.seconds.values()) > 0
    assert image.format == format_.value
    expected = samples(run_on(photo(), Gaussian(3)))
    assert psnr(samples(image.convert("RGB")), expected) > (34 if format_ is Format.GIF else 38)


@pytest.mark.parametrize("source", FORMATS)
@pytest.mark.parametrize("target", FORMATS)
def test_every_format_becomes_every_other(source: Format, target: Format) -> None:
    for image in (photo(), photo().convert("L")):
        result = run(encode(image, source.value), output_format=target)
        assert result.format is target
        assert opened(result.data).format == target.value
        assert psnr(samples(opened(result.data).convert("L")), samples(run_on(photo()).convert("L"))) > 29


@pytest.mark.parametrize("target", [Format.JPEG, Format.BMP])
def test_alpha_is_blended_with_white_for_formats_without(target: Format) -> None:
    image = Image.new("LA", (20, 20), (0, 0))
    result = opened(run(encode(image, "PNG"), output_format=target).data)
    if target is Format.BMP:
        assert result.mode == "RGBA"
        assert result.getextrema()[3] == (0, 0)
    else:
        assert result.mode == "L"
        assert result.getextrema()[0] >= 254


@pytest.mark.parametrize("format_", [Format.PNG, Format.TIFF, Format.BMP, Format.WEBP, Format.AVIF, Format.GIF])
def test_alpha_is_kept(format_: Format) -> None:
    image = photo().convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 48, 64))
    result = opened(run(encode(image, "PNG"), Gaussian(1), output_format=format_).data).convert("RGBA")
    alpha = samples(result.getchannel("A"))
    assert alpha[:, :40].max() <= 4
    assert alpha[:, 56:].min() >= 250


@pytest.mark.parametrize("format_", [Format.PNG, Format.TIFF])
def test_sixteen_bits_are_kept(format_: Format) -> None:
    result = opened(run(encode(photo_16(), format_.value)).data)
    assert result.mode == "I;16"
    assert len(np.unique(samples(result))) > 1000


def test_big_endian_sixteen_bits() -> None:
    swapped = Image.frombytes("I;16B", (96, 64), samples(photo_16()).astype(">u2").tobytes())
    result = opened(run(encode(swapped, "TIFF"), Solid(), LEFT_HALF).data)
    assert (samples(result)[:, 48:] == samples(photo_16())[:, 48:]).all()


@pytest.mark.parametrize("target", [Format.JPEG, Format.WEBP, Format.AVIF, Format.GIF, Format.BMP])
def test_sixteen_bits_become_eight_by_their_upper_byte(target: Format) -> None:
    result = opened(run(encode(photo_16(), "PNG"), Gaussian(0.2), output_format=target).data).convert("L")
    assert psnr(samples(result), samples(photo_16()) // 256) > 33


def test_transparent_sixteen_bit_grey_looks_the_same() -> None:
    image = Image.fromarray(np.repeat(np.repeat(np.array([[1000, 60000]], np.uint16), 10, axis=1), 20, axis=0))
    result = opened(run(encode(image, "PNG", transparency=1000), Solid(), Region("box", 0, 0, 1, 0.1)).data)
    assert result.getpixel((0, 19))[-1] == 0
    assert result.getpixel((19, 19)) == (234, 234, 234, 255)


@pytest.mark.parametrize("format_", ["JPEG", "TIFF"])
def test_cmyk_is_kept(format_: str) -> None:
    image = photo().convert("CMYK")
    result = opened(run(encode(image, format_, quality=95) if format_ == "JPEG" else encode(image, format_)).data)
    assert result.mode == "CMYK"
    assert psnr(samples(result.convert("RGB")), samples(run_on(photo()))) > 30


@pytest.mark.parametrize(("mode", "expected"), [("1", "L"), ("L", "L"), ("LA", "LA"), ("P", "RGB"), ("RGBA", "RGBA")])
def test_png_modes(mode: str, expected: str) -> None:
    assert run_on(photo().convert(mode)).mode == expected


def test_a_transparent_palette_becomes_alpha() -> None:
    image = photo().quantize(16)
    result = run_on(image, Solid(), LEFT_HALF)
    assert result.mode == "RGB"
    result = opened(run(encode(image, "PNG", transparency=bytes([0] + [255] * 15)), Solid(), LEFT_HALF).data)
    assert result.mode == "RGBA"
    clear = np.asarray(image)[:, 48:] == 0
    assert ((samples(result.getchannel("A"))[:, 48:] == 0) == clear).all()


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_transparent_colour_becomes_alpha(mode: str) -> None:
    image = Image.new(mode, (20, 20), "white")
    key = image.getpixel((0, 0))
    result = opened(run(encode(image, "PNG", transparency=key), Solid(), Region("box", 0, 0, 0.5, 1)).data)
    assert result.mode == mode + "A"
    assert samples(result.getchannel("A")).mean() == 127.5


@pytest.mark.parametrize(("given", "expected"), [(0, 0), (1, 1), (2, 2)])
def test_chroma_subsampling(given: int, expected: int) -> None:
    image = opened(run(encode(photo(), "JPEG", subsampling=given)).data)
    assert JpegImagePlugin.get_sampling(image) == expected


def test_a_jpeg_that_stores_rgb() -> None:
    image = opened(run(encode(photo(), "JPEG", keep_rgb=True, quality=95)).data)
    assert psnr(samples(image), samples(run_on(photo()))) > 38


def test_quality_changes_the_size() -> None:
    data = encode(photo(), "PNG")
    for target in (Format.JPEG, Format.WEBP, Format.AVIF):
        low, high = (len(run(data, Gaussian(0.5), output_format=target, quality=q).data) for q in (20, 95))
        assert low < high / 1.5


def test_lossless_webp_stays_lossless() -> None:
    image = with_alpha(photo())
    image.paste((10, 200, 30, 0), (70, 10, 90, 60))
    for options in ({}, {"icc_profile": SRGB}, {"save_all": True, "append_images": frames(3, "RGBA"), "duration": 50}):
        data = encode(image, "WEBP", lossless=True, exact=True, **options)
        result = opened(run(data, Gaussian(4), LEFT_HALF).data)
        assert (samples(result)[:, 48:] == samples(opened(data))[:, 48:]).all()
    lossy = run(encode(image, "WEBP", quality=80), quality=80)
    assert b"VP8 " in lossy.data


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "group4"])
def test_tiff_compressions(compression: str) -> None:
    image = photo().convert("1") if compression == "group4" else photo()
    result = opened(run(encode(image, "TIFF", compression=compression)).data)
    assert result.info["compression"] == ("tiff_lzw" if compression in {"jpeg", "group4"} else compression)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "CMYK", "I;16"])
@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate"])
def test_a_compressed_tiff_uses_the_predictor_in_every_mode(mode: str, compression: str) -> None:
    image = photo_16() if mode == "I;16" else photo().convert(mode)
    result = opened(run(encode(image, "TIFF", compression=compression), Gaussian(2), LEFT_HALF).data)
    assert (result.mode, result.info["compression"], result.tag_v2[PREDICTOR]) == (mode, compression, 2)
    assert (samples(result)[:, 48:] == samples(image)[:, 48:]).all()


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_a_compressed_tiff_is_smaller_than_pillows(mode: str) -> None:
    for compression in ("tiff_lzw", "tiff_adobe_deflate"):
        result = run(encode(whole_photo().convert(mode), "TIFF", compression=compression), Gaussian(5))
        again = encode(Image.fromarray(np.asarray(opened(result.data))), "TIFF", compression=compression)
        assert len(result.data) < 0.8 * len(again)


@pytest.mark.parametrize("format_", [Format.JPEG, Format.PNG, Format.WEBP, Format.TIFF, Format.AVIF])
def test_the_icc_profile_is_kept(format_: Format) -> None:
    data = encode(photo(), format_.value, icc_profile=SRGB)
    assert opened(run(data).data).info["icc_profile"] == SRGB


def test_a_profile_of_other_colours_is_not_kept() -> None:
    cmyk = SRGB[:16] + b"CMYK" + SRGB[20:]
    data = encode(photo().convert("CMYK"), "JPEG", icc_profile=cmyk)
    assert opened(run(data).data).info["icc_profile"] == cmyk
    assert "icc_profile" not in opened(run(data, output_format=Format.PNG).data).info


@pytest.mark.parametrize("format_", [Format.JPEG, Format.PNG, Format.TIFF, Format.BMP])
def test_the_resolution_is_kept(format_: Format) -> None:
    dpi = opened(run(encode(photo(), format_.value, dpi=(300, 300))).data).info["dpi"]
    assert [round(float(value)) for value in dpi] == [300, 300]
