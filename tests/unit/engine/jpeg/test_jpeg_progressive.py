"""Progressive JPEGs: what is stored in another order gives the same, to the bit, as the sequential JPEG."""

import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image

from services.blur_worker.engine import Limits, blur
from services.blur_worker.engine.jpeg.decode.scan_script import LocatedScan, needed_scans, scan_script
from services.blur_worker.engine.jpeg.format.header_reader import HeaderReader
from services.blur_worker.engine.jpeg.whole import blur_whole
from services.common.domain.errors import ImageError, Reason
from services.common.domain.spec import BlurSpec, Gaussian, Solid
from tests.support.images import encode, opened, samples, whole_photo
from tests.unit.engine.jpeg import progressive_maker
from tests.unit.engine.jpeg.jpeg_planes import soft
from tests.unit.engine.jpeg.progressive_maker import Script, make_progressive, simple
from tests.unit.engine.running import LEFT_HALF, MIDDLE, run, small_images_too

KINDS: list[tuple[str, dict[str, Any]]] = [
    ("L", {"quality": 97}),
    ("RGB", {"subsampling": "4:4:4", "quality": 50}),
    ("RGB", {"subsampling": "4:2:2"}),
    ("RGB", {"subsampling": "4:2:0", "quality": 100}),
    ("RGB", {"subsampling": "4:2:0", "restart_marker_blocks": 3}),
]
SIZES = [(1, 1), (1, 9), (8, 8), (9, 9), (7, 3), (16, 16), (17, 33), (64, 96), (100, 1), (131, 70)]
SMALL = pytest.fixture(autouse=True)(small_images_too)
WHOLE = [Gaussian(sigma) for sigma in (0.5, 6, 20, 100)]
Y, CB, CR = (0,), (1,), (2,)
SCRIPTS: dict[str, Script] = {
    "as libjpeg": simple(3),
    "bands alone": [
        (Y, 0, 0, 0, 0), (Y, 1, 8, 0, 0), (Y, 9, 63, 0, 0), (CB, 0, 0, 0, 0), (CB, 1, 63, 0, 0), (CR, 0, 0, 0, 0),
        (CR, 1, 63, 0, 0),
    ],
    "bits alone": [
        ((0, 1, 2), 0, 0, 0, 3), ((0, 1), 0, 0, 3, 2), (CR, 0, 0, 3, 2), ((0, 1, 2), 0, 0, 2, 1),
        ((0, 1, 2), 0, 0, 1, 0),
        *(((each,), 1, 63, high, low) for high, low in ((0, 4), (4, 3), (3, 2), (2, 1), (1, 0)) for each in range(3)),
    ],
    "bands refined otherwise than they came": [
        ((1, 2), 0, 0, 0, 0), (Y, 0, 0, 0, 1), (CB, 1, 63, 0, 0), (CR, 1, 63, 0, 0), (Y, 1, 2, 0, 1), (Y, 3, 63, 0, 1),
        (Y, 0, 0, 1, 0), (Y, 1, 40, 1, 0), (Y, 41, 41, 1, 0), (Y, 42, 63, 1, 0),
    ],
}  # fmt: skip


def crop(size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    return soft(whole_photo().crop((100, 50, 100 + size[0], 50 + size[1])).convert(mode))


def located_scans(data: bytes) -> list[LocatedScan]:
    reader = HeaderReader(data)
    return scan_script(reader, *reader.first_scan())


@pytest.mark.parametrize(("mode", "options"), KINDS)
@pytest.mark.parametrize("size", SIZES)
def test_the_same_as_of_a_sequential_file(mode: str, options: dict[str, Any], size: tuple[int, int]) -> None:
    image = crop(size, mode)
    data, progressive = (encode(image, "JPEG", progressive=each, **options) for each in (False, True))
    assert b"\xff\xc2" in progressive
    for effect in WHOLE:
        result = run(progressive, effect)
        assert (result.path, result.width, result.height) == ("jpeg-coefficients", *size)
        assert result.data == run(data, effect).data


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(64, 48), (61, 37)])
def test_orientation_is_applied(orientation: int, size: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x112] = orientation
    data, progressive = (encode(crop(size), "JPEG", progressive=each, exif=exif) for each in (False, True))
    for effect in WHOLE:
        assert run(progressive, effect).data == run(data, effect).data


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("how", [{}, {"interval": 5}, {"length": 13}, {"run": 1}, {"run": 7, "interval": 2}])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
def test_any_scans(script: str, how: dict[str, int], subsampling: str) -> None:
    data = encode(crop((75, 41)), "JPEG", quality=95, subsampling=subsampling)
    progressive = make_progressive(data, SCRIPTS[script], **how)
    assert (samples(opened(progressive)) == samples(opened(data))).all()
    for effect in WHOLE:
        assert run(progressive, effect).data == run(data, effect).data
    result = run(progressive, Solid(), MIDDLE)
    assert (result.path, result.data) == ("jpeg-splice", run(data, Solid(), MIDDLE).data)


