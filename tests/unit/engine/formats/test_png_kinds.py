"""PNGs of every colour type and depth, and animated ones as browsers compose them."""

import struct
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray

from services.common.domain.errors import ImageError, Reason
from services.common.domain.spec import Format, Region, Solid
from tests.support.images import encode, opened, photo, samples
from tests.unit.engine.formats.png_frames import shown_frames
from tests.unit.engine.formats.png_maker import PASSES, chunk, make_png
from tests.unit.engine.running import LIMITS, run

CORNER = Region("box", 0, 0, 0.01, 0.01)
SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, PALETTE = 0, 3


def packed_rows(samples_: NDArray[np.integer], bits: int) -> bytes:
    rows = []
    for row in samples_:
        text = "".join(f"{int(value):0{bits}b}" for value in row)
        text += "0" * (-len(text) % 8)
        rows.append(b"\0" + int(text, 2).to_bytes(len(text) // 8, "big"))
    return b"".join(rows)


def small_png(
    values: NDArray[np.integer], bits: int, color_type: int, *more: bytes, interlaced: bool = False, end: bool = True
) -> bytes:
    height, width = values.shape
    parts = [values[top::down, left::across] for left, top, across, down in PASSES] if interlaced else [values]
    data = b"".join(packed_rows(part, bits) for part in parts if part.size)
    header = struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, interlaced)
    pixels = chunk(b"IDAT", zlib.compress(data))
    return SIGNATURE + chunk(b"IHDR", header) + b"".join(more) + pixels + (chunk(b"IEND", b"") if end else b"")


def noise(bits: int, height: int = 13, width: int = 21) -> NDArray[np.int64]:
    return np.random.default_rng(bits).integers(0, 1 << bits, (height, width))


def shown(data: bytes) -> NDArray[np.uint8]:
    (frame,) = shown_frames(run(data, Solid("#000000"), CORNER, output_format=Format.PNG).data)
    return frame


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_the_transparent_grey_is_transparent(bits: int, *, interlaced: bool) -> None:
    values = noise(bits)
    most = (1 << bits) - 1
    for key in {0, most, most // 2}:
        marks = chunk(b"tRNS", struct.pack(">H", key | 0x100))  # the upper byte means nothing
        frame = shown(small_png(values, bits, GREY, marks, interlaced=interlaced))
        assert ((frame[..., 3] == 0) == (values == key))[1:, 1:].all()
        assert (frame[..., 0] == values * (255 // most))[1:, 1:][(values != key)[1:, 1:]].all()


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_a_transparent_grey_that_cannot_be_is_nowhere(bits: int) -> None:
    marks = chunk(b"tRNS", struct.pack(">H", (1 << bits) | 1))
    assert (shown(small_png(noise(bits), bits, GREY, marks))[..., 3] == 255).all()


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palettes(bits: int, *, interlaced: bool) -> None:
    values = noise(bits)
    colors = np.random.default_rng(7).integers(0, 256, (1 << bits, 3)).astype(np.uint8)
    alpha = np.random.default_rng(8).integers(0, 256, max(1, (1 << bits) - 1)).astype(np.uint8)
    alpha[0] = 0
    chunks_ = chunk(b"PLTE", colors.tobytes()), chunk(b"tRNS", alpha.tobytes())
    frame = shown(small_png(values, bits, PALETTE, *chunks_, interlaced=interlaced))
    expected = np.append(alpha, 255)[np.minimum(values, len(alpha))]
    assert (frame[..., 3] == expected)[1:, 1:].all()
    assert (frame[..., :3] == colors[values])[1:, 1:][(expected > 0)[1:, 1:]].all()
    opaque = shown(small_png(values, bits, PALETTE, chunks_[0], interlaced=interlaced))
    assert (opaque[..., :3] == colors[values])[1:, 1:].all()


def test_an_index_beyond_the_palette_has_its_last_colour() -> None:
    frame = shown(small_png(np.full((4, 4), 3), 2, PALETTE, chunk(b"PLTE", bytes([*[0] * 6, 10, 20, 30]))))
    assert (frame[1:, 1:, :3] == (10, 20, 30)).all()


def test_an_animation_of_impossibly_many_frames_is_none() -> None:
    still = small_png(np.full((4, 4), 9), 8, GREY)
    frame = struct.pack(">IIIIIHHBB", 0, 4, 4, 0, 0, 1, 10, 0, 0)
    rows = zlib.compress(bytes([0, 200, 200, 200, 200]) * 4)
    for count, color in ((1, 200), (0, 9), (1 << 31 | 1, 9)):
        animated = chunk(b"acTL", struct.pack(">II", count, 0))
        later = chunk(b"fcTL", frame) + chunk(b"fdAT", struct.pack(">I", 1) + rows)
        data = still[:33] + animated + still[33:-12] + later + still[-12:]
        assert (shown(data)[1:, 1:, 0] == color).all()


@pytest.mark.parametrize("keep", [False, True])
def test_the_end_may_be_missing(*, keep: bool) -> None:
    text = chunk(b"tEXt", b"Title\0A photograph")
    for late in (b"", text):
        whole = small_png(noise(8), 8, GREY)[:-12] + late
        expected = run(whole + chunk(b"IEND", b""), Solid(), CORNER, keep_metadata=keep)
        assert run(whole, Solid(), CORNER, keep_metadata=keep).data == expected.data


def animated(
    size: tuple[int, int],
    frames: list[tuple[tuple[int, int], NDArray[np.uint8] | NDArray[np.uint16], int, int]],
    *,
    default: NDArray[np.uint8] | None = None,
) -> bytes:
    """Frames of RGBA: where they begin (left, top), pixels, disposal (0 to 2), blending (1: over)."""
    depth = frames[0][1].itemsize
    parts = [
        SIGNATURE,
        chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8 * depth, 6, 0, 0, 0)),
        chunk(b"acTL", struct.pack(">II", len(frames), 0)),
    ]
    number = 0
    if default is not None:
        parts.append(chunk(b"IDAT", stream_of(default)))
    for index, ((left, top), pixels, disposal, blend) in enumerate(frames):
        height, width = pixels.shape[:2]
        control = struct.pack(">IIIIIHHBB", number, width, height, left, top, 1, 10, disposal, blend)
        parts.append(chunk(b"fcTL", control))
        number += 1
        if index == 0 and default is None:
            parts.append(chunk(b"IDAT", stream_of(pixels)))
        else:
            parts.append(chunk(b"fdAT", struct.pack(">I", number) + stream_of(pixels)))
            number += 1
    return b"".join([*parts, chunk(b"IEND", b"")])


def stream_of(pixels: NDArray[np.unsignedinteger]) -> bytes:
    big = pixels.astype(pixels.dtype.newbyteorder(">"))
    return zlib.compress(b"".join(b"\0" + row.tobytes() for row in big))


def composed(
    size: tuple[int, int], frames: list[tuple[tuple[int, int], NDArray[np.unsignedinteger], int, int]], most: int = 255
) -> list[NDArray[np.float64]]:
    """Premultiplied RGBA, as the specification says it."""
    canvas = np.zeros((size[1], size[0], 4))
    found = []
    for index, ((left, top), pixels, disposal, blend) in enumerate(frames):
        height, width = pixels.shape[:2]
        area = np.s_[top : top + height, left : left + width]
        before = canvas[area].copy()
        source = pixels.astype(np.float64) / most
        source[..., :3] *= source[..., 3:]
        canvas[area] = source + before * (1 - source[..., 3:]) if blend else source
        found.append(canvas.copy())
        if disposal == 1 or (disposal == 2 and index == 0):
            canvas[area] = 0
        elif disposal == 2:
            canvas[area] = before
    return found


def pixels(
    height: int, width: int, seed: int, dtype: type[np.unsignedinteger] = np.uint8
) -> NDArray[np.unsignedinteger]:
    """Some opaque, some half, some not at all."""
    rng = np.random.default_rng(seed)
    most = np.iinfo(dtype).max
    found = rng.integers(0, most, (height, width, 4), endpoint=True).astype(dtype)
    found[..., 3] = rng.choice([0, most // 3, most // 2, most, most], (height, width))
    return found


@pytest.mark.parametrize("disposal", [0, 1, 2])
@pytest.mark.parametrize("blend", [0, 1])
@pytest.mark.parametrize("apart", [False, True])
def test_frames_are_composed(disposal: int, blend: int, *, apart: bool) -> None:
    size = (24, 18)
    first = ((3, 2), pixels(10, 12, 1), disposal, blend) if apart else ((0, 0), pixels(18, 24, 1), disposal, blend)
    made = [
        first,
        ((5, 4), pixels(8, 9, 2), disposal, blend),
        ((0, 0), pixels(18, 24, 3), disposal, 1),
        ((7, 1), pixels(12, 12, 4), 0, 1),
    ]
    default = pixels(18, 24, 9) if apart else None
    result = run(animated(size, made, default=default), Solid("#000000"), CORNER)
    assert result.frames == 4
    for found, wanted in zip(shown_frames(result.data), composed(size, made), strict=True):
        shown_ = found.astype(np.float64) / 255
        shown_[..., :3] *= shown_[..., 3:]
        assert np.abs(shown_ - wanted)[1:, 1:].max() < 1.5 / 255


def test_an_animation_keeps_16_bits() -> None:
    size = (20, 16)
    made = [((0, 0), pixels(16, 20, 1, np.uint16), 0, 0), ((4, 3), pixels(9, 9, 2, np.uint16), 0, 1)]
    result = run(animated(size, made), Solid("#000000"), CORNER)
    assert result.data[24:26] == b"\x10\x06"
    last = result.data.rindex(b"fdAT")
    box = struct.unpack_from(">IIII", result.data, result.data.rindex(b"fcTL") + 8)
    stored = zlib.decompress(result.data[last + 8 : -16 + 4])
    width, height, _, _ = box
    assert len(stored) == height * (1 + 8 * width)
    expected = composed(size, made, 65535)[1]
    still = run(animated(size, [((0, 0), np.rint(expected * 65535).astype(np.uint16), 0, 0)]), Solid("#000000"), CORNER)
    assert still.data[24:26] == b"\x10\x06"


def test_a_frame_beyond_the_image_is_damage() -> None:
    made = [((0, 0), pixels(8, 8, 1), 0, 0), ((4, 4), pixels(8, 8, 2), 0, 0)]
    with pytest.raises(ImageError) as caught:
        run(animated((8, 8), made))
    assert caught.value.reason is Reason.CORRUPT


def test_chunks_and_frames_are_counted() -> None:
    plain = encode(photo(), "PNG")
    many = LIMITS.max_segments + 1
    dot = ((0, 0), pixels(1, 1, 1), 0, 0)
    for data, name in (
        (plain[:33] + chunk(b"tIMe", b"") * many + plain[33:], "chunks"),
        (plain[:33] + chunk(b"IDAT", b"") * many + plain[33:], "chunks"),
        (animated((1, 1), [dot] * (LIMITS.max_frames + 1)), "frames"),
    ):
        with pytest.raises(ImageError, match=name) as caught:
            run(data)
        assert caught.value.reason is Reason.TOO_LARGE
    pieces = make_png(np.asarray(photo()), (1,), pieces=2000)
    assert (samples(opened(run(pieces, Solid(), CORNER).data)) == samples(photo()))[2:, 2:].all()
