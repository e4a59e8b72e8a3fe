"""Counts the fields and regions of an encoded message before it is parsed.

Eight megabytes can encode millions of regions, and parsing takes a hundred times their memory. The encoding is that of
https://protobuf.dev/programming-guides/encoding.
"""

import functools
from dataclasses import dataclass
from typing import Any, TypeAlias

from google.protobuf.message import DecodeError

from services.common.domain.errors import MessageTooLarge

FIELDS_PER_ELEMENT = 16
"""Fields allowed for each image and region; no message needs as many."""
_REGION = "imageblur.v1.Region"
_MAX_VARINT = 10
_Shape: TypeAlias = "dict[int, tuple[bool, _Shape | None]]"
"""What is counted in the messages of a type, by the number of a field that holds messages: whether they are regions,
and their own shape; None if nothing in them is repeated."""


@dataclass(frozen=True, kw_only=True)
class CountLimits:
    """The most of each that a message may have, in all its nested messages together."""

    regions: int
    fields: int


def check_counts(data: bytes, descriptor: Any, limits: CountLimits) -> None:
    """Raise if an encoded message has more fields or regions than allowed. Stops counting at the limit.

    Raises:
        MessageTooLarge: A limit is exceeded.
        DecodeError: It is malformed.
    """
    try:
        _Counter(data, limits).scan(0, len(data), _shape(descriptor))
    except IndexError:
        raise DecodeError("the message is truncated") from None


class _Counter:
    def __init__(self, data: bytes, limits: CountLimits) -> None:
        self._data = data
        self._limits = limits
        self._regions = self._fields = 0

    def scan(self, begin: int, end: int, shape: _Shape) -> None:
        data = self._data
        while begin < end:
            self._fields += 1
            if self._fields > self._limits.fields:
                raise MessageTooLarge(f"the message has more than {self._limits.fields} fields: use StreamBlurOrder")
            tag, begin = self._varint(begin)
            if not tag >> 3:
                raise DecodeError("no field has the number 0")
            match tag & 7:
                case 0:
                    _, begin = self._varint(begin)
                case 1:
                    begin += 8
                case 2:
                    size, begin = self._varint(begin)
                    if tag >> 3 in shape:
                        self._scan_nested(begin, min(begin + size, len(data)), *shape[tag >> 3])
                    begin += size
                case 5:
                    begin += 4
                case _:
                    raise DecodeError("groups are not supported")

    def _scan_nested(self, begin: int, end: int, is_region: bool, shape: "_Shape | None") -> None:
        if is_region:
            self._regions += 1
            if self._regions > self._limits.regions:
                raise MessageTooLarge(f"the message has more than {self._limits.regions} regions: use StreamBlurOrder")
        if shape:
            self.scan(begin, end, shape)

    def _varint(self, begin: int) -> tuple[int, int]:
        byte = self._data[begin]
        if byte < 0x80:
            return byte, begin + 1
        value, shift = byte & 0x7F, 7
        for position in range(begin + 1, begin + _MAX_VARINT):
            byte = self._data[position]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, position + 1
            shift += 7
        raise DecodeError("a number is too long")


@functools.cache
def _shape(descriptor: Any) -> _Shape:
    shape: _Shape = {}
    for field in descriptor.fields:
        if (child := field.message_type) is None:
            continue
        nested = _shape(child)
        if field.is_repeated or nested:
            shape[field.number] = child.full_name == _REGION, nested or None
    return shape
