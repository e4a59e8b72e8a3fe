"""Random protobuf messages of any type, for hypothesis: made from descriptors, so that no field is forgotten."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: (-(1 << 31), (1 << 31) - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(1 << 63), (1 << 63) - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, (1 << 32) - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, (1 << 64) - 1),
}
TEXT = st.text(max_size=40) | st.sampled_from(
    ["\0", "\r\nBcc: x@example.org", "../../etc/passwd", "x" * 5000, "٣", "﷽"]
)
Known = Mapping[str, st.SearchStrategy[Any]]


def messages(descriptor: Descriptor, known: Known, depth: int = 3) -> st.SearchStrategy[Message]:
    """Messages of a type. known: strategies for fields of these names, tried as often as the others."""
    fields = {
        field.name: st.none() | _values(field, known, depth)
        for field in descriptor.fields
        if depth or field.cpp_type != FieldDescriptor.CPPTYPE_MESSAGE
    }

    def make(values: dict[str, Any]) -> Message:
        return GetMessageClass(descriptor)(**{name: value for name, value in values.items() if value is not None})

    return st.fixed_dictionaries(fields).map(make)


def _values(field: FieldDescriptor, known: Known, depth: int) -> st.SearchStrategy[Any]:
    one = _value(field, depth, known)
    if field.name in known:
        one = known[field.name] | one
    if field.message_type and field.message_type.GetOptions().map_entry:
        return st.lists(one, max_size=3).map(lambda entries: {entry.key: entry.value for entry in entries})
    return st.lists(one, max_size=3) if field.is_repeated else one


def _value(field: FieldDescriptor, depth: int, known: Known) -> st.SearchStrategy[Any]:
    if field.cpp_type in _INTEGERS:
        least, most = _INTEGERS[field.cpp_type]
        return st.integers(least, most) | st.sampled_from([0, 1, least, most])
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_BOOL:
            return st.booleans()
        case FieldDescriptor.CPPTYPE_FLOAT | FieldDescriptor.CPPTYPE_DOUBLE:
            return st.floats(width=32) | st.floats(0, 1, width=32)
        case FieldDescriptor.CPPTYPE_ENUM:
            assert field.enum_type
            return st.sampled_from([value.number for value in field.enum_type.values]) | st.integers(-2, 99)
        case FieldDescriptor.CPPTYPE_MESSAGE:
            assert field.message_type
            return messages(field.message_type, known, depth - 1)
        case _ if field.type == FieldDescriptor.TYPE_BYTES:
            return st.binary(max_size=60)
        case _:
            return TEXT
