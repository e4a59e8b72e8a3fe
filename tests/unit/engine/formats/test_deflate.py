"""Our own Deflate against zlib's inflate: whatever the data, they come back."""

import zlib
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from services.blur_worker.engine.formats.deflate import best_compressor, compressor
from services.blur_worker.engine.formats.deflate.runs import RunCompressor

_Bytes = NDArray[np.uint8]
_PART = 50_000


def _fibonacci(rng: np.random.Generator, size: int) -> _Bytes:
    """Counts of Fibonacci make the deepest Huffman tree: 28 bits without a limit."""
    counts = [1, 1]
    while sum(counts) < size:
        counts.append(counts[-1] + counts[-2])
    data = np.repeat(np.arange(len(counts), dtype=np.uint8), counts)
    rng.shuffle(data)
    return data


_KINDS: dict[str, Callable[[np.random.Generator, int], _Bytes]] = {
    "noise": lambda rng, size: rng.integers(0, 256, size).astype(np.uint8),
    "one value": lambda _rng, size: np.zeros(size, np.uint8),
    "small differences": lambda rng, size: (2 * rng.standard_normal(size)).astype(np.int8).view(np.uint8),
    "runs": lambda rng, size: np.repeat(rng.integers(0, 256, size // 7 + 1).astype(np.uint8), 7)[:size],
    "mostly zeros": lambda rng, size: np.where(rng.random(size) < 0.95, 0, rng.integers(0, 256, size)).astype(np.uint8),
    "deep tree": _fibonacci,
}


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("pixel_bytes", [1, 2, 3, 4])
def test_data_come_back(kind: str, pixel_bytes: int) -> None:
    rng = np.random.default_rng(pixel_bytes)
    for size in (1, 2, 5, 8, 9, 12, 300, 70_000, 500_000):
        data = _KINDS[kind](rng, size)
        stream = RunCompressor(pixel_bytes)
        parts = [stream.compress(data[begin : begin + _PART].data) for begin in range(0, len(data), _PART)]
        packed = b"".join([*parts, stream.flush()])
        assert zlib.decompress(packed) == data.tobytes()
        assert len(packed) < len(data) * 1.02 + 200


def test_an_empty_stream_is_one() -> None:
    stream = RunCompressor(3)
    assert zlib.decompress(stream.compress(b"") + stream.flush()) == b""  # type: ignore[arg-type]


def test_the_smaller_kind_is_chosen() -> None:
    rng = np.random.default_rng(1)
    smooth = _KINDS["small differences"](rng, 100_000)
    drawing = np.tile(rng.integers(0, 256, 1000).astype(np.uint8), 100)
    assert isinstance(best_compressor(smooth.data, 3), RunCompressor)
    assert isinstance(best_compressor(drawing.data, 3), type(compressor(1)))
