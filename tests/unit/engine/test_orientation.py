import pytest
from PIL import ImageOps

from services.common.domain.spec import Format, Region, Solid
from tests.support.images import encode, encode_frames, frames, opened, oriented, photo, samples
from tests.unit.engine.reference import psnr
from tests.unit.engine.running import run


@pytest.mark.parametrize("format_", [Format.JPEG, Format.PNG, Format.WEBP, Format.TIFF, Format.AVIF])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_first_and_baked_in(format_: Format, orientation: int) -> None:
    options = {} if format_ is Format.TIFF else {"quality": 95}
    data = encode(photo(), format_.value, exif=oriented(orientation), **options)
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
    data = encode_frames(frames(3), "WEBP", duration=50, exif=oriented(6))
    result = run(data)
    assert (result.width, result.height, result.frames) == (64, 96, 3)


def test_damaged_exif_does_not_matter() -> None:
    for exif in (b"Exif\0\0", b"Exif\0\0garbage", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", oriented(6).tobytes()[:20]):
        for keep in (False, True):
            assert run(encode(photo(), "JPEG", exif=exif), keep_metadata=keep).width == 96


def test_nonsense_orientation_is_ignored() -> None:
    assert run(encode(photo(), "JPEG", exif=oriented(77))).width == 96
