"""Tables that marker segments define (T.81, B.2.4)."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.jpeg.format.markers import UnsupportedJpeg

QuantizationTable = NDArray[np.uint16]
"""64 divisors, in zig-zag order."""


@dataclass(frozen=True)
class HuffmanTable:
    """A Huffman table as it is stored."""

    bits: tuple[int, ...]
    """BITS: how many codes there are of each length, 1 to 16."""
    huffval: bytes
    """HUFFVAL: the symbols, in the order of their codes."""

    def codes(self) -> Iterator[tuple[int, int, int]]:
        """Yield each code with its length and its symbol, in order (annex C.2)."""
        code = index = 0
        for length, count in enumerate(self.bits, 1):
            for symbol in self.huffval[index : index + count]:
                yield code, length, symbol
                code += 1
            index += count
            code <<= 1


def quantization_tables(parameters: bytes) -> Iterator[tuple[int, QuantizationTable]]:
    """Parse DQT (B.2.4.1): the number of each table, and the table.

    Raises:
        UnsupportedJpeg: A table is malformed.
    """
    while parameters:
        tq, precision = parameters[0] & 15, parameters[0] >> 4
        end = 1 + 64 * (1 + precision)
        if precision > 1 or tq > 3 or len(parameters) < end:
            raise UnsupportedJpeg("a malformed quantization table")
        table = np.frombuffer(parameters[1:end], ">u2" if precision else np.uint8).astype(np.uint16)
        if not table.all():
            raise UnsupportedJpeg("a divisor of 0")
        yield tq, table
        parameters = parameters[end:]


def huffman_tables(parameters: bytes) -> Iterator[tuple[int, int, HuffmanTable]]:
    """Parse DHT (B.2.4.2): of each table its class (0: DC, 1: AC), its number, and the table.

    Raises:
        UnsupportedJpeg: A table is malformed.
    """
    while parameters:
        end = 17 + sum(parameters[1:17])
        yield _huffman_table(parameters[:end])
        parameters = parameters[end:]


# Most photographs have the same tables. One by one they are small, however many a file has.
@lru_cache(maxsize=32)
def _huffman_table(parameters: bytes) -> tuple[int, int, HuffmanTable]:
    tc, th, bits, huffval = parameters[0] >> 4, parameters[0] & 15, tuple(parameters[1:17]), parameters[17:]
    if len(bits) != 16 or tc > 1 or th > 3 or not 0 < sum(bits) == len(huffval) <= 256:
        raise UnsupportedJpeg("a malformed Huffman table")
    if sum(count << (15 - index) for index, count in enumerate(bits)) >= 1 << 16:
        raise UnsupportedJpeg("more codes than there can be")  # a code of ones alone is none: libjpeg agrees
    return tc, th, HuffmanTable(bits, huffval)
