import random
import struct
import time
import tracemalloc
import zlib
from io import BytesIO
from typing import Any

import pytest
from PIL import Image, ImageFile

from services.blur_worker.engine import Limits
from services.blur_worker.engine.formats import CODECS, FrameKind
from services.common.domain.errors import ImageError, Reason
from services.common.domain.spec import Format, Gaussian, Solid
from tests import fuzz
from tests.support.images import encode, encode_frames, frames, photo
from tests.unit.engine.running import FORMATS, run


def refused(data: bytes, **options: Any) -> ImageError:
    with pytest.raises(ImageError) as caught:
        run(data, Solid(), **options)
    return caught.value


@pytest.mark.parametrize(
    ("data", "reason", "says"),
    [
        (b"", Reason.NOT_AN_IMAGE, "empty"),
        (b"Dear all,\nBMW is a car.\n", Reason.NOT_AN_IMAGE, "text file"),
        (b"BM is how this sentence begins, and it is long enough", Reason.NOT_AN_IMAGE, "text file"),
        ("Привет, мир. ".encode() * 500, Reason.NOT_AN_IMAGE, "text file"),
        (b"<!DOCTYPE html><html><svg></svg></html>", Reason.NOT_AN_IMAGE, "web page"),
        (bytes(range(256)), Reason.NOT_AN_IMAGE, "not an image"),
        (b"PK\x03\x04" + bytes(100), Reason.NOT_AN_IMAGE, "not an image"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0isommp42" + bytes(50), Reason.NOT_AN_IMAGE, "video"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", Reason.UNSUPPORTED, "EPS"),
        (b"8BPS\0\x01" + bytes(100), Reason.UNSUPPORTED, "PSD"),
        (b"%PDF-1.7\n", Reason.UNSUPPORTED, "PDF"),
        (b'<?xml version="1.0"?>\n<!-- x -->\n<svg xmlns="http://www.w3.org/2000/svg"/>', Reason.UNSUPPORTED, "SVG"),
        (b"\xef\xbb\xbf<svg >", Reason.UNSUPPORTED, "SVG"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(50), Reason.UNSUPPORTED, "HEIF image sequences"),
        (b"P6 4 4 255\n" + bytes(48), Reason.UNSUPPORTED, "PPM"),
        (b"II*\0\x10\0\0\0CR\x02\0" + bytes(50), Reason.UNSUPPORTED, "CR2"),
        (b"\xff\x0a" + bytes(50), Reason.UNSUPPORTED, "JPEG XL"),
    ],
)
def test_other_files_are_named_in_the_error(data: bytes, reason: Reason, says: str) -> None:
    error = refused(data)
    assert error.reason is reason
    assert says in str(error)


@pytest.mark.parametrize("format_", ["ICO", "PCX", "TGA", "PPM", "SGI", "EPS", "JPEG2000", "DDS", "QOI"])
def test_other_decoders_of_pillow_are_off(format_: str) -> None:
    assert refused(encode(photo(16, 16), format_)).reason in {Reason.UNSUPPORTED, Reason.NOT_AN_IMAGE}


def test_a_raw_photograph_in_a_tiff_is_not_taken_for_its_preview() -> None:
    data = encode(photo(), "TIFF", tiffinfo={0xC612: b"\x01\x04\0\0"})
    error = refused(data)
    assert error.reason is Reason.UNSUPPORTED
    assert "DNG" in str(error)


def test_an_unsupported_mode_of_pixels() -> None:
    assert refused(encode(photo().convert("F"), "TIFF")).reason is Reason.UNSUPPORTED


