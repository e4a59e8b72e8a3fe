"""The items of a HEIF file, as far as they determine the cost of decoding its primary image.

Source: ISO/IEC 14496-12 (iinf, iref), 23008-12 (ispe, auxC, grid), 14496-15 (hvcC), H.265 7.3.2.2 (SPS).
"""

import struct
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.blur_worker.engine.containers.iso_media import MAX_BOXES, associations, boxes

_ALPHA = (b"urn:mpeg:hevc:2015:auxid:1", b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha")
_SPS_NAL = 33
_PROFILE_TIER_LEVEL_BITS = 96
_Properties = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, kw_only=True)
class HeifItem:
    """An image that is decoded."""

    type: bytes
    """Such as `hvc1` or `grid`."""
    size: tuple[int, int]
    """Width and height in pixels: the larger of what the file and what the HEVC stream declare; (0, 0) if neither."""


def decoded_items(data: bytes) -> list[HeifItem]:
    """Return the primary image, then its alpha and all images of which these are made: tiles and layers.

    Empty if the file has no primary image. Raises: LookupError, ValueError or struct.error for a malformed one.
    """
    meta = {name: content for name, content in boxes(memoryview(data)) if name == b"meta"}.get(b"meta")
    if meta is None:
        return []
    parts = dict(boxes(meta[4:]))
    if b"pitm" not in parts:
        return []
    primary = _number(parts[b"pitm"], 4, 2 if parts[b"pitm"][0] == 0 else 4)
    types, references = _types(parts[b"iinf"]), _references(parts.get(b"iref", memoryview(b"")))
    properties = dict(boxes(parts[b"iprp"]))
    all_properties = [(name, bytes(content)) for name, content in boxes(properties[b"ipco"])]

    def of_item(item: int) -> _Properties:
        numbers = associations(properties[b"ipma"], item)
        return [all_properties[number - 1] for number in numbers if 0 < number <= len(all_properties)]

    alphas = [item for item, target in references[b"auxl"] if target == primary and _is_alpha(of_item(item))]
    waiting, found = [primary, *alphas], dict[int, HeifItem]()
    while waiting and len(found) < MAX_BOXES:
        item = waiting.pop(0)
        if item not in found:
            found[item] = HeifItem(type=types[item], size=_size(of_item(item)))
            waiting += [made_of for derived, made_of in references[b"dimg"] if derived == item]
    return list(found.values())


def _types(iinf: memoryview) -> dict[int, bytes]:
    wide = 2 if iinf[0] == 0 else 4
    found = {}
    for name, content in boxes(iinf[4 + wide :]):
        if name == b"infe" and content[0] in {2, 3}:
            id_bytes = 2 if content[0] == 2 else 4
            at = 4 + id_bytes + 2
            found[_number(content, 4, id_bytes)] = bytes(content[at : at + 4])
    return found


def _references(iref: memoryview) -> Mapping[bytes, list[tuple[int, int]]]:
    """Return pairs of items that refer to another, by the type of the reference."""
    found: dict[bytes, list[tuple[int, int]]] = defaultdict(list)
    if not len(iref):
        return found
    id_bytes = 2 if iref[0] == 0 else 4
    for name, content in boxes(iref[4:]):
        item = _number(content, 0, id_bytes)
        count = _number(content, id_bytes, 2)
        first = id_bytes + 2
        found[name] += [(item, _number(content, first + id_bytes * index, id_bytes)) for index in range(count)]
    return found


def _is_alpha(properties: _Properties) -> bool:
    return any(name == b"auxC" and content[4:].split(b"\0")[0] in _ALPHA for name, content in properties)


def _size(properties: _Properties) -> tuple[int, int]:
    sizes = [(0, 0)]
    for name, content in properties:
        if name == b"ispe":
            sizes.append(struct.unpack_from(">II", content, 4))
        elif name == b"hvcC":
            sizes += [_sps_size(unit) for unit in _sequence_parameter_sets(content)]
    return max(sizes, key=lambda size: size[0] * size[1])


def _sequence_parameter_sets(hvcc: bytes) -> list[bytes]:
    found, at = [], 23
    for _ in range(hvcc[22]):
        kind, count = hvcc[at] & 0x3F, _number(hvcc, at + 1, 2)
        at += 3
        for _ in range(count):
            length = _number(hvcc, at, 2)
            if kind == _SPS_NAL:
                found.append(hvcc[at + 2 : at + 2 + length])
            at += 2 + length
    return found


def _sps_size(unit: bytes) -> tuple[int, int]:
    """Return the width and height that a sequence parameter set declares."""
    payload = unit[2:200].replace(b"\0\0\3", b"\0\0")
    bits = f"{int.from_bytes(payload, 'big'):0{8 * len(payload)}b}"
    sub_layers = int(bits[4:7], 2)
    at = 8 + _PROFILE_TIER_LEVEL_BITS
    if sub_layers:
        flags, at = bits[at : at + 16], at + 16
        at += sum(88 * (flags[2 * index] == "1") + 8 * (flags[2 * index + 1] == "1") for index in range(sub_layers))
    _, at = _exp_golomb(bits, at)
    chroma_format, at = _exp_golomb(bits, at)
    at += chroma_format == 3  # 4:4:4 has a flag more
    width, at = _exp_golomb(bits, at)
    height, _ = _exp_golomb(bits, at)
    return width, height


def _exp_golomb(bits: str, at: int) -> tuple[int, int]:
    """Return the number that begins at a bit, and where it ends (H.265, 9.2)."""
    one = bits.index("1", at)
    zeros = one - at
    return int(bits[one : one + zeros + 1], 2) - 1, one + zeros + 1


def _number(content: bytes | memoryview, at: int, length: int) -> int:
    part = content[at : at + length]
    if len(part) < length:
        raise ValueError("a box is cut")
    return int.from_bytes(part, "big")
