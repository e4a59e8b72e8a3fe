"""Reads what a JPEG says of itself, up to the entropy-coded data of each of its scans."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

_SOF0, _SOF1, _SOF2, _DHT, _RST0, _RST7, _SOI, _EOI, _SOS, _DQT, _DNL, _DRI = (
    0xC0, 0xC1, 0xC2, 0xC4, 0xD0, 0xD7, 0xD8, 0xD9, 0xDA, 0xDB, 0xDC, 0xDD,
)  # fmt: skip
_OTHER_FRAMES = frozenset(range(0xC3, 0xD0)) - {_DHT, 0xC8, 0xCC}
_ARITHMETIC = 0xCC
_ZIGZAG_DIAGONALS = [
    sorted(((row, total - row) for row in range(8) if 0 <= total - row < 8), key=lambda at: at[1 - total % 2])
    for total in range(15)
]
ZIGZAG = np.array([8 * row + column for diagonal in _ZIGZAG_DIAGONALS for row, column in diagonal], np.uint8)
"""Where in a block of 8×8, row by row, the n-th coefficient of the stream belongs."""


class UnfitError(Exception):
    """The file is not one for this path; whether it is damaged is for others to say."""


@dataclass(frozen=True)
class HuffmanTable:
    """Codes by their lengths (1 to 16), and the symbols that they stand for."""

    counts: tuple[int, ...]
    symbols: bytes


@dataclass(frozen=True)
class Component:
    """A plane of the picture: its sampling factors, and the size in blocks that its own samples need."""

    name: int
    horizontal: int
    vertical: int
    quantization: int
    """Number of its table."""
    width: int
    """In samples; as `height`."""
    height: int

    @property
    def columns(self) -> int:
        """Blocks of 8×8 in a row."""
        return -(-self.width // 8)

    @property
    def rows(self) -> int:
        """Rows of blocks."""
        return -(-self.height // 8)


@dataclass(frozen=True)
class FrameHeader:
    """The picture as a whole."""

    progressive: bool
    width: int
    height: int
    components: tuple[Component, ...]

    @property
    def mcu_columns(self) -> int:
        """Minimum coded units in a row, where components are interleaved."""
        return -(-self.width // (8 * max(each.horizontal for each in self.components)))

    @property
    def mcu_rows(self) -> int:
        """Rows of minimum coded units."""
        return -(-self.height // (8 * max(each.vertical for each in self.components)))


@dataclass(frozen=True)
class Scan:
    """Header of a scan; its entropy-coded data begin at `start`."""

    start: int
    components: tuple[int, ...]
    """Indices into those of the frame."""
    dc: tuple[HuffmanTable | None, ...]
    ac: tuple[HuffmanTable | None, ...]
    restart_interval: int
    first: int
    """Coefficients `first` to `last`, in the order of the stream."""
    last: int
    high: int
    """Bits that earlier scans brought, or 0; `low` are yet to come."""
    low: int


@dataclass
class Stream:
    """A file being read from marker to marker."""

    data: bytes
    frame: FrameHeader | None = None
    quantization: dict[int, NDArray[np.uint16]] = field(default_factory=dict)
    """64 divisors each, in the order of the stream."""
    divisors: dict[int, NDArray[np.uint16]] = field(default_factory=dict)
    """Those of each component, as they were when its first scan began."""
    frame_at: int = 0
    """Where the marker of the frame header is."""
    _dc: dict[int, HuffmanTable] = field(default_factory=dict)
    _ac: dict[int, HuffmanTable] = field(default_factory=dict)
    _restart_interval: int = 0

    def next_scan(self, at: int) -> Scan | None:
        """Reads from the marker at `at` (2: the first after SOI) to the next scan; None if the picture ends before.

        Raises:
            UnfitError: Anything that is unusual, or wrong.
        """
        if self.data[:2] != bytes([0xFF, _SOI]):
            raise UnfitError("no SOI")
        for marker, start, body in self._segments(at):
            match marker:
                case _ if marker == _EOI:
                    return None
                case _ if marker == _SOS:
                    return self._scan(start, body)
                case _ if marker in {_SOF0, _SOF1, _SOF2}:
                    self._frame(body, progressive=marker == _SOF2)
                    self.frame_at = start - len(body) - 4
                case _ if marker in _OTHER_FRAMES or marker in {_ARITHMETIC, _DNL}:
                    raise UnfitError(f"marker {marker:x}")
                case _ if marker == _DHT:
                    self._huffman(body)
                case _ if marker == _DQT:
                    self._divisors(body)
                case _ if marker == _DRI:
                    (self._restart_interval,) = _unpack(">H", body)
                case _:
                    pass
        raise UnfitError("it breaks off")

    def _segments(self, at: int) -> Iterator[tuple[int, int, bytes]]:
        """Marker, where its segment ends, and what is in it."""
        while at + 2 <= len(self.data):
            if self.data[at] != 0xFF:
                raise UnfitError("no marker where one should be")
            marker = self.data[at + 1]
            if marker == 0xFF:
                at += 1
                continue
            if marker == _EOI:
                yield marker, at + 2, b""
                return
            if marker == 0x01 or _RST0 <= marker <= _SOI or at + 4 > len(self.data):
                raise UnfitError("a marker out of place")
            size = int.from_bytes(self.data[at + 2 : at + 4], "big")
            end = at + 2 + size
            if size < 2 or end > len(self.data):
                raise UnfitError("a segment that does not fit")
            yield marker, end, self.data[at + 4 : end]
            at = end

    def _frame(self, body: bytes, *, progressive: bool) -> None:
        precision, height, width, count = _unpack(">BHHB", body[:6])
        if self.frame or precision != 8 or 0 in (width, height) or count not in (1, 3) or len(body) != 6 + 3 * count:
            raise UnfitError("a frame of an unusual kind")
        named = [(body[at], body[at + 1] >> 4, body[at + 1] & 15, body[at + 2]) for at in range(6, len(body), 3)]
        if count == 1:
            # Alone, a component has no factors to speak of.
            named = [(named[0][0], 1, 1, named[0][3])]
        widest, tallest = max(each[1] for each in named), max(each[2] for each in named)
        if any(h not in (1, 2, 4) or v not in (1, 2, 4) for _, h, v, _ in named) or len({n for n, *_ in named}) < count:
            raise UnfitError("components of an unusual kind")
        if sum(h * v for _, h, v, _ in named) > 10:
            raise UnfitError("too many blocks in a unit")
        components = tuple(
            Component(name, h, v, table, -(-width * h // widest), -(-height * v // tallest))
            for name, h, v, table in named
        )
        self.frame = FrameHeader(progressive, width, height, components)

    def _divisors(self, body: bytes) -> None:
        while body:
            number, wide = body[0] & 15, body[0] >> 4
            size = 128 if wide else 64
            if wide > 1 or number > 3 or len(body) < 1 + size:
                raise UnfitError("a wrong quantization table")
            table = np.frombuffer(body[1 : 1 + size], ">u2" if wide else np.uint8).astype(np.uint16)
            if not table.all():
                raise UnfitError("a divisor of 0")
            self.quantization[number] = table
            body = body[1 + size :]

    def _huffman(self, body: bytes) -> None:
        while body:
            number, kind, counts = body[0] & 15, body[0] >> 4, tuple(body[1:17])
            symbols = body[17 : 17 + sum(counts)]
            if len(counts) != 16 or kind > 1 or number > 3 or not 0 < sum(counts) == len(symbols) <= 256:
                raise UnfitError("a wrong Huffman table")
            if sum(count << (15 - index) for index, count in enumerate(counts)) >= 1 << 16:
                raise UnfitError("more codes than there can be")  # that of ones alone is none, says libjpeg too
            (self._ac if kind else self._dc)[number] = HuffmanTable(counts, symbols)
            body = body[17 + len(symbols) :]

    def _scan(self, start: int, body: bytes) -> Scan:
        if self.frame is None or not body or len(body) != 4 + 2 * body[0] or not 1 <= body[0] <= 3:
            raise UnfitError("a wrong scan header")
        names = {each.name: index for index, each in enumerate(self.frame.components)}
        chosen = [names.get(name, -1) for name in body[1:-3:2]]
        if -1 in chosen or sorted(set(chosen)) != chosen:
            raise UnfitError("a scan of no such components")
        tables = body[2:-3:2]
        first, last, bits = body[-3:]
        scan = Scan(
            start,
            tuple(chosen),
            tuple(self._dc.get(each >> 4) for each in tables),
            tuple(self._ac.get(each & 15) for each in tables),
            self._restart_interval,
            first,
            last,
            bits >> 4,
            bits & 15,
        )
        _check_band(scan, progressive=self.frame.progressive)
        for index in chosen:
            table = self.quantization.get(self.frame.components[index].quantization)
            if table is None:
                raise UnfitError("a quantization table is missing")
            self.divisors.setdefault(index, table)
        return scan


def _check_band(scan: Scan, *, progressive: bool) -> None:
    band = (scan.first, scan.last, scan.high, scan.low)
    if not progressive:
        fits = band == (0, 63, 0, 0)
    elif scan.first == 0:
        fits = scan.last == 0
    else:
        fits = scan.first <= scan.last < 64 and len(scan.components) == 1
    if not fits or scan.low > 13 or (scan.high and scan.high != scan.low + 1):
        raise UnfitError("a scan of an unusual kind")


def _unpack(layout: str, body: bytes) -> tuple[int, ...]:
    try:
        return struct.unpack(layout, body)
    except struct.error:
        raise UnfitError("a segment of the wrong length") from None
