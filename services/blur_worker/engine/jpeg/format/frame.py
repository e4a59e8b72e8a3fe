"""Frame headers (T.81, B.2.2)."""

from dataclasses import dataclass
from functools import cached_property

from services.blur_worker.engine.jpeg.format.markers import UnsupportedJpeg


@dataclass(frozen=True)
class PlaneSize:
    """The samples of one component."""

    width: int
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
class Component(PlaneSize):
    """A component of the frame; its size is xi × yi (A.1.1)."""

    identifier: int
    """Component identifier Ci."""
    h: int
    """Horizontal sampling factor Hi; `v` is the vertical one, Vi."""
    v: int
    tq: int
    """Number of its quantization table."""


@dataclass(frozen=True)
class FrameHeader:
    """The image as a whole."""

    progressive: bool
    width: int
    height: int
    components: tuple[Component, ...]

    @cached_property
    def h_max(self) -> int:
        """The largest horizontal sampling factor."""
        return max(each.h for each in self.components)

    @cached_property
    def v_max(self) -> int:
        """The largest vertical sampling factor."""
        return max(each.v for each in self.components)

    def mcus(self, components: tuple[int, ...]) -> tuple[int, int]:
        """Return the rows of MCUs and the MCUs in a row of a scan of these components (A.2)."""
        if len(components) > 1:
            return -(-self.height // (8 * self.v_max)), -(-self.width // (8 * self.h_max))
        only = self.components[components[0]]
        return only.rows, only.columns


def frame_header(parameters: bytes, counts: tuple[int, ...] = (1, 3), *, progressive: bool) -> FrameHeader:
    """Parse the parameters of SOF0, SOF1 or SOF2.

    Raises:
        UnsupportedJpeg: It is malformed, or not of so many components of 8 bits with factors of 1, 2 and 4.
    """
    if len(parameters) < 6 or len(parameters) != 6 + 3 * parameters[5]:
        raise UnsupportedJpeg("a frame header of the wrong length")
    precision, count = parameters[0], parameters[5]
    height, width = (int.from_bytes(parameters[at : at + 2], "big") for at in (1, 3))
    if precision != 8 or 0 in (width, height) or count not in counts:
        raise UnsupportedJpeg("a frame of an unusual kind")
    found = [
        (parameters[at], parameters[at + 1] >> 4, parameters[at + 1] & 15, parameters[at + 2])
        for at in range(6, len(parameters), 3)
    ]
    if count == 1:
        # The factors of a single component have no effect (A.2.2).
        found = [(found[0][0], 1, 1, found[0][3])]
    h_max, v_max = max(h for _, h, _, _ in found), max(v for _, _, v, _ in found)
    if (
        any(h not in (1, 2, 4) or v not in (1, 2, 4) for _, h, v, _ in found)
        or len({each[0] for each in found}) < count
    ):
        raise UnsupportedJpeg("components of an unusual kind")
    if sum(h * v for _, h, v, _ in found) > 10:
        raise UnsupportedJpeg("more than ten blocks in an MCU")
    components = (
        Component(-(-width * h // h_max), -(-height * v // v_max), identifier, h, v, tq)
        for identifier, h, v, tq in found
    )
    return FrameHeader(progressive, width, height, tuple(components))