def test_long_runs_of_blocks_without_anything() -> None:
    data = encode(Image.new("L", (1160, 1160), 77), "JPEG")
    for bits in (0, 2):
        script: Script = [
            (Y, 0, 0, 0, 0),
            (Y, 1, 63, 0, bits),
            *((Y, 1, 63, low, low - 1) for low in range(bits, 0, -1)),
        ]
        assert run(make_progressive(data, script, run=32767)).data == run(data).data


@pytest.mark.parametrize(("mode", "options"), KINDS)
@pytest.mark.parametrize("size", [(96, 64), (99, 61), (5, 3)])
def test_regions_are_spliced(mode: str, options: dict[str, Any], size: tuple[int, int]) -> None:
    image = crop(size, mode)
    data, progressive = (encode(image, "JPEG", progressive=each, **options) for each in (False, True))
    result = run(progressive, Gaussian(5), LEFT_HALF)
    assert (result.path, result.data) == ("jpeg-splice", run(data, Gaussian(5), LEFT_HALF).data)


def test_scans_that_bring_nothing_of_what_is_kept_are_passed_over() -> None:
    wanted = np.zeros((3, 64), bool)
    wanted[:, 0] = True
    found = located_scans(make_progressive(encode(crop((64, 64)), "JPEG"), SCRIPTS["as libjpeg"]))
    assert [each.scan.ss for each in needed_scans(found, wanted)] == [0, 0]
    wanted[0, 1] = True
    chosen = [(each.scan.ss, each.scan.ah) for each in needed_scans(found, wanted)]
    assert chosen == [(0, 0), (1, 0), (6, 0), (1, 2), (0, 1), (1, 1)]
    alone = located_scans(make_progressive(encode(crop((64, 64)), "JPEG"), SCRIPTS["bands alone"]))
    chosen = [(each.scan.components[0], each.scan.ss) for each in needed_scans(alone, wanted)]
    assert chosen == [(0, 0), (0, 1), (1, 0), (2, 0)]


def test_damage_in_a_scan_that_is_passed_over_is_not_seen() -> None:
    data = bytearray(encode(crop((64, 64), "L"), "JPEG", progressive=True))
    sound = run(bytes(data), Gaussian(30)).data
    last = located_scans(bytes(data))[-1]
    assert last.scan.ss
    data[last.scan.start + 3 : last.scan.start + 40] = bytes(37)
    assert opened(bytes(data)).size == (64, 64)
    assert run(bytes(data), Gaussian(30)).data == sound


@pytest.mark.parametrize(
    ("before", "tables"), [(b"", 0x03), (b"\xff\xc4\x00\x15\x10\x02" + bytes(15) + b"\0\1", 0x00)], ids=["none", "full"]
)
def test_a_scan_that_is_passed_over_needs_its_table_all_the_same(before: bytes, tables: int) -> None:
    data = encode(crop((64, 64), "L"), "JPEG", progressive=True)
    at = data.rindex(b"\xff\xda")
    header = data[at : at + 6] + bytes([tables]) + data[at + 7 :]
    with pytest.raises(ImageError) as refused:
        run(data[:at] + before + header, Gaussian(30))
    assert refused.value.reason is Reason.CORRUPT


