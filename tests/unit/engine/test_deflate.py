"""What deflate may be asked to pack, as others unpack it: every length and distance, codes of every length."""

import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from isal import isal_zlib
from numpy.typing import NDArray

from services.blur_worker.engine.deflate import packing
from services.blur_worker.engine.deflate.codes import codes_of, lengths_of
from services.blur_worker.engine.deflate.matches import DISTANCE_CODE, LENGTH_CODE

Bytes = NDArray[np.uint8]
PART = packing.BLOCK_BYTES + 70_001
RNG = np.random.default_rng(3)


def packed(data: Bytes, part: int = PART) -> bytes:
    """A deflate stream without a header."""
    costs, words = packing.first_costs(), np.empty(packing.room_for(part), np.uint32)
    waiting, count, out = np.uint64(0), np.uint64(0), b""
    for first in range(0, len(data), part):
        last = first + part >= len(data)
        waiting, count, full = packing.pack(data[first : first + part], last, waiting, count, costs, words)
        out += words[:full].astype("<u4").tobytes()
    return out + int(waiting).to_bytes(4, "little")[: -(-int(count) // 8)]


def unpacked(data: bytes) -> bytes:
    """By zlib and by isal, to the last bit."""
    one = zlib.decompressobj(-15)
    result = one.decompress(data)
    assert one.eof
    assert not one.unused_data
    assert isal_zlib.decompress(data, -15) == result
    return result


def repeated_after(distance: int) -> Bytes:
    piece = RNG.integers(0, 256, 400, np.uint8)
    return np.concatenate([piece, np.zeros(distance - 400, np.uint8), piece])


def as_often_as_fibonacci() -> Bytes:
    """Codes that would be 23 bits long, without any byte that repeats the one before for long."""
    counts = [1, 1]
    while len(counts) < 24:
        counts.append(counts[-1] + counts[-2])
    return RNG.permutation(np.repeat(np.arange(24, dtype=np.uint8), counts))


AWKWARD = {
    "flat": np.zeros(3 * PART, np.uint8),
    "flat-but-for-the-first": np.concatenate([[np.uint8(9)], np.zeros(700, np.uint8)]),
    "noise": RNG.integers(0, 256, 2 * PART + 1, np.uint8),
    "noise-of-two": RNG.integers(0, 2, 2 * PART + 5, np.uint8),
    "noise-after-flat": np.concatenate([np.zeros(PART, np.uint8), RNG.integers(0, 256, PART, np.uint8)]),
    "fibonacci": as_often_as_fibonacci(),
    "each-byte-once": np.arange(256, dtype=np.uint8),
    "farthest": repeated_after(32_768),
    "too-far": repeated_after(32_769),
    "periods": np.concatenate([np.resize(RNG.integers(0, 256, period, np.uint8), 900) for period in range(1, 300)]),
    "runs": np.repeat(RNG.integers(0, 256, 3000, np.uint8), RNG.integers(1, 300, 3000)),
    "one-byte": np.zeros(1, np.uint8),
}


@pytest.mark.parametrize("name", AWKWARD)
@pytest.mark.parametrize("part", [PART, packing.BLOCK_BYTES, 1000], ids=["large", "block", "small"])
def test_the_awkward_comes_through(name: str, part: int) -> None:
    data = AWKWARD[name].astype(np.uint8)
    assert unpacked(packed(data, part)) == data.tobytes()


@given(
    st.lists(st.tuples(st.binary(min_size=1, max_size=40), st.integers(1, 60)), min_size=1, max_size=40),
    st.integers(1, 3000),
)
def test_anything_comes_through_in_parts_of_any_size(pieces: list[tuple[bytes, int]], part: int) -> None:
    data = np.array(bytearray(b"".join(piece * count for piece, count in pieces)), np.uint8)
    assert unpacked(packed(data, part)) == data.tobytes()


def test_every_length_of_a_match() -> None:
    gaps = [RNG.integers(0, 256, 20, np.uint8) for _ in range(300)]
    source = RNG.integers(0, 256, 300, np.uint8)
    parts = [source, *(part for length in range(3, 300) for part in (gaps[length], source[:length]))]
    data = np.concatenate(parts)
    assert unpacked(packed(data)) == data.tobytes()


def test_repetition_is_found_where_it_saves() -> None:
    piece = RNG.integers(0, 256, 2000, np.uint8)
    assert len(packed(np.tile(piece, 10))) < 1.2 * len(piece)
    assert len(packed(np.zeros(100_000, np.uint8))) < 250


def test_the_room_for_it_is_enough_for_the_worst() -> None:
    assert len(packed(RNG.integers(0, 256, 1 << 18, np.uint8), 1 << 18)) < 4 * packing.room_for(1 << 18)


@settings(deadline=None)  # the first time, they are compiled
@given(st.lists(st.integers(0, 1 << 40), min_size=19, max_size=19), st.sampled_from([7, 15]))
def test_codes_are_complete_and_none_is_too_long(counts: list[int], longest: int) -> None:
    lengths, codes = np.empty(19, np.int64), np.zeros(19, np.uint64)
    occurring = sum(count > 0 for count in counts)
    lengths_of(np.array(counts), longest, lengths)
    codes_of(lengths, codes)
    assert ((lengths > 0) == (np.array(counts) > 0)).all()
    assert lengths.max() <= longest
    if occurring > 1:
        assert sum(0.5**length for length in lengths if length) == 1
        words = {f"{int(code) & 0xFFFFFFFF:0{int(code) >> 32}b}"[::-1] for code in codes if code}
        assert len(words) == occurring
        assert not any(one != other and other.startswith(one) for one in words for other in words)


def test_the_tables_are_the_specifications() -> None:
    lengths = {3: 257, 10: 264, 11: 265, 12: 265, 13: 266, 114: 279, 115: 280, 227: 284, 257: 284, 258: 285}
    distances = {1: 0, 4: 3, 5: 4, 6: 4, 7: 5, 192: 14, 193: 15, 24_576: 28, 24_577: 29, 32_768: 29}
    assert {length: LENGTH_CODE[length] for length in lengths} == lengths
    assert {distance: DISTANCE_CODE[distance] for distance in distances} == distances
