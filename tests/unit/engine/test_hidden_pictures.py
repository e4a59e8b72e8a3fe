"""Pictures that phones put beside, into and behind a picture show the original: none of their bytes is in a result."""

import struct
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from services.blur_worker.engine.containers.iso_media import boxes, displayed_properties
from services.common.domain.spec import Effect, Format, Gaussian, Region, Solid
from tests.support.heif_files import Item, box, full_box, heif, ispe
from tests.support.images import encode, opened, photo
from tests.unit.engine.running import MIDDLE, run

SECRET = photo(80, 56)
TARGETS = [None, Format.PNG, Format.AVIF, Format.WEBP, Format.TIFF]
_PIECE = 12
_COMMON = 6  # fewer different bytes than this are no sign of anything


def shows(data: bytes, secrets: list[bytes]) -> bool:
    """Whether a piece of a secret is in a file."""
    pieces = (secret[start : start + _PIECE] for secret in secrets for start in range(len(secret) - _PIECE))
    return any(piece in data for piece in pieces if len(set(piece)) >= _COMMON)


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def inside(jpeg: bytes) -> bytes:
    """The coded pixels of a JPEG, without tables that any other has too."""
    return jpeg[jpeg.rindex(b"\xff\xda") + 14 :]


def phone_jpeg() -> tuple[bytes, list[bytes]]:
    """A JPEG with a thumbnail in EXIF, a preview in APP segments, a gain map by MPF and XMP, and Samsung's trailer."""
    main = encode(photo(), "JPEG", quality=92)
    thumbnail, preview, gain_map = (encode(SECRET.rotate(turn), "JPEG", quality=71 + turn) for turn in (1, 2, 3))
    video = np.random.default_rng(5).bytes(4000)
    exif = Image.Exif()
    exif[0x010F] = "Phone"
    exif.get_ifd(0x8769)[0x927C] = preview  # a maker note
    app1 = exif.tobytes()
    with_thumbnail = app1[:-4] + struct.pack(">I", len(app1) - 6) if app1.endswith(bytes(4)) else app1
    mpf = b"MPF\0MM\0*\0\0\0\x08" + struct.pack(">HHHIIHHII", 2, 0xB001, 4, 1, 2, 0xB002, 7, 32, 50) + bytes(36)
    xmp = (
        b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description '
        b'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0" '
        b'xmlns:GCamera="http://ns.google.com/photos/1.0/camera/" GCamera:MotionPhoto="1" '
        b'GCamera:MicroVideoOffset="4000"/></rdf:RDF></x:xmpmeta>'
    )
    trailer = video + b"\0\0\x30\x0aMotionPhoto_Data" + preview + b"SEFH" + bytes(20) + b"SEFT"
    data = (
        main[:2]
        + segment(0xE1, with_thumbnail + thumbnail)
        + segment(0xE1, xmp)
        + segment(0xE2, mpf)
        + segment(0xEC, b"Ducky" + preview)
        + segment(0xE4, preview)
        + main[2:]
        + gain_map
        + trailer
    )
    return data, [inside(thumbnail), inside(preview), inside(gain_map), video]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("keep_metadata", [False, True])
@pytest.mark.parametrize("regions", [(), (MIDDLE,)], ids=["whole", "region"])
@pytest.mark.parametrize("effect", [Gaussian(4), Solid()])
def test_of_a_jpeg(target: Format | None, effect: Effect, regions: tuple[Region, ...], *, keep_metadata: bool) -> None:
    data, secrets = phone_jpeg()
    assert all(shows(data, [secret]) for secret in secrets)
    result = run(data, effect, *regions, output_format=target, keep_metadata=keep_metadata)
    assert not shows(result.data, secrets)
    assert (result.width, result.height, result.frames) == (96, 64, 1)
    assert b"MPF" not in result.data
    assert b"MotionPhoto" not in result.data
    assert b"hdrgm" not in result.data
    if keep_metadata and target in {None, Format.PNG}:
        assert opened(result.data).getexif()[0x010F] == "Phone"


def avif_item(image: Image.Image, *properties: bytes, **references: list[int]) -> Item:
    file = BytesIO()
    image.save(file, "AVIF", quality=80)
    (data,) = (bytes(content) for name, content in boxes(memoryview(file.getvalue())) if name == b"mdat")
    own = displayed_properties(file.getvalue())
    parts = [box(name, own[name]) for name in (b"av1C", b"pixi", b"colr") if name in own]
    named = {name.encode(): numbers for name, numbers in references.items()}
    return Item(type=b"av01", data=data, properties=[*parts, ispe(*image.size), *properties], references=named)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("keep_metadata", [False, True])
def test_of_an_avif(target: Format | None, *, keep_metadata: bool) -> None:
    kinds = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:depth", b"urn:com:apple:photo:2020:aux:hdrgainmap")
    extras = [avif_item(SECRET.convert("L"), full_box(b"auxC", kind + b"\0"), auxl=[1]) for kind in kinds]
    extras += [avif_item(SECRET.rotate(3), thmb=[1]), avif_item(SECRET.rotate(5))]
    video = np.random.default_rng(6).bytes(4000)
    data = heif([avif_item(photo()), *extras], brand=b"avif", trailer=box(b"mpvd", video))
    secrets = [item.data[20:] for item in extras] + [video]
    assert all(shows(data, [secret]) for secret in secrets)
    result = run(data, Solid(), MIDDLE, output_format=target, keep_metadata=keep_metadata)
    assert not shows(result.data, secrets)
    assert (result.width, result.height, result.frames) == (96, 64, 1)
