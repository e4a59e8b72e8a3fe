import pytest
from PIL import Image, ImageOps

from services.common.domain.spec import Format, Region, Solid
from tests.unit.engine.samples import encode, moving, opened, photo, psnr, run, samples


def oriented(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("format_", [Format.JPEG, Format.PNG, Format.WEBP, Format.TIFF, Format.AVIF])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_first_and_baked_in(format_: Format, orientation: int) -> None:
    data = (
        encode(photo(), format_.value, exif=oriented(orientation), quality=95)
        if format_ is not Format.TIFF
        else (encode(photo(), "TIFF", exif=oriented(orientation)))
    )
    upright = photo().copy()
    upright.info["exif"] = oriented(orientation).tobytes()
    shown = ImageOps.exif_transpose(upright)
    for keep in (False, True):
        result = run(data, Solid("#ff0000"), Region("box", 0, 0, 0.5, 0.5), keep_metadata=keep)
        image = opened(result.data)
        assert image.getexif().get(0x0112, 1) == 1
        assert (result.width, result.height) == image.size == shown.size
        expected = shown.copy()
        expected.paste("#ff0000", (0, 0, shown.width // 2, shown.height // 2))
        assert psnr(samples(image), samples(expected)) > 27


def test_orientation_of_an_animation_holds_for_every_frame() -> None:
    first, *rest = moving(3)
    data = encode(first, "WEBP", save_all=True, append_images=rest, duration=50, exif=oriented(6))
    result = run(data)
    assert (result.width, result.height, result.frames) == (64, 96, 3)


def test_damaged_exif_does_not_matter() -> None:
    for exif in (b"Exif\0\0", b"Exif\0\0garbage", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", oriented(6).tobytes()[:20]):
        for keep in (False, True):
            assert run(encode(photo(), "JPEG", exif=exif), keep_metadata=keep).width == 96


def test_nonsense_orientation_is_ignored() -> None:
    assert run(encode(photo(), "JPEG", exif=oriented(77))).width == 96
