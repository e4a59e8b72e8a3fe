import struct

import pytest
from PIL import ImageOps

from services.common.domain.spec import Format, Gaussian, Region, Solid
from tests.support.images import encode, encode_frames, frames, opened, oriented, photo, samples
from tests.unit.engine.formats.png_maker import chunk
from tests.unit.engine.reference import psnr
from tests.unit.engine.running import run


@pytest.mark.parametrize("format_", [Format.JPEG, Format.PNG, Format.TIFF, Format.AVIF])
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


def test_the_orientation_of_an_animated_png_holds_for_every_frame() -> None:
    data = encode_frames(frames(3), "PNG", duration=50, exif=oriented(6))
    result = run(data)
    assert (result.width, result.height, result.frames) == (64, 96, 3)


# What browsers turn, as Chromium 156 does: only a single SHORT, of the first EXIF segment or chunk before the pixels.


def tiff_header(order: str, kind: int, value: int = 6, count: int = 1) -> bytes:
    """EXIF with nothing but an orientation of this type: 3 is SHORT, 4 LONG, 8 signed SHORT."""
    field = struct.pack(f"{order}H", value) + bytes(2) if kind in {3, 8} else struct.pack(f"{order}I", value)
    start = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    return start + struct.pack(f"{order}HHHI", 1, 0x0112, kind, count) + field + bytes(4)


def exif_segment(exif: bytes, header: bytes = b"Exif\0\0") -> bytes:
    return b"\xff\xe1" + struct.pack(">H", 2 + len(header) + len(exif)) + header + exif


def is_turned(data: bytes) -> bool:
    """Whether a file of 40 × 20 pixels comes out upright, by the path of regions, of the whole image and of others."""
    shapes = set()
    for target in (None, Format.PNG):
        for effect, regions in ((Gaussian(2), ()), (Solid(), (Region("box", 0, 0, 0.1, 0.1),))):
            result = run(data, effect, *regions, output_format=target)
            shapes.add((result.width, result.height))
    (size,) = shapes
    assert size in {(40, 20), (20, 40)}
    return size == (20, 40)


@pytest.mark.parametrize("order", ["<", ">"])
def test_only_a_short_turns_a_jpeg(order: str) -> None:
    plain = encode(photo(40, 20), "JPEG")
    for kind in (3, 4, 8):
        assert is_turned(plain[:2] + exif_segment(tiff_header(order, kind)) + plain[2:]) == (kind == 3)
    assert not is_turned(plain[:2] + exif_segment(tiff_header(order, 3, count=2)) + plain[2:])


def test_which_segment_turns_a_jpeg() -> None:
    plain = encode(photo(40, 20), "JPEG")
    turned, upright = exif_segment(tiff_header("<", 3)), exif_segment(tiff_header("<", 3, value=1))
    scan = plain.index(b"\xff\xda")
    assert is_turned(plain[:2] + exif_segment(tiff_header("<", 3), b"Exif\0\xff") + plain[2:])
    assert not is_turned(plain[:2] + exif_segment(tiff_header("<", 3), b"EXIF\0\0") + plain[2:])
    assert is_turned(plain[:2] + turned + upright + plain[2:])
    assert not is_turned(plain[:2] + upright + turned + plain[2:])
    assert is_turned(plain[:scan] + turned + plain[scan:])
    assert not is_turned(plain[:-2] + turned + plain[-2:])


def test_only_exif_before_the_pixels_turns_a_png() -> None:
    plain = encode(photo(40, 20), "PNG")
    for kind in (3, 4, 8):
        assert is_turned(plain[:33] + chunk(b"eXIf", tiff_header(">", kind)) + plain[33:]) == (kind == 3)
    assert not is_turned(plain[:-12] + chunk(b"eXIf", tiff_header(">", 3)) + plain[-12:])
    assert not is_turned(plain[:33] + chunk(b"eXIf", b"Exif\0\0" + tiff_header(">", 3)) + plain[33:])


def test_exif_turns_no_webp() -> None:
    for data in (
        encode(photo(40, 20), "WEBP", exif=oriented(6)),
        encode_frames([photo(40, 20), photo(40, 20).rotate(180)], "WEBP", exif=oriented(6), duration=50),
    ):
        assert b"EXIF" in data
        assert not is_turned(data)


def test_a_kept_orientation_says_upright() -> None:
    data = encode(photo(40, 20), "WEBP", exif=oriented(6))
    assert opened(run(data, keep_metadata=True).data).getexif().get(0x0112, 1) == 1


def test_damaged_exif_does_not_matter() -> None:
    for exif in (b"Exif\0\0", b"Exif\0\0garbage", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", oriented(6).tobytes()[:20]):
        for keep in (False, True):
            assert run(encode(photo(), "JPEG", exif=exif), keep_metadata=keep).width == 96


def test_nonsense_orientation_is_ignored() -> None:
    assert run(encode(photo(), "JPEG", exif=oriented(77))).width == 96
