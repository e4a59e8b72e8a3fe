"""What an AVIF's properties say of the image: the area that is shown, and its colours."""

import struct

import numpy as np
import pytest
from PIL import Image

from services.blur_worker.engine.containers.iso_movie import count_plays, with_plays
from services.common.domain.spec import Format, Gaussian, Region, Solid
from tests.support.images import encode, encode_frames, frames, opened, photo, samples
from tests.unit.engine.running import run


def with_property(avif: bytes, name: bytes, content: bytes) -> bytes:
    """Add a property to the first item of a file by Pillow."""
    added = struct.pack(">I4s", 8 + len(content), name) + content
    data = bytearray(avif)
    ipco, ipma = data.index(b"ipco"), data.index(b"ipma")
    count = sum(1 for _ in boxes(bytes(data[ipco + 4 : ipco - 4 + size_at(data, ipco)])))
    # Its number goes behind those that the first item has; each is a byte.
    entry = ipma + 4 + 8 + 2
    associated = data[entry]
    data[entry] += 1
    data[entry + 1 + associated : entry + 1 + associated] = bytes([0x80 | (count + 1)])
    grow(data, b"ipma", 1)
    end = ipco - 4 + size_at(data, ipco)
    data[end:end] = added
    grow(data, b"ipco", len(added))
    for outer in (b"iprp", b"meta"):
        grow(data, outer, 1 + len(added))
    # The pixels have moved; Pillow writes one extent of one item with offsets of four bytes.
    iloc = data.index(b"iloc")
    place = data.index(struct.pack(">I", avif.index(b"mdat") + 4), iloc)
    struct.pack_into(">I", data, place, data.index(b"mdat") + 4)
    return bytes(data)


def size_at(data: bytearray, name_at: int) -> int:
    return int.from_bytes(data[name_at - 4 : name_at], "big")


def grow(data: bytearray, name: bytes, by: int) -> None:
    at = data.index(name)
    struct.pack_into(">I", data, at - 4, size_at(data, at) + by)


