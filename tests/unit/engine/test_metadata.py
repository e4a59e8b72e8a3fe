import base64
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin, TiffImagePlugin
from PIL.ExifTags import IFD

from services.common.domain.spec import Format, Gaussian
from tests.support.images import encode, encode_frames, frames, opened, photo
from tests.unit.engine.running import FORMATS, MIDDLE, run

MARK = b"SECRET-MARK"
TEXT = MARK.decode()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6">' + MARK + b"</a></x:xmpmeta>"


def full_exif() -> bytes:
    """EXIF with text, GPS, a maker note and, in IFD1, a thumbnail."""
    exif = Image.Exif()
    exif[0x010E] = TEXT + " description"
    exif[0x013B] = TEXT + " artist"
    exif[0x0112] = 1
    exif.get_ifd(IFD.Exif).update({0x9286: b"ASCII\0\0\0" + MARK, 0x927C: b"NOTE-" + thumbnail()})
    exif.get_ifd(IFD.GPSInfo).update({1: "N", 2: (52.0, 31.0, 1.0), 29: TEXT})
    body = exif.tobytes()[6:]
    thumb = thumbnail()
    body += bytes(len(body) % 2)
    ifd1 = struct.pack(">HHHIIHHIII", 2, 0x0201, 4, 1, len(body) + 30, 0x0202, 4, 1, len(thumb), 0)
    count = struct.unpack_from(">H", body, 8)[0] if body[:2] == b"MM" else struct.unpack_from("<H", body, 8)[0]
    if body[:2] != b"MM":
        ifd1 = struct.pack("<HHHIIHHIII", 2, 0x0201, 4, 1, len(body) + 30, 0x0202, 4, 1, len(thumb), 0)
    next_at = 10 + 12 * count
    body = body[:next_at] + struct.pack(">I" if body[:2] == b"MM" else "<I", len(body)) + body[next_at + 4 :]
    return b"Exif\0\0" + body + ifd1 + thumb


def thumbnail() -> bytes:
    return encode(photo(32, 20), "JPEG", comment=b"THUMB")


def laden(format_: Format) -> bytes:
    options: dict[str, Any] = {}
    if format_ in {Format.JPEG, Format.PNG, Format.WEBP, Format.AVIF}:
        options["exif"] = full_exif()
    if format_ in {Format.JPEG, Format.WEBP, Format.AVIF}:
        options["xmp"] = XMP
    if format_ in {Format.JPEG, Format.GIF}:
        options["comment"] = MARK + b" comment"
    if format_ is Format.PNG:
        text = PngImagePlugin.PngInfo()
        text.add_text("Comment", TEXT)
        text.add_itxt("Title", TEXT)
        text.add_itxt("XML:com.adobe.xmp", XMP.decode())
        text.add(b"tIME", bytes(7))
        text.add(b"prVt", MARK)
        options["pnginfo"] = text
    if format_ is Format.TIFF:
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        for tag in (270, 271, 305, 315, 33432, 65000):
            tags[tag] = TEXT
            tags.tagtype[tag] = 2
        tags[700] = XMP
        tags[33723] = MARK
        options["tiffinfo"] = tags
    data = encode(photo(), format_.value, **options)
    if format_ is Format.JPEG:
        photoshop = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(MARK)) + MARK
        segments = [
            (0xED, photoshop),
            (0xE5, MARK),
            (0xFE, MARK),
            (0xE1, b"http://ns.adobe.com/xmp/extension/\0" + MARK),
        ]
        inserted = b"".join(bytes([0xFF, m]) + struct.pack(">H", len(c) + 2) + c for m, c in segments)
        data = data[:2] + inserted + data[2:] + MARK
    return data


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("converted", [False, True])
def test_no_word_of_the_metadata_is_left(format_: Format, *, converted: bool) -> None:
    data = laden(format_)
    assert MARK in data or format_ is Format.BMP
    for target in FORMATS if converted else [format_]:
        for regions in ((), (MIDDLE,)):
            result = run(data, Gaussian(2), *regions, output_format=target)
            assert MARK not in result.data
            assert b"THUMB" not in result.data
            info = opened(result.data).info
            assert not {"exif", "xmp", "comment", "photoshop", "XML:com.adobe.xmp", "Comment", "Title"} & set(info)


