"""Progressive JPEGs with whatever scans are wished for, made out of sequential ones without any loss."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.jpeg.decode.image import decode_sequential
from services.blur_worker.engine.jpeg.format.frame import FrameHeader
from services.blur_worker.engine.jpeg.format.header_reader import HeaderReader
from services.blur_worker.engine.jpeg.format.markers import ZIGZAG
from services.blur_worker.engine.jpeg.transform.planes import plan_as_stored

Script = list[tuple[tuple[int, ...], int, int, int, int]]
"""Scans: components, first and last coefficient, bits that came before (or 0), bits that are yet to come."""


@dataclass
class _Writer:
    """All symbols have codes of one length, so a code is its symbol."""

    length: int
    bits: str = ""
    out: bytes = b""
    blocks: int = 0
    """That end where the last code was."""
    behind: str = ""
    """Bits that those blocks have."""

    def symbol(self, symbol: int, bits: str = "") -> None:
        self.bits += f"{symbol:0{self.length}b}{bits}"

    def end_blocks(self) -> None:
        if self.blocks:
            size = self.blocks.bit_length() - 1
            self.symbol(size << 4, f"{self.blocks:b}"[1:] + self.behind)
        self.blocks, self.behind = 0, ""

    def align(self) -> None:
        self.end_blocks()
        self.bits += "1" * (-len(self.bits) % 8)
        whole = bytes(int(self.bits[at : at + 8], 2) for at in range(0, len(self.bits), 8))
        self.out += whole.replace(b"\xff", b"\xff\0")
        self.bits = ""


def simple(components: int) -> Script:
    """As libjpeg does by itself."""
    everything = tuple(range(components))
    script: Script = [(everything, 0, 0, 0, 1)]
    for each in everything:
        script += [((each,), 1, 5, 0, 2), ((each,), 6, 63, 0, 2), ((each,), 1, 63, 2, 1)]
    script += [(everything, 0, 0, 1, 0)]
    return script + [((each,), 1, 63, 1, 0) for each in everything]


def make_progressive(data: bytes, script: Script, *, interval: int = 0, length: int = 9, run: int = 1 << 14) -> bytes:
    """Gives a sequential JPEG's coefficients in other scans.

    Args:
        data: A baseline JPEG.
        script: See there; need not be right.
        interval: Units between restarts.
        length: Of all codes, at least 9.
        run: Blocks that may end at once.
    """
    reader = HeaderReader(data)
    frame, scan = reader.first_scan()
    stored = plan_as_stored(frame, 1)
    decode_sequential(reader, frame, scan, stored)
    blocks = [
        plane.values.reshape(plane.rows, 64, plane.columns).astype(np.int64)[:, ZIGZAG].transpose(0, 2, 1)
        for plane in stored.planes
    ]
    out = bytearray(data[: data.index(b"\xff\xda")])
    out[reader.frame_at + 1] = 0xC2
    out += b"\xff\xdd\x00\x04" + interval.to_bytes(2, "big")
    for kind, count in ((0x00, 16), (0x10, 255)):
        counts = bytes(count if each == length else 0 for each in range(1, 17))
        out += b"\xff\xc4" + (19 + count).to_bytes(2, "big") + bytes([kind]) + counts + bytes(range(count))
    for components, first, last, high, low in script:
        names = b"".join(bytes([frame.components[each].identifier, 0]) for each in components)
        out += b"\xff\xda" + (6 + len(names)).to_bytes(2, "big") + bytes([len(components)]) + names
        out += bytes([first, last, high << 4 | low])
        writer, before = _Writer(length), [0] * 3
        for index, unit in enumerate(_units(frame, components)):
            if interval and index and index % interval == 0:
                writer.align()
                writer.out += bytes([0xFF, 0xD0 + (index // interval - 1) % 8])
                before = [0] * 3
            for component, y, x in unit:
                inside = y < blocks[component].shape[0] and x < blocks[component].shape[1]
                block = blocks[component][y, x] if inside else None
                if high and first == 0:
                    writer.bits += str(0 if block is None else int(block[0]) >> low & 1)
                elif first == 0:
                    value = before[component] if block is None else int(block[0]) >> low
                    writer.symbol(*_value(value - before[component]))
                    before[component] = value
                elif block is not None:
                    (_refinement if high else _first)(writer, block[: last + 1], first, low)
                    if writer.blocks >= run:
                        writer.end_blocks()
        writer.align()
        out += writer.out
    return bytes(out) + b"\xff\xd9"


def _units(frame: FrameHeader, components: tuple[int, ...]) -> Iterator[list[tuple[int, int, int]]]:
    """The blocks of each unit: component, row, column."""
    if len(components) == 1:
        alone = frame.components[components[0]]
        yield from ([(components[0], y, x)] for y in range(alone.rows) for x in range(alone.columns))
        return
    rows, columns = frame.mcus(components)
    for row in range(rows):
        for column in range(columns):
            yield [
                (index, row * each.v + y, column * each.h + x)
                for index, each in ((index, frame.components[index]) for index in components)
                for y in range(each.v)
                for x in range(each.h)
            ]


def _value(value: int) -> tuple[int, str]:
    size = abs(value).bit_length()
    return size, f"{value if value > 0 else value + (1 << size) - 1:0{size}b}" if size else ""


def _first(writer: _Writer, block: NDArray[np.int64], first: int, low: int) -> None:
    zeros = 0
    for value in (int(np.sign(each)) * (abs(int(each)) >> low) for each in block[first:]):
        if value == 0:
            zeros += 1
            continue
        writer.end_blocks()
        while zeros > 15:
            writer.symbol(0xF0)
            zeros -= 16
        size, bits = _value(value)
        writer.symbol(zeros << 4 | size, bits)
        zeros = 0
    writer.blocks += zeros > 0


def _refinement(writer: _Writer, block: NDArray[np.int64], first: int, low: int) -> None:
    sizes = [abs(int(each)) >> low for each in block]
    new = max((index for index, size in enumerate(sizes) if size == 1 and index >= first), default=0)
    zeros, behind = 0, ""
    for index in range(first, len(block)):
        if sizes[index] == 0:
            zeros += 1
            continue
        while zeros > 15 and index <= new:
            writer.end_blocks()
            writer.symbol(0xF0, behind)
            zeros, behind = zeros - 16, ""
        if sizes[index] > 1:
            behind += str(sizes[index] & 1)
            continue
        writer.end_blocks()
        writer.symbol(zeros << 4 | 1, ("1" if block[index] > 0 else "0") + behind)
        zeros, behind = 0, ""
    if zeros or behind:
        writer.blocks += 1
        writer.behind += behind
