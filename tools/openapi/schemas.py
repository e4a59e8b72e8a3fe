"""JSON schemas of messages and enumerations, in proto3's JSON with the fields' own names."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

Schema = dict[str, Any]

_SCALARS: Mapping[int, Schema] = {
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    FieldDescriptor.TYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptor.TYPE_FLOAT: {"type": "number", "format": "float"},
    FieldDescriptor.TYPE_INT32: {"type": "integer", "format": "int32"},
    FieldDescriptor.TYPE_UINT32: {"type": "integer", "format": "int64", "minimum": 0},
    # JSON has no 64-bit integers.
    FieldDescriptor.TYPE_INT64: {"type": "string", "format": "int64", "pattern": "^-?[0-9]+$"},
    FieldDescriptor.TYPE_UINT64: {"type": "string", "format": "uint64", "pattern": "^[0-9]+$"},
    FieldDescriptor.TYPE_STRING: {"type": "string"},
}
_WELL_KNOWN: Mapping[str, Schema] = {
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$", "examples": ["3600s"]},
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
}


class Schemas:
    """Collects the schemas of messages, and of all that they consist of.

    Args:
        comments: Descriptions by full name.
    """

    def __init__(self, comments: Mapping[str, str]) -> None:
        self._comments = comments
        self.by_name: dict[str, Schema] = {}

    def of_message(self, message: Any) -> Schema:
        """Return a reference to the schema of a message, by its descriptor (of which there are two types)."""
        if message.full_name in _WELL_KNOWN:
            return dict(_WELL_KNOWN[message.full_name])
        if message.name not in self.by_name:
            self.by_name[message.name] = {}  # first: a message may contain itself
            self.by_name[message.name] = self._object(message)
        return {"$ref": f"#/components/schemas/{message.name}"}

    def of_field(self, field: Any) -> Schema:
        """Return the schema of a field, with its comment."""
        schema = self._value(field)
        if field.is_repeated:
            schema = {"type": "array", "items": schema}
        return schema | self._description(field.full_name)

    def _object(self, message: Any) -> Schema:
        schema = {"type": "object", **self._description(message.full_name)}
        choices = [oneof for oneof in message.oneofs if len(oneof.fields) > 1]
        for oneof in choices:
            names = [f"`{field.name}`" for field in oneof.fields]
            text = f"At most one of {', '.join(names[:-1])} and {names[-1]} is set."
            schema["description"] = f"{schema.get('description', '')}\n\n{text}".strip()
        schema["properties"] = {field.name: self.of_field(field) for field in message.fields}
        return schema

    def _value(self, field: FieldDescriptor) -> Schema:
        if field.message_type:
            return self.of_message(field.message_type)
        if field.enum_type:
            return self._enum(field.enum_type)
        return dict(_SCALARS[field.type])

    def _enum(self, enum: EnumDescriptor) -> Schema:
        if enum.name not in self.by_name:
            values = [
                f"- `{value.name}`: {self._comments.get(f'{enum.full_name}.{value.name}', '')}" for value in enum.values
            ]
            description = "\n".join([self._comments.get(enum.full_name, ""), "", *values])
            names = [value.name for value in enum.values]
            self.by_name[enum.name] = {"type": "string", "enum": names, "description": description.strip()}
        return {"$ref": f"#/components/schemas/{enum.name}"}

    def _description(self, name: str) -> Schema:
        comment = self._comments.get(name)
        return {"description": comment} if comment else {}