def test_no_word_is_left_in_an_animation() -> None:
    first, *rest = frames(3)
    gif = encode(first, "GIF", save_all=True, append_images=rest, comment=MARK, duration=50)
    webp = encode(first, "WEBP", save_all=True, append_images=rest, exif=full_exif(), xmp=XMP, duration=50)
    avif = encode(first, "AVIF", save_all=True, append_images=rest, exif=full_exif(), xmp=XMP, duration=50)
    png = encode(first, "PNG", save_all=True, append_images=rest, exif=full_exif(), duration=50)
    for data in (gif, webp, avif, png):
        assert MARK in data
        assert MARK not in run(data).data


@pytest.mark.parametrize("format_", [Format.JPEG, Format.PNG, Format.WEBP, Format.AVIF, Format.TIFF])
def test_kept_metadata_has_no_thumbnail(format_: Format) -> None:
    data = laden(format_)
    if format_ is not Format.TIFF:
        assert b"THUMB" in data
    result = run(data, keep_metadata=True)
    assert MARK in result.data
    assert b"THUMB" not in result.data
    image = opened(result.data)
    exif = image.getexif()
    assert TEXT in exif[0x010E]
    assert exif.get(0x0112, 1) == 1
    assert not exif.get_ifd(IFD.IFD1)
    if format_ is not Format.TIFF:
        assert 0x927C not in exif.get_ifd(IFD.Exif)
        assert MARK in exif.get_ifd(IFD.Exif)[0x9286]
        assert exif.get_ifd(IFD.GPSInfo)[29] == TEXT
    xmp = image.info["xmp"]
    assert MARK in xmp
    assert b'tiff:Orientation="6"' not in xmp


def test_exif_survives_into_another_format() -> None:
    for target in (Format.TIFF, Format.PNG, Format.WEBP, Format.AVIF, Format.JPEG):
        image = opened(run(laden(Format.JPEG), keep_metadata=True, output_format=target).data)
        exif = image.getexif()
        assert TEXT in exif[0x010E]
        assert exif.get_ifd(IFD.GPSInfo)[29] == TEXT
        assert MARK in image.info["xmp"]


def test_comments_and_text_are_kept_on_request() -> None:
    assert opened(run(laden(Format.GIF), keep_metadata=True).data).info["comment"] == MARK + b" comment"
    assert MARK in opened(run(laden(Format.JPEG), keep_metadata=True).data).info["comment"]
    assert opened(run(laden(Format.PNG), keep_metadata=True).data).text["Title"] == TEXT


@pytest.mark.parametrize("inside", ["<xmp:Thumbnails>", "<GImage:Data>abc", "<x>/9j/4AAQSkZJRg</x>"])
def test_xmp_with_a_picture_is_dropped(inside: str) -> None:
    data = encode(photo(), "JPEG", xmp=XMP + inside.encode())
    result = opened(run(data, keep_metadata=True).data)
    assert "xmp" not in result.info


def test_png_text_with_a_picture_is_dropped() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Raw profile type exif", "0" * 100)
    text.add_text("Thumb", "/9j/4AAQSkZJRg")
    assert opened(run(encode(photo(), "PNG", pnginfo=text), keep_metadata=True).data).text == {}


def test_long_exif_fields_are_dropped() -> None:
    exif = Image.Exif()
    exif[0x010E] = "kept"
    exif.get_ifd(IFD.Exif)[0x9286] = np.random.default_rng(1).bytes(20_000)
    result = run(encode(photo(), "JPEG", exif=exif), keep_metadata=True)
    assert opened(result.data).getexif()[0x010E] == "kept"
    assert len(result.data) < 20_000


