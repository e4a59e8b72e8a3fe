"""BMPs whose channels are described by masks, and run-length encoded ones."""

import struct

import numpy as np
import pytest

from services.common.domain.errors import ImageError, Reason
from services.common.domain.spec import Format, Region, Solid
from tests.unit.engine.formats.png_frames import shown_frames
from tests.unit.engine.running import run

CORNER = Region("box", 0, 0, 0.01, 0.01)
BITFIELDS, ALPHA_BITFIELDS = 3, 6


def make_bmp(
    pixels: np.ndarray,
    bits: int,
    masks: tuple[int, ...],
    *,
    header: int = 124,
    compression: int = BITFIELDS,
    up: bool = True,
) -> bytes:
    """A file of pixels as numbers: shape (height, width), from the top."""
    height, width = pixels.shape
    rows = pixels[::-1] if up else pixels
    row_bytes = -(-width * bits // 32) * 4
    data = b"".join(row.astype(f"<u{bits // 8}").tobytes().ljust(row_bytes, b"\0") for row in rows)
    info = struct.pack(
        "<IiiHHIIiiII", header, width, height if up else -height, 1, bits, compression, len(data), 2835, 2835, 0, 0
    )
    described = struct.pack(f"<{len(masks)}I", *masks)
    whole = (info + described).ljust(header, b"\0")
    start = 14 + len(whole)
    return struct.pack("<2sIHHI", b"BM", start + len(data), 0, 0, start) + whole + data


KINDS = {
    "A1R5G5B5": (16, (0x7C00, 0x03E0, 0x001F, 0x8000)),
    "A4R4G4B4": (16, (0x0F00, 0x00F0, 0x000F, 0xF000)),
    "R5G6B5": (16, (0xF800, 0x07E0, 0x001F)),
    "X8B8G8R8": (32, (0x000000FF, 0x0000FF00, 0x00FF0000)),
    "A2R10G10B10": (32, (0x3FF00000, 0x000FFC00, 0x000003FF, 0xC0000000)),
    "A8R8G8B8": (32, (0x00FF0000, 0x0000FF00, 0x000000FF, 0xFF000000)),
}


@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_masks(kind: str, *, up: bool) -> None:
    bits, masks = KINDS[kind]
    pixels = np.random.default_rng(3).integers(0, 1 << bits, (9, 13))
    channels = [(pixels & mask) >> ((mask & -mask).bit_length() - 1) for mask in masks]
    most = [mask >> ((mask & -mask).bit_length() - 1) for mask in masks]
    expected = np.stack([np.rint(channel * 255 / each) for channel, each in zip(channels, most, strict=True)], axis=2)
    headers = (
        [(124, BITFIELDS), (108, BITFIELDS), (40, ALPHA_BITFIELDS)]
        if len(masks) == 4
        else [(124, BITFIELDS), (40, BITFIELDS)]
    )
    for header, compression in headers:
        data = make_bmp(pixels, bits, masks, header=header, compression=compression, up=up)
        result = run(data, Solid("#000000"), CORNER)
        (frame,) = shown_frames(run(result.data, Solid("#000000"), CORNER, output_format=Format.PNG).data)
        seen = (expected[..., 3] > 0) if len(masks) == 4 else np.ones(pixels.shape, bool)
        seen[0, 0] = False
        assert np.abs(frame[..., :3] - expected[..., :3])[seen].max() <= 1
        if len(masks) == 4:
            assert (np.abs(frame[..., 3] - expected[..., 3])[1:, 1:] <= 1).all()


def test_alpha_counts_even_if_it_is_nowhere_set() -> None:
    bits, masks = KINDS["A1R5G5B5"]
    pixels = np.random.default_rng(3).integers(0, 1 << 15, (9, 13))
    (frame,) = shown_frames(run(make_bmp(pixels, bits, masks), Solid(), CORNER, output_format=Format.PNG).data)
    assert (frame[1:, 1:, 3] == 0).all()


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("colors", [0, 2, 300])
def test_palettes_of_any_size(bits: int, colors: int) -> None:
    """A palette may be shorter or longer than there are indices."""
    count = colors or 1 << bits
    table = np.random.default_rng(6).integers(0, 256, (count, 4)).astype(np.uint8)
    indices = np.random.default_rng(7).integers(0, 1 << bits, (9, 13))
    rows = b""
    for row in indices[::-1]:
        text = "".join(f"{value:0{bits}b}" for value in row)
        text += "0" * (-len(text) % 32)
        rows += int(text, 2).to_bytes(len(text) // 8, "big")
    info = struct.pack("<IiiHHIIiiII", 40, 13, 9, 1, bits, 0, len(rows), 2835, 2835, colors, 0)
    start = 14 + 40 + table.nbytes
    data = struct.pack("<2sIHHI", b"BM", start + len(rows), 0, 0, start) + info + table.tobytes() + rows
    (frame,) = shown_frames(run(data, Solid("#000000"), CORNER, output_format=Format.PNG).data)
    padded = np.concatenate([table[:256], np.zeros((256, 4), np.uint8)])
    assert (frame[1:, 1:, :3] == padded[indices][1:, 1:, 2::-1]).all()


def test_other_compressions_are_named_and_damage_is_damage() -> None:
    bits, masks = KINDS["R5G6B5"]
    pixels = np.zeros((9, 13), np.int64)
    for data, reason in (
        (make_bmp(pixels, bits, masks, compression=4), Reason.UNSUPPORTED),
        (make_bmp(pixels, bits, masks, compression=5), Reason.UNSUPPORTED),
        (make_bmp(pixels, bits, masks)[:-40], Reason.CORRUPT),
    ):
        with pytest.raises(ImageError) as caught:
            run(data)
        assert caught.value.reason is reason


PALETTE = np.random.default_rng(8).integers(0, 256, (16, 3), np.uint8)


def make_runs(width: int, height: int, runs: bytes, *, bits: int = 8) -> bytes:
    """A run-length encoded file; the runs begin with the lowest row."""
    palette = b"".join(bytes([*color[::-1].tolist(), 0]) for color in PALETTE)
    start = 14 + 40 + len(palette)
    compression = {8: 1, 4: 2}[bits]
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(runs), 2835, 2835, 16, 0)
    return struct.pack("<2sIHHI", b"BM", start + len(runs), 0, 0, start) + header + palette + runs


def runs_of(indices: np.ndarray, bits: int, rng: np.random.Generator) -> bytes:
    """Encode rows by runs and literals of random lengths."""
    out = bytearray()
    for row in indices[::-1]:
        at = 0
        while at < len(row):
            count = min(int(rng.integers(1, 9)), len(row) - at)
            part = row[at : at + count]
            if count >= 3 and rng.random() < 0.5:
                padded = [*part.tolist(), 0] if bits == 4 and count % 2 else part.tolist()
                packed = (
                    bytes(padded)
                    if bits == 8
                    else bytes(a << 4 | b for a, b in zip(padded[::2], padded[1::2], strict=True))
                )
                out += bytes([0, count]) + packed + bytes(len(packed) % 2)
            else:
                # Of two indices in turn with 4 bits, else of one.
                pair = (int(part[0]), int(part[1] if bits == 4 and count > 1 else part[0]))
                same = next((n for n in range(count) if part[n] != pair[n % 2]), count)
                out += bytes([same, pair[0] << 4 | pair[1] if bits == 4 else pair[0]])
                count = same
            at += count
        out += b"\0\0"
    return bytes(out[:-2]) + b"\0\1"


def shown(data: bytes) -> np.ndarray:
    return shown_frames(run(data, Solid(), CORNER, output_format=Format.PNG).data)[0]


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("width", [1, 12, 33])
def test_runs(bits: int, width: int) -> None:
    rng = np.random.default_rng(width)
    indices = rng.integers(0, 3, (7, width)).repeat(3, axis=1)[:, :width]
    result = shown(make_runs(width, 7, runs_of(indices, bits, rng), bits=bits))
    assert (result[..., :3] == PALETTE[indices])[1:].all()


def test_pixels_that_runs_leave_out_are_black() -> None:
    runs = bytes([2, 1, 0, 0, 0, 2, 1, 1, 3, 2, 0, 1])
    result = shown(make_runs(4, 4, runs))
    drawn = np.array([[0, 0, 0, 0], [0, 1, 1, 1], [0, 0, 0, 0], [1, 1, 0, 0]])
    assert (result[drawn == 0][1:, :3] == 0).all()
    assert (result[1, 1:, :3] == PALETTE[2]).all()


def test_what_reaches_beyond_a_row_is_cut_off() -> None:
    result = shown(make_runs(2, 2, bytes([9, 1, 0, 0, 0, 5, 1, 2, 3, 4, 5, 0, 0, 1])))
    assert (result[1, :, :3] == PALETTE[1]).all()
    lower = shown(make_runs(2, 2, bytes([2, 1, 0, 2, 0, 9, 1, 2])))
    assert (lower[1, :, :3] == PALETTE[1]).all()


@pytest.mark.parametrize("runs", [b"", bytes([2, 1]), bytes([2, 1, 0, 0, 0, 2, 1]), bytes([0, 9, 1, 1])])
def test_runs_that_end_too_early_are_damaged(runs: bytes) -> None:
    with pytest.raises(ImageError) as caught:
        run(make_runs(2, 2, runs))
    assert caught.value.reason is Reason.CORRUPT


def test_the_mark_at_the_end_may_be_missing() -> None:
    assert run(make_runs(2, 1, bytes([2, 1]))).width == 2


def test_runs_of_24_bits_are_unsupported() -> None:
    data = bytearray(make_runs(2, 1, bytes([2, 1])))
    data[28] = 24
    with pytest.raises(ImageError) as caught:
        run(bytes(data))
    assert caught.value.reason is Reason.UNSUPPORTED


@pytest.mark.parametrize("alpha", [0, 1, 0x00328F5C, 0xFF000000])
def test_without_masks_any_alpha_mask_says_that_the_highest_byte_is_alpha(alpha: int) -> None:
    pixels = np.random.default_rng(3).integers(0, 1 << 32, (9, 13))
    data = make_bmp(pixels, 32, (0, 0, 0, alpha), compression=0)
    (frame,) = shown_frames(run(data, Solid("#000000"), CORNER, output_format=Format.PNG).data)
    expected = pixels >> 24 if alpha else np.full(pixels.shape, 255)
    assert (frame[1:, 1:, 3] == expected[1:, 1:]).all()


@pytest.mark.parametrize(("bits", "masks"), [(32, (0xF70000, 0xFF00, 0xFF)), (16, (0xF800, 0x7E0, 0x1F, 0xFF0000))])
def test_masks_that_no_pixel_has_are_unsupported(bits: int, masks: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match="gaps or is wider") as caught:
        run(make_bmp(np.zeros((9, 13), np.int64), bits, masks))
    assert caught.value.reason is Reason.UNSUPPORTED