def boxes(data: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(data):
        found.append(data[at + 4 : at + 8])
        at += int.from_bytes(data[at : at + 4], "big")
    return found


def clap(width: int, height: int, x: int, y: int, denominator: int = 1) -> bytes:
    return struct.pack(">IIIIiIiI", width, 1, height, 1, x, denominator, y, denominator)


@pytest.mark.parametrize(
    ("content", "box"),
    [
        (clap(48, 32, -24, -16), (0, 0, 48, 32)),
        (clap(48, 32, 24, 16), (48, 32, 96, 64)),
        (clap(47, 31, 1, -1, 2), (25, 16, 72, 47)),
        (clap(48, 32, 30, 16), None),
        (clap(0, 32, 0, 0), None),
        (clap(48, 32, 1, 1, 2), None),
    ],
)
def test_what_was_cropped_away_stays_away(content: bytes, box: tuple[int, int, int, int] | None) -> None:
    plain = encode(photo(), "AVIF", quality=95)
    data = with_property(plain, b"clap", content)
    expected = opened(plain).crop(box) if box else opened(plain)
    for target in (Format.AVIF, Format.PNG):
        result = run(data, Gaussian(0.1), output_format=target, quality=100)
        assert (result.width, result.height) == expected.size
        assert np.abs(samples(opened(result.data)) - samples(expected)).mean() < 3


def test_the_aperture_comes_before_the_turning() -> None:
    plain = encode(photo(), "AVIF", quality=95)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encode(photo(), "AVIF", quality=95, exif=exif)
    result = run(with_property(turned, b"clap", clap(48, 32, -24, -16)), Gaussian(0.1), output_format=Format.PNG)
    expected = opened(plain).crop((0, 0, 48, 32)).transpose(Image.Transpose.ROTATE_270)
    assert np.abs(samples(opened(result.data)) - samples(expected)).mean() < 3


def nclx(data: bytes) -> tuple[int, int]:
    at = data.index(b"colrnclx") + 8
    primaries, transfer = struct.unpack_from(">HH", data, at)
    return primaries, transfer


@pytest.mark.parametrize("code_points", [(12, 13), (9, 16), (9, 18), (1, 1)])
@pytest.mark.parametrize("animated", [False, True])
def test_code_points_are_kept(code_points: tuple[int, int], *, animated: bool) -> None:
    images = [Image.fromarray(np.asarray(frame)) for frame in frames(2)]  # without a profile
    data = bytearray(encode_frames(images, "AVIF", duration=50) if animated else encode(images[0], "AVIF"))
    at = data.find(b"colrnclx")
    while at >= 0:
        struct.pack_into(">HH", data, at + 8, *code_points)
        at = data.find(b"colrnclx", at + 1)
    for effect, regions in ((Gaussian(2), ()), (Solid(), (Region("box", 0, 0, 0.1, 0.1),))):
        assert nclx(run(bytes(data), effect, *regions).data) == code_points
    png = run(bytes(data), output_format=Format.PNG).data
    at = png.index(b"cICP")
    assert tuple(png[at + 4 : at + 8]) == (*code_points, 0, 1)


def test_chroma_is_as_fine_as_in_the_original() -> None:
    stripes = Image.fromarray(np.tile(np.array([[[255, 0, 0], [0, 0, 255]]], np.uint8), (64, 32, 1)))
    data = encode(stripes, "AVIF", quality=100, subsampling="4:4:4")
    result = opened(run(data, Solid(), Region("box", 0, 0, 0.1, 0.1), quality=100).data)
    assert np.abs(samples(result) - samples(stripes))[:, 20:].mean() < 3


@pytest.mark.parametrize("plays", [0, 1, 2, 6])
def test_an_animation_is_played_as_often_as_before(plays: int) -> None:
    pictures = [photo(24, 16).rotate(20 * number) for number in range(3)]
    webp = encode_frames(pictures, "WEBP", lossless=True, duration=100, loop=plays)
    corner = Region("box", 0, 0, 0.1, 0.1)
    avif = run(webp, Solid(), corner, output_format=Format.AVIF).data
    again = run(avif, Solid(), corner).data
    for data in (avif, again):
        # As Chromium reads it (libavif): the duration of the track in terms of that of its edit list, or for ever.
        (duration,) = struct.unpack_from(">Q", data, data.index(b"tkhd") + 4 + 28)
        flags, (once,) = data[data.index(b"elst") + 7], struct.unpack_from(">Q", data, data.index(b"elst") + 12)
        assert once == 300
        assert (duration, flags) == ({0: 2**64 - 1}.get(plays, plays * 300), plays != 1)
    png = run(again, Solid(), corner, output_format=Format.PNG).data
    assert struct.unpack_from(">II", png, png.index(b"acTL") + 4) == (3, plays)


def test_an_animation_without_edit_lists_stays_as_it_is() -> None:
    avif = encode_frames([photo(24, 16), photo(24, 16).rotate(20)], "AVIF", duration=100)
    assert with_plays(avif, 3) != avif
    for missing in (b"edts", b"elst", b"tkhd", b"moov"):
        other = avif.replace(missing, b"free")
        assert with_plays(other, 3) == other


def test_a_damaged_edit_list_is_no_endless_number() -> None:
    pictures = [photo(24, 16).rotate(20 * number) for number in range(2)]
    avif = encode_frames(pictures, "AVIF", duration=100)
    for at in (avif.index(b"tkhd") + 4, avif.index(b"elst") + 4):
        for value in (b"\0" * 28, b"\x01" + b"\xff" * 27, b"\x01\0\0\x01" + b"\0" * 23 + b"\x01"):
            damaged = avif[:at] + value + avif[at + 28 :]
            assert 0 <= count_plays(damaged) <= 65_535
    assert [count_plays(avif[:size]) for size in range(len(avif))] == [0] * len(avif)
