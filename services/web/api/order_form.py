"""The form that places an order: its fields are those of OrderHeader, its files the images."""

import json
from collections.abc import Mapping
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1.order_pb2 import BlurSpec

from services.web.api.errors import BadRequest
from services.web.api.messages import parse_json

HEADER_FIELDS = tuple(field for field in pb.OrderHeader.DESCRIPTOR.fields if field.name != "spec")
"""The spec is in the query, or a field of its own."""
_TRUE, _FALSE = {"1", "true", "on"}, {"", "0", "false", "off"}


def is_duration(field: FieldDescriptor) -> bool:
    """Return whether a field is a time: in a form a number of seconds."""
    return field.message_type is not None and field.message_type.full_name == Duration.DESCRIPTOR.full_name


def parse_header(fields: Mapping[str, str], spec: BlurSpec) -> pb.OrderHeader:
    """Return the header of an order: flags are 1 or 0, times numbers of seconds, messages JSON.

    Args:
        fields: Of the form.
        spec: Of the query; a field `spec` with JSON replaces it.

    Raises:
        BadRequest: A field is unknown or malformed.
    """
    known = {field.name: field for field in HEADER_FIELDS}
    values: dict[str, object] = {}
    for name, text in fields.items():
        if name == "spec":
            spec = parse_json(text.encode(), BlurSpec, {}, "spec")
        elif name in known:
            values[name] = _value(known[name], text)
        else:
            raise BadRequest(name, f"is no field: there are {', '.join(sorted([*known, 'spec']))}, and files")
    header = parse_json(b"", pb.OrderHeader, values)
    header.spec.CopyFrom(spec)
    return header


def _value(field: FieldDescriptor, text: str) -> Any:
    if field.type == FieldDescriptor.TYPE_BOOL:
        if text.lower() not in _TRUE | _FALSE:
            raise BadRequest(field.name, f"{text!r} is neither 1 nor 0")
        return text.lower() in _TRUE
    if is_duration(field):
        if not (text.isascii() and text.isdecimal() and len(text) < 9):
            raise BadRequest(field.name, f"{text!r} is not a number of seconds")
        return f"{text}s"
    if field.message_type:
        try:
            return json.loads(text)
        except ValueError as error:
            raise BadRequest(field.name, f"is not JSON: {error}") from None
    return text
