"""The PNG decoder and encoder against a direct implementation of the specification, Pillow, and damaged files."""

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from services.blur_worker.engine.containers.png_chunks import chunks
from services.blur_worker.engine.formats.png.read import read_png
from services.blur_worker.engine.formats.png.write import write_png
from services.blur_worker.engine.formats.reading import ReadRequest
from services.blur_worker.engine.raster import Raster, Samples
from services.common.domain.errors import ImageError, Reason
from services.common.domain.spec import OUTPUT_FORMATS, Format, Gaussian, Solid
from tests.support.images import encode, opened, photo, samples, whole_photo
from tests.unit.engine.formats.png_maker import chunk, make_png
from tests.unit.engine.running import LEFT_HALF, LIMITS, run

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
KINDS = pytest.mark.parametrize("kind", [np.uint8, np.uint16], ids=["8-bit", "16-bit"])
CHANNELS = pytest.mark.parametrize("channels", MODES)


def noisy_photo(channels: int, kind: type[np.unsignedinteger], width: int = 61, height: int = 43) -> Samples:
    """A photograph whose lower bytes are noise."""
    grey = np.asarray(photo(width, height).convert("RGBA"))[..., :channels].astype(np.uint16)
    if kind is np.uint8:
        return grey.astype(np.uint8)
    noise = np.random.default_rng(2).integers(0, 256, grey.shape, np.uint16)
    noisy: Samples = np.add(grey * np.uint16(256), noise)
    return noisy


def decoded(data: bytes) -> Samples:
    request = ReadRequest(limits=LIMITS, all_frames=False, target=Format.PNG, keep_metadata=False)
    (frame,) = read_png(data, request).frames
    return frame.raster.samples


@KINDS
@CHANNELS
@pytest.mark.parametrize("filters", [(0,), (1,), (2,), (3,), (4,), (4, 0, 3, 2, 1)], ids=str)
@pytest.mark.parametrize("interlaced", [False, True])
def test_every_filter_and_layout_is_read(
    channels: int, kind: type[np.unsignedinteger], filters: tuple[int, ...], interlaced: bool
) -> None:
    before = noisy_photo(channels, kind)
    assert (decoded(make_png(before, filters, interlaced=interlaced, pieces=3)) == before).all()


@KINDS
@given(data=st.data())
def test_any_pixels_of_any_size_survive(kind: type[np.unsignedinteger], data: st.DataObject) -> None:
    shape = st.tuples(st.integers(1, 20), st.integers(1, 20), st.integers(1, 4))
    before = data.draw(shape.flatmap(lambda size: hnp.arrays(kind, size)))
    filters = data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=5))
    interlaced = data.draw(st.booleans())
    assert (decoded(make_png(before, filters, interlaced=interlaced)) == before).all()
    written = write_png([Raster(MODES[before.shape[2]], before)], [0], plays=0, metadata=[])
    assert (decoded(written) == before).all()
    if kind is np.uint8:
        assert (samples(opened(written)).reshape(before.shape) == before).all()


@KINDS
@CHANNELS
@pytest.mark.parametrize("interlaced", [False, True])
def test_pixels_outside_regions_stay_bit_identical(
    channels: int, kind: type[np.unsignedinteger], interlaced: bool
) -> None:
    before = noisy_photo(channels, kind, 60)
    result = run(make_png(before, (4, 3, 1), interlaced=interlaced), Gaussian(2), LEFT_HALF)
    after = decoded(result.data)
    assert after.dtype == kind
    assert (after[:, 30:] == before[:, 30:]).all()
    assert (after[:, :30] != before[:, :30]).mean() > 0.5


def test_pillow_reads_the_result_and_writes_no_smaller_one() -> None:
    for mode in ("L", "RGB", "RGBA"):
        for sigma in (2, 20):
            blurred = run(encode(whole_photo().convert(mode), "PNG"), Gaussian(sigma))
            again = encode(opened(blurred.data), "PNG")
            assert len(blurred.data) < 1.07 * len(again), (mode, sigma)


def test_a_small_image_is_hardly_larger_than_pillows() -> None:
    image = photo(24, 16)
    blurred = run(encode(image, "PNG"), Gaussian(2)).data
    assert len(blurred) < 1.1 * len(encode(opened(blurred), "PNG"))


def test_every_chunk_has_its_checksum() -> None:
    data = run(encode(photo(), "PNG", dpi=(300, 300))).data
    names = []
    for name, content in chunks(data):
        at = data.index(name + bytes(content))
        assert zlib.crc32(name + bytes(content)) == int.from_bytes(data[at + 4 + len(content) :][:4], "big")
        names.append(name)
    assert (names[0], names[-1]) == (b"IHDR", b"IEND")
    assert names.index(b"pHYs") < names.index(b"IDAT")


def test_a_transparent_colour_of_sixteen_bits() -> None:
    before = noisy_photo(3, np.uint16)
    before[:, 30:] = (1000, 2000, 3001)
    data = make_png(before, (1,))
    key = chunk(b"tRNS", (1000).to_bytes(2, "big") + (2000).to_bytes(2, "big") + (3001).to_bytes(2, "big"))
    result = decoded(run(data[:33] + key + data[33:], Solid(), LEFT_HALF).data)
    assert (result[:, 31:, 3] == 0).all()


@pytest.mark.parametrize("damage", ["cut", "filter", "flipped", "no-pixels", "extra-rows"])
def test_damage_is_detected(damage: str) -> None:
    before = noisy_photo(3, np.uint8)
    data = make_png(before, (4,))
    match damage:
        case "cut":
            data = data[: len(data) // 2]
        case "filter":
            data = data[:33] + chunk(b"IDAT", zlib.compress(bytes([9] * (1 + 61 * 3)) * 43)) + chunk(b"IEND", b"")
        case "flipped":
            broken = bytearray(data)
            broken[60] ^= 0xFF
            data = bytes(broken)
        case "no-pixels":
            data = data[:33] + chunk(b"IEND", b"")
        case _:
            raw = zlib.compress(bytes(1 + 61 * 3) * 42)
            data = data[:33] + chunk(b"IDAT", raw) + chunk(b"IEND", b"")
    with pytest.raises(ImageError) as caught:
        run(data)
    assert caught.value.reason is Reason.CORRUPT


def test_a_deflate_bomb_takes_no_memory() -> None:
    header = make_png(np.zeros((1, 1, 3), np.uint8), (0,))[:33]
    bomb = header + chunk(b"IDAT", zlib.compress(bytes(1 << 28))) + chunk(b"IEND", b"")
    assert decoded(bomb).shape == (1, 1, 3)


def test_text_after_the_pixels_is_kept_when_asked() -> None:
    plain = encode(photo(), "PNG")
    data = plain[:-12] + chunk(b"tEXt", b"Title\0A photograph") + plain[-12:]
    assert opened(run(data, keep_metadata=True).data).text == {"Title": "A photograph"}
    assert b"photograph" not in run(data).data


def test_every_format_takes_sixteen_bit_colours() -> None:
    for target in OUTPUT_FORMATS:
        result = run(make_png(noisy_photo(4, np.uint16), (2,)), Gaussian(1), output_format=target)
        assert result.format is target
        assert opened(result.data).size == (61, 43)