def test_a_component_keeps_the_divisors_that_it_began_with() -> None:
    data = make_progressive(encode(crop((64, 48)), "JPEG"), SCRIPTS["bands alone"])
    later = data.rindex(b"\xff\xda")
    other = data[:later] + b"\xff\xdb\x00\x43\x00" + bytes([99] * 64) + data[later:]
    assert (samples(opened(other)) == samples(opened(data))).all()
    for regions in ((), (LEFT_HALF,)):
        assert run(other, Gaussian(5), *regions).data == run(data, Gaussian(5), *regions).data


BROKEN: dict[str, Script] = {
    "the last bit is missing": simple(3)[:-1],
    "a component has no details": [each for each in simple(3) if each[0] != CR],
    "details before means": [(Y, 1, 63, 0, 0), ((0, 1, 2), 0, 0, 0, 0), (CB, 1, 63, 0, 0), (CR, 1, 63, 0, 0)],
    "a scan comes twice": [*simple(3), simple(3)[-1]],
    "bits out of order": [*simple(3)[:5], *simple(3)[6:]],
    "bits before they may come": [((0, 1, 2), 0, 0, 1, 0), *simple(3)[1:]],
    "a means scan with details": [((0, 1, 2), 0, 5, 0, 0)],
}


@pytest.mark.parametrize("script", BROKEN)
def test_what_is_not_all_there_or_out_of_order_is_left_to_libjpeg(script: str) -> None:
    data = make_progressive(encode(crop((48, 40)), "JPEG"), BROKEN[script])
    assert blur_whole(data, BlurSpec(), Limits(1_000_000)) is None
    try:
        expected = samples(opened(data)).shape
    except OSError:
        with pytest.raises(ImageError, match="damaged"):
            run(data)
    else:
        result = run(data)
        assert (result.path, samples(opened(result.data)).shape) == ("pixels", expected)


@pytest.mark.parametrize("more", [0, 1])
def test_an_eob_run_ends_with_its_restart_interval(more: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """T.81, G.1.2.2: EOBRUN does not cross a restart marker."""
    end_blocks = progressive_maker._Writer.end_blocks

    def end_more_blocks(writer: progressive_maker._Writer) -> None:
        writer.blocks += more if writer.blocks else 0
        end_blocks(writer)

    monkeypatch.setattr(progressive_maker._Writer, "end_blocks", end_more_blocks)
    flat = encode(Image.new("L", (64, 64), 90), "JPEG")
    data = make_progressive(flat, [(Y, 0, 0, 0, 0), (Y, 1, 63, 0, 0)], interval=16)
    assert (blur_whole(data, BlurSpec(), Limits(1_000_000)) is None) == bool(more)


@pytest.mark.parametrize("extra", [b"", b"\0"])
@pytest.mark.parametrize("progressive", [True, False])
def test_a_restart_interval_has_no_bytes_left(extra: bytes, *, progressive: bool) -> None:
    """T.81, F.2.2.5: a restart marker follows the last MCU of its interval, padded to a byte."""
    data = encode(crop((64, 64)), "JPEG", progressive=progressive, restart_marker_blocks=2)
    at = data.index(b"\xff\xd0")
    damaged = data[:at] + extra + data[at:]
    assert (blur_whole(damaged, BlurSpec(), Limits(1_000_000)) is None) == bool(extra)


def test_truncated_anywhere_it_is_refused() -> None:
    data = encode(crop((40, 24)), "JPEG", progressive=True)
    for end in range(200, len(data) - 1, 7):
        with pytest.raises(ImageError) as refused:
            run(data[:end], Gaussian(30))
        assert refused.value.reason is Reason.CORRUPT


def test_it_is_refused_if_it_is_too_large() -> None:
    data = bytearray(encode(crop((40, 24)), "JPEG", progressive=True))
    at = data.index(b"\xff\xc2") + 5
    data[at : at + 4] = struct.pack(">HH", 9000, 9000)
    for regions in ((), (LEFT_HALF,)):
        with pytest.raises(ImageError) as refused:
            blur(bytes(data), BlurSpec(regions=regions), Limits(80_000_000))
        assert refused.value.reason is Reason.TOO_LARGE