def test_further_pictures_in_a_phones_jpeg_are_gone() -> None:
    data = encode_frames(frames(2), "MPO")
    assert data.count(b"\xff\xd8\xff") == 2
    for keep in (False, True):
        result = run(data, keep_metadata=keep)
        assert (result.format, result.frames) == (Format.JPEG, 1)
        assert result.data.count(b"\xff\xd8\xff") == 1
        assert b"MPF\0" not in result.data


SMALL = Image.fromarray(np.asarray(photo(12, 8)))  # without a profile
PREVIEWS = [
    encode(SMALL, "JPEG"),
    encode(SMALL, "PNG"),
    encode(SMALL, "WEBP"),
    encode(SMALL, "GIF"),
    encode(SMALL, "TIFF"),
    encode(SMALL, "BMP"),
    encode(SMALL, "AVIF"),
    encode(SMALL.resize((2, 2)), "WEBP"),
]
NOTATIONS = {
    "as it is": lambda data: data,
    "behind a text": lambda data: b"preview: " + data,
    "base64": base64.b64encode,
    "base64 in lines": base64.encodebytes,
    "base64 for URLs": base64.urlsafe_b64encode,
    "hexadecimal": lambda data: data.hex().encode(),
    "hexadecimal, apart": lambda data: data.hex(" ").encode(),
    "percent": lambda data: "".join(f"%{byte:02X}" for byte in data).encode(),
}


@pytest.mark.parametrize("notation", NOTATIONS.values(), ids=NOTATIONS)
@pytest.mark.parametrize("preview", PREVIEWS, ids=["JPEG", "PNG", "WebP", "GIF", "TIFF", "BMP", "AVIF", "tiny WebP"])
def test_no_field_that_is_kept_holds_a_preview(preview: bytes, notation: Callable[[bytes], bytes]) -> None:
    hidden = notation(preview)
    exif = Image.Exif()
    exif[0x013B] = "An artist"
    exif[0x010E] = hidden.decode("latin-1")
    exif[0x9C9C] = hidden.decode("latin-1").encode("utf-16-le")  # XPComment
    exif.get_ifd(IFD.Exif).update({
        0x9286: b"ASCII\0\0\0" + hidden,  # UserComment
        0xA40B: hidden,  # DeviceSettingDescription
        0xC000: tuple(hidden),
    })  # fmt: skip
    exif.get_ifd(IFD.GPSInfo)[27] = b"ASCII\0\0\0" + hidden
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a b="' + hidden + b'"/></x:xmpmeta>'
    data = encode(photo(), "JPEG", exif=exif, xmp=xmp if len(xmp) < 65_000 else b"", comment=hidden)
    for regions in ((), (MIDDLE,)):
        result = run(data, Gaussian(2), *regions, keep_metadata=True).data
        assert b"An artist" in result
        for written in (hidden, preview, hidden.decode("latin-1").encode("utf-16-le")):
            assert written[10:40] not in result


def test_what_people_write_is_kept() -> None:
    texts = ["Отпуск на море, 2019", "Ein schöner Tag – https://example.org/p?id=" + "a1" * 20, "写真", "x" * 300]
    for text in texts:
        exif = Image.Exif()
        exif[0x9C9C] = (text + "\0").encode("utf-16-le")
        exif.get_ifd(IFD.Exif)[0x9286] = b"UNICODE\0" + text.encode("utf-16-le")
        kept = opened(run(encode(photo(), "JPEG", exif=exif, comment=text.encode()), keep_metadata=True).data)
        assert kept.info["comment"] == text.encode()
        assert kept.getexif()[0x9C9C].decode("utf-16-le").rstrip("\0") == text
        assert kept.getexif().get_ifd(IFD.Exif)[0x9286] == b"UNICODE\0" + text.encode("utf-16-le")
