"""Messages as JSON, by the names of their fields."""

from collections.abc import Mapping
from typing import Any, TypeVar

from google.protobuf import json_format
from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.message import Message
from starlette.datastructures import QueryParams
from starlette.responses import JSONResponse, Response

from services.web.api.errors import BadRequest
from services.web.http.templates import PRIVATE

MessageType = TypeVar("MessageType", bound=Message)


def as_dict(message: Message) -> dict[str, Any]:
    """Return a message as JSON values; fields without presence are there, too."""
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def json_response(message: Message, status: int = 200) -> Response:
    """Return a message as a response."""
    return JSONResponse(as_dict(message), status, PRIVATE)


def enum_prefix(enum: EnumDescriptor) -> str:
    """Return what the names of an enumeration begin with, such as `ORDER_STATE_`."""
    return enum.values[0].name.removesuffix("UNSPECIFIED")


def query_fields(query: QueryParams, kind: type[Message]) -> dict[str, object]:
    """Return the parameters of a query as fields of a message; names of enumerations need no prefix.

    Raises:
        BadRequest: The message has no such field, or one value of it and the query several.
    """
    fields: dict[str, object] = {}
    for name in query:
        known = kind.DESCRIPTOR.fields_by_name
        field = known.get(name)
        if field is None:
            raise BadRequest(name, f"is no parameter: there are {', '.join(known) or 'none'}")
        values = [_value(field, text) for text in query.getlist(name)]
        if len(values) > 1 and not field.is_repeated:
            raise BadRequest(name, "is given more than once")
        fields[name] = values if field.is_repeated else values[-1]
    return fields


def _value(field: Any, text: str) -> str:
    if not field.enum_type:
        return text
    prefix = enum_prefix(field.enum_type)
    return prefix + text.upper().removeprefix(prefix)


def parse_json(text: bytes, kind: type[MessageType], fields: Mapping[str, object], name: str = "body") -> MessageType:
    """Return a message of JSON and of more fields.

    Args:
        text: The JSON; empty: an empty message.
        kind: The message.
        fields: More fields, which replace those of the JSON.
        name: What an error is about.

    Raises:
        BadRequest: It is no JSON, or has a field that is unknown or malformed.
    """
    message = kind()
    try:
        json_format.Parse(text or b"{}", message)
        json_format.ParseDict(dict(fields), message)
    except (json_format.ParseError, RecursionError) as error:
        raise BadRequest(name, str(error)) from None
    return message
