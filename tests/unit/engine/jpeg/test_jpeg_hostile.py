"""Bytes that lie to the compiled loops, in which nothing checks an index."""

import contextlib
import itertools
import re
import struct
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.blur_worker.engine import Limits, blur
from services.blur_worker.engine.jpeg.format.tables import huffman_tables
from services.blur_worker.engine.jpeg.splice import blur_regions
from services.blur_worker.engine.jpeg.whole import blur_whole
from services.common.domain.errors import ImageError
from services.common.domain.spec import BlurSpec, Gaussian, Region, Solid
from tests.support.images import encode, opened, photo, samples, whole_photo
from tests.unit.engine.running import LEFT_HALF

NOTHING = BlurSpec(Solid(), regions=(Region("box", 0, 0, 1, 1),), invert_regions=True)
WHOLE, REGION = BlurSpec(Gaussian(4)), BlurSpec(Solid(), regions=(LEFT_HALF,))
SEEDS = [
    encode(photo(61, 43), "JPEG", subsampling="4:2:0", quality=85),
    encode(photo(61, 43), "JPEG", subsampling="4:2:2", restart_marker_blocks=2, optimize=True),
    encode(photo(40, 24).convert("L"), "JPEG", quality=97),
    encode(photo(33, 17), "JPEG", subsampling="4:4:4", progressive=True),
    encode(photo(61, 43), "JPEG", subsampling="4:2:0", progressive=True, restart_marker_blocks=3),
]


def test_thousands_of_huffman_tables_are_not_kept_in_memory() -> None:
    bits = [bytes(int(index == length) for index in range(16)) for length in range(1, 16)]
    segment = b"".join(b"\x00" + bits[number // 256] + bytes([number % 256]) for number in range(15 * 240))
    tracemalloc.start()
    count = sum(1 for _ in huffman_tables(segment))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 3600
    assert kept < 200_000


def survives(data: bytes) -> None:
    """Both paths give a result, give up, or refuse; what becomes of the process is the test."""
    for path, spec in ((blur_whole, WHOLE), (blur_regions, REGION)):
        with contextlib.suppress(ImageError):
            path(data, spec, Limits(1_000_000))


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    seed=st.sampled_from(SEEDS),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8),
    cut=st.one_of(st.none(), st.floats(0, 1)),
)
def test_any_bytes_changed(seed: bytes, changes: list[tuple[float, int]], cut: float | None) -> None:
    data = bytearray(seed)
    for where, value in changes:
        data[min(int(where * len(data)), len(data) - 1)] = value
    survives(bytes(data if cut is None else data[: int(cut * len(data))]))


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.sampled_from(SEEDS[:3]), noise=st.binary(max_size=2000), restart=st.integers(0, 0xFFFF))
def test_any_entropy_coded_data(seed: bytes, noise: bytes, restart: int) -> None:
    at = seed.index(b"\xff\xda")
    start = at + 2 + int.from_bytes(seed[at + 2 : at + 4], "big")
    interval = b"\xff\xdd\x00\x04" + struct.pack(">H", restart)
    survives(seed[:at] + interval + seed[at:start] + noise + b"\xff\xd9")


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.sampled_from(SEEDS[3:]),
    scan=st.integers(0, 9),
    start=st.floats(0, 1),
    noise=st.binary(max_size=300),
    restart=st.integers(0, 40),
)
def test_any_data_of_a_progressive_scan(seed: bytes, scan: int, start: float, noise: bytes, restart: int) -> None:
    *_, begin = itertools.islice(re.finditer(rb"\xff\xda", seed), scan + 1)
    at = begin.end() + int.from_bytes(seed[begin.end() : begin.end() + 2], "big")
    end = seed.index(b"\xff", at)
    at += int(start * (end - at))
    interval = b"\xff\xdd\x00\x04" + struct.pack(">H", restart) if restart else b""
    data = seed[: begin.start()] + interval + seed[begin.start() : at] + noise.replace(b"\xff", b"\xff\0") + seed[end:]
    survives(data)
    # What is taken all the same is what libjpeg makes of it.
    with contextlib.suppress(ImageError):
        if same := blur_regions(data, NOTHING, Limits(1_000_000)):
            assert (samples(opened(same.data)) == samples(opened(data))).all()


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.sampled_from(SEEDS[:3]),
    counts=st.lists(st.integers(0, 12), min_size=16, max_size=16),
    fill=st.integers(0, 255),
)
def test_any_huffman_table(seed: bytes, counts: list[int], fill: int) -> None:
    at = seed.index(b"\xff\xda")
    size = sum(counts)
    for kind in (0x00, 0x10):
        body = bytes([kind, *counts]) + bytes((fill + index) % 256 for index in range(size))
        survives(seed[:at] + b"\xff\xc4" + struct.pack(">H", 2 + len(body)) + body + seed[at:])


@pytest.mark.parametrize("sides", [(1, 65535), (65535, 1), (17, 16), (61, 44), (0, 10)])
def test_other_sides_than_the_data_have(sides: tuple[int, int]) -> None:
    for seed in SEEDS:
        data = bytearray(seed)
        at = next(data.index(marker) for marker in (b"\xff\xc0", b"\xff\xc2") if marker in data) + 5
        data[at : at + 4] = struct.pack(">HH", *sides)
        survives(bytes(data))


@pytest.mark.parametrize("factors", range(0x11, 0x50, 3))
def test_other_sampling_than_the_data_have(factors: int) -> None:
    for seed in SEEDS[:2]:
        data = bytearray(seed)
        for component in range(3):
            changed = bytearray(data)
            changed[data.index(b"\xff\xc0") + 11 + 3 * component] = factors
            survives(bytes(changed))


def test_truncation_at_every_byte() -> None:
    for end in range(len(SEEDS[1])):
        survives(SEEDS[1][:end])


def test_a_damaged_picture_is_judged_by_libjpeg() -> None:
    """What this path does not take is not refused by it."""
    data = bytearray(encode(whole_photo(), "JPEG", restart_marker_blocks=4))
    at = data.index(b"\xff\xd2")
    data[at + 1] = 0xD5
    assert blur_whole(bytes(data), WHOLE, Limits(1_000_000)) is None
    assert blur(bytes(data), WHOLE, Limits(1_000_000)).path == "pixels"
