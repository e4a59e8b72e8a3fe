"""Short names of protobuf enum values, as templates and URLs use them."""

import re
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from google.protobuf.internal.enum_type_wrapper import _EnumTypeWrapper

_Value = TypeVar("_Value", bound=int)
_WORD_START = re.compile(r"(?<!^)(?=[A-Z])")


def short_name(enum: "_EnumTypeWrapper[_Value]", value: _Value) -> str:
    """Return a value's name without its prefix: `queued` for ORDER_STATE_QUEUED; empty for the unspecified value."""
    return enum.Name(value).removeprefix(_prefix(enum)).lower() if value else ""


def value_of(enum: "_EnumTypeWrapper[_Value]", name: str) -> _Value | None:
    """Return the value with a short name; None if there is none."""
    full_name = _prefix(enum) + name.upper()
    return enum.Value(full_name) if full_name in enum.keys() else None  # noqa: SIM118 - not a mapping


def _prefix(enum: "_EnumTypeWrapper[_Value]") -> str:
    return _WORD_START.sub("_", enum.DESCRIPTOR.name).upper() + "_"