def claiming(format_: Format, width: int, height: int) -> bytes:
    """A small file whose header claims a size."""
    data = bytearray(encode(photo(8, 8), format_.value))
    if format_ is Format.PNG:
        data[16:24] = struct.pack(">II", width, height)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    elif format_ is Format.JPEG:
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = struct.pack(">HH", height, width)
    elif format_ is Format.GIF:
        data[6:10] = struct.pack("<HH", width, height)
    elif format_ is Format.BMP:
        data[18:26] = struct.pack("<II", width, height)
    elif format_ is Format.TIFF:
        for tag, value in ((256, width), (257, height)):
            at = data.index(struct.pack("<HHI", tag, 3 if b"\0\1\3\0" in data else 4, 1)) + 8
            data[at : at + 4] = struct.pack("<I", value)
    elif format_ is Format.WEBP:
        extended = b"VP8X" + struct.pack("<I", 10) + bytes(4)
        extended += (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        data[12:12] = extended
        data[4:8] = struct.pack("<I", len(data) - 8)
    else:
        at = data.index(b"ispe") + 8
        data[at : at + 8] = struct.pack(">II", width, height)
    return bytes(data)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_bomb_is_refused_before_anything_is_allocated(format_: Format) -> None:
    side = 16_000
    data = claiming(format_, side, side)
    tracemalloc.start()
    started = time.process_time()
    error = refused(data)
    # It takes a hundredth of that; decoding takes more.
    assert time.process_time() - started < 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000
    assert error.reason is Reason.TOO_LARGE
    assert "256,000,000 pixels" in str(error)
    assert "10,000,000" in str(error)


def test_the_limit_itself_is_allowed() -> None:
    data = encode(photo(96, 64), "PNG")
    assert run(data, limits=Limits(96 * 64)).width == 96
    assert refused(data, limits=Limits(96 * 64 - 1)).reason is Reason.TOO_LARGE
    for format_ in FORMATS:
        data = encode(photo(97, 63), format_.value)
        assert run(data, limits=Limits(97 * 63)).width == 97
        assert refused(data, limits=Limits(97 * 63 - 1)).reason is Reason.TOO_LARGE


@pytest.mark.parametrize("format_", [Format.GIF, Format.WEBP, Format.PNG, Format.AVIF, Format.TIFF])
def test_all_frames_count(format_: Format) -> None:
    data = encode_frames(frames(4), format_.value)
    assert run(data, limits=Limits(4 * 96 * 64)).frames == 4
    error = refused(data, limits=Limits(4 * 96 * 64 - 1))
    assert error.reason is Reason.TOO_LARGE
    assert refused(data, limits=Limits(4 * 96 * 64 - 1), output_format=Format.JPEG).reason is Reason.TOO_LARGE


def test_each_page_of_a_tiff_counts_with_its_own_size() -> None:
    data = encode_frames([photo(10, 10), photo(200, 200)], "TIFF")
    assert run(data, limits=Limits(40_100)).frames == 2
    assert refused(data, limits=Limits(40_099)).reason is Reason.TOO_LARGE


@pytest.mark.parametrize("frame", [0, 1])
def test_a_gif_frame_larger_than_its_screen(frame: int) -> None:
    data = encode_frames(frames(3), "GIF", duration=[10, 20, 30], disposal=2)
    at = data.index(b"\x21\xf9\x04\x08" + struct.pack("<H", 1 + frame)) + 8
    huge = data[: at + 5] + struct.pack("<HH", 6_000, 6_000) + data[at + 9 :]
    assert data[at] == 0x2C
    error = refused(huge)
    assert error.reason is Reason.TOO_LARGE
    assert "pixels" in str(error)


@pytest.mark.parametrize("target", [Format.GIF, Format.WEBP, Format.PNG])
def test_a_gif_frame_beyond_its_screen_is_cropped(target: Format) -> None:
    data = encode_frames(frames(3), "GIF", duration=[10, 20, 30], disposal=2)
    at = data.index(b"\x21\xf9\x04\x08" + struct.pack("<H", 2)) + 8
    moved = data[: at + 1] + struct.pack("<HH", 70, 40) + data[at + 5 :]
    result = run(moved, output_format=target)
    assert (result.width, result.height, result.frames) == (96, 64, 3)
    opened = Image.open(BytesIO(result.data))
    for index in range(3):
        opened.seek(index)
        opened.load()
        assert opened.size == (96, 64)


def test_a_tiff_tile_larger_than_its_page() -> None:
    tags = {322: 60_000, 323: 60_000}
    data = bytearray(encode(photo(16, 16), "TIFF"))
    count = struct.unpack_from("<H", data, struct.unpack_from("<I", data, 4)[0])[0]
    at = struct.unpack_from("<I", data, 4)[0] + 2
    for index in range(count):
        tag = struct.unpack_from("<H", data, at + 12 * index)[0]
        for wanted, new in ((278, 322), (279, 323)):
            if tag == wanted:
                struct.pack_into("<HHII", data, at + 12 * index, new, 4, 1, tags[new])
    assert refused(bytes(data)).reason is Reason.TOO_LARGE


@pytest.mark.parametrize(
    ("format_", "animated"),
    [(format_, False) for format_ in FORMATS]
    + [(codec.format, True) for codec in CODECS.values() if codec.frames is not FrameKind.SINGLE],
)
def test_a_truncated_file_is_corrupt_or_read(format_: Format, *, animated: bool) -> None:
    data = encode_frames(frames(3), format_.value) if animated else encode(photo(), format_.value)
    outcomes = {}
    cuts = [1, 5, 9, 13, 20, 30, 40, 60, 100, *(len(data) * part // 12 for part in range(1, 12)), len(data) - 1]
    for cut in cuts:
        try:
            run(data[:cut], Solid())
            outcomes[cut] = "read"
        except ImageError as error:
            outcomes[cut] = error.reason
    assert {reason for cut, reason in outcomes.items() if cut <= 30} <= {Reason.CORRUPT, Reason.NOT_AN_IMAGE}
    assert {reason for cut, reason in outcomes.items() if cut > 30} <= {Reason.CORRUPT, "read"}
    assert Reason.CORRUPT in outcomes.values()


@pytest.mark.parametrize("format_", FORMATS)
def test_flipped_bytes_never_crash(format_: Format) -> None:
    data = encode(photo(24, 16), format_.value)
    reasons = set()
    for position in range(0, min(len(data), 700), 3):
        broken = bytearray(data)
        broken[position] ^= 0xFF
        try:
            run(bytes(broken), Gaussian(1), keep_metadata=True)
        except ImageError as error:
            reasons.add(error.reason)
    assert reasons <= {Reason.CORRUPT, Reason.NOT_AN_IMAGE, Reason.UNSUPPORTED, Reason.TOO_LARGE}


def test_running_out_of_memory_is_no_image_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_image: object) -> None:
        raise MemoryError

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    with pytest.raises(MemoryError):
        run(encode(photo(), "WEBP"))


def test_pillows_settings_are_restored() -> None:
    before = Image.MAX_IMAGE_PIXELS
    run(encode(photo(), "PNG"))
    refused(b"GIF89a")
    refused(claiming(Format.PNG, 30_000, 30_000))
    assert before == Image.MAX_IMAGE_PIXELS
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


def test_a_result_too_large_for_its_format() -> None:
    data = encode(Image.new("L", (17_000, 2)), "PNG")
    error = refused(data, output_format=Format.WEBP)
    assert error.reason is Reason.TOO_LARGE
    assert "16383" in str(error)
    out = BytesIO(run(data, output_format=Format.JPEG).data)
    assert Image.open(out).size == (17_000, 2)


def test_a_hundred_thousand_frames_are_too_many() -> None:
    first = Image.new("P", (40, 40))
    second = first.copy()
    second.putpixel((7, 7), 1)
    data = encode(first, "GIF", save_all=True, append_images=[second], optimize=False, duration=[10, 20])
    begin = data.index(b"\x21\xf9\x04", data.index(b"\x21\xf9\x04") + 1)
    bomb = data[:begin] + data[begin:-1] * 100_000 + b";"
    assert len(bomb) < 8_000_000
    error = refused(bomb)
    assert error.reason is Reason.TOO_LARGE
    assert "160,001,600 pixels" in str(error) or "frames" in str(error)


@pytest.mark.parametrize("format_", [Format.PNG, Format.TIFF])
def test_a_small_file_that_really_decodes_to_a_gigapixel(format_: Format) -> None:
    flat = Image.new("1", (32_000, 32_000))
    data = encode(flat, format_.value, **({"compression": "group4"} if format_ is Format.TIFF else {}))
    assert len(data) < 300_000
    tracemalloc.start()
    error = refused(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000
    assert error.reason is Reason.TOO_LARGE


def test_random_damage_is_refused_with_a_reason_or_blurred() -> None:
    rng, seeds = random.Random(7), fuzz.seeds()
    outcomes = set()
    for _ in range(150):
        data = fuzz.damaged(rng.choice(seeds), rng)
        try:
            run(data, rng.choice(fuzz.EFFECTS), limits=Limits(max_pixels=100_000))
            outcomes.add("blurred")
        except ImageError as error:
            outcomes.add(error.reason)
    assert {"blurred", Reason.CORRUPT} <= outcomes
