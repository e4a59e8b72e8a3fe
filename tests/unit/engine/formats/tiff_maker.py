"""Make TIFF files with any samples: a direct implementation of TIFF 6.0 and BigTIFF."""

import itertools
import struct
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Tags = Mapping[int, tuple[int, Sequence[int]]]
"""By number: the type (3 is SHORT, 4 LONG) and the values."""
SHORT, LONG = 3, 4


def pack_bits_of(samples: NDArray[np.integer], bits: int, order: str) -> bytes:
    """Pack rows of samples: shape (rows, samples in a row)."""
    if bits in {8, 16, 32}:
        return samples.astype(f"{order}{'i' if samples.dtype.kind == 'i' else 'u'}{bits // 8}").tobytes()
    rows = []
    for row in samples:
        text = "".join(f"{int(value):0{bits}b}" for value in row)
        text += "0" * (-len(text) % 8)
        rows.append(int(text, 2).to_bytes(len(text) // 8, "big"))
    return b"".join(rows)


def make_tiff(
    samples: NDArray[np.integer],
    *,
    bits: int,
    photometric: int,
    order: str = "<",
    big: bool = False,
    planar: bool = False,
    extra: Tags | None = None,
    strips: Sequence[bytes] | None = None,
    pages: int = 1,
) -> bytes:
    """Return a file of shape (height, width, channels); `strips` replace the samples, `extra` are further tags."""
    height, width, channels = samples.shape
    if strips is None:
        parts = [samples[..., index] for index in range(channels)] if planar else [samples.reshape(height, -1)]
        strips = [pack_bits_of(part, bits, order) for part in parts]
    tags: dict[int, tuple[int, Sequence[int]]] = {
        256: (LONG, [width]), 257: (LONG, [height]), 258: (SHORT, [bits] * channels), 259: (SHORT, [1]),
        262: (SHORT, [photometric]), 277: (SHORT, [channels]), 278: (LONG, [height]),
        279: (LONG, [len(strip) for strip in strips]), 284: (SHORT, [2 if planar else 1]),
    }  # fmt: skip
    tags |= dict(extra or {})
    start = (b"II" if order == "<" else b"MM") + struct.pack(
        f"{order}HHHQ" if big else f"{order}HI", *((43, 8, 0, 16) if big else (42, 8))
    )
    data = bytearray(start)
    for page in range(pages):
        _add_page(data, tags, strips, order, big=big, last=page == pages - 1)
    return bytes(data)


def _add_page(data: bytearray, tags: Tags, strips: Sequence[bytes], order: str, *, big: bool, last: bool) -> None:
    count = len(tags) + 1
    entry, number = (20, f"{order}Q") if big else (12, f"{order}I")
    after = len(data) + (8 if big else 2) + entry * count + (8 if big else 4)
    values, directory = bytearray(), bytearray(struct.pack(f"{order}Q" if big else f"{order}H", count))
    values_of = {tag: struct.pack(f"{order}{len(found)}{'H' if kind == SHORT else 'I'}", *found)
                 for tag, (kind, found) in tags.items()}  # fmt: skip
    inline = 8 if big else 4
    room = sum(len(each) for each in values_of.values() if len(each) > inline) + 4 * len(strips) * (len(strips) > 1)
    places = list(itertools.accumulate(map(len, strips[:-1]), initial=after + room))
    values_of[273] = struct.pack(f"{order}{len(places)}I", *places)
    kinds = {tag: kind for tag, (kind, _) in tags.items()} | {273: LONG}
    for tag in sorted(values_of):
        packed = values_of[tag]
        found = len(packed) // (2 if kinds[tag] == SHORT else 4)
        directory += struct.pack(f"{order}HHQ" if big else f"{order}HHI", tag, kinds[tag], found)
        if len(packed) > inline:
            directory += struct.pack(number, after + len(values))
            values += packed
        else:
            directory += packed.ljust(inline, b"\0")
    end = after + len(values) + sum(map(len, strips))
    data += directory + struct.pack(number, 0 if last else end) + values + b"".join(strips)
