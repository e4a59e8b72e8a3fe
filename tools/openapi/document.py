"""The OpenAPI 3.1 document: paths, parameters, bodies, answers and errors."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from imageblur.v1 import blur_service_pb2 as pb

from services.web.api.messages import enum_prefix
from services.web.api.operations import BINARY, OPERATIONS, SECONDS, SERVICES, Form, Operation
from services.web.api.parameters import SPEC_PARAMETERS, Parameter
from tools.openapi.comments import read_comments
from tools.openapi.schemas import Schema, Schemas

_INFO = {
    "title": "ImageBlur",
    "version": "1",
    "license": {"name": "MIT", "identifier": "MIT"},
    "description": (
        "The gRPC services of ImageBlur as HTTP with JSON: the same API keys, limits and errors. Messages are those of "
        "the protos in proto3's JSON with the fields' own names; bytes are base64, 64-bit integers strings, "
        "enumerations their names. Errors are problem details (RFC 9457). An order's ID gives access to the order: "
        "keep it like a password."
    ),
}
_PROBLEM: Schema = {
    "type": "object",
    "description": "Problem details (RFC 9457).",
    "required": ["title", "status", "detail", "reason"],
    "properties": {
        "title": {"type": "string", "description": "The kind of error."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "detail": {"type": "string", "description": "What is wrong and what to do, for people."},
        "reason": {
            "type": "string",
            "description": "The reason of the gRPC error, such as `QUEUE_FULL`, for programs.",
        },
        "violations": {
            "type": "array",
            "description": "The wrong fields, with 400.",
            "items": {
                "type": "object",
                "required": ["field", "description"],
                "properties": {
                    "field": {"type": "string", "description": "Path of the field, such as `images[2].data`."},
                    "description": {"type": "string", "description": "What is wrong."},
                },
            },
        },
    },
}
_RANGE: Schema = {
    "name": "Range",
    "in": "header",
    "description": "A part of the file, such as `bytes=1000-`; with `If-Range` only of the same version of it.",
    "schema": {"type": "string"},
}


def make_document() -> Schema:
    """Return the document."""
    comments = read_comments()
    schemas = Schemas(comments)
    paths: dict[str, Schema] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schemas, comments)
    schemas.of_message(pb.WatchStatusResponse.DESCRIPTOR)  # in events
    return {
        "openapi": "3.1.0",
        "info": _INFO,
        "servers": [{"url": "/"}],
        # Where the server requires no keys, none is needed.
        "security": [{}, {"key": []}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": {"Problem": _PROBLEM, **dict(sorted(schemas.by_name.items()))},
            "parameters": {parameter.name: _parameter(parameter, "query") for parameter in SPEC_PARAMETERS},
            "responses": {
                "Problem": {
                    "description": "An error; with `Retry-After` where a retry may succeed (429, 503).",
                    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
                }
            },
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "An API key."}},
        },
    }


def _operation(operation: Operation, schemas: Schemas, comments: Mapping[str, str]) -> Schema:
    service, name = next((s, m.name) for s in SERVICES for m in s.methods if m.name == operation.rpcs[0])
    comment = comments[f"{service.full_name}.{name}"]
    first_sentence = comment.partition("\n")[0].partition(". ")[0].rstrip(".")
    described: Schema = {
        "operationId": operation.id or name,
        "tags": [operation.tag],
        "summary": operation.summary or first_sentence,
        "description": "\n\n".join(part for part in (comment, operation.note) if part),
        "x-rpcs": [f"{service.full_name}/{rpc}" for rpc in operation.rpcs],
    }
    if parameters := [*_parameters(operation, schemas)]:
        described["parameters"] = parameters
    if bodies := _bodies(operation, schemas):
        described["requestBody"] = {"required": bool(operation.bodies), "content": bodies}
    described["responses"] = _responses(operation, schemas)
    return described


def _parameters(operation: Operation, schemas: Schemas) -> Iterable[Schema]:
    in_path = re.findall(r"{(\w+)}", operation.path)
    request: Any = operation.request.DESCRIPTOR if operation.request else None
    for name in in_path:
        yield {
            "name": name,
            "in": "path",
            "required": True,
            "description": "A UUID.",
            "schema": {"type": "string", "format": "uuid"},
        }
    for parameter in operation.headers:
        yield _parameter(parameter, "header")
    for parameter in operation.query:
        if parameter in SPEC_PARAMETERS:
            yield {"$ref": f"#/components/parameters/{parameter.name}"}
        else:
            yield _parameter(parameter, "query")
    if request and operation.method != "POST":
        for field in request.fields:
            if field.name in in_path:
                continue
            schema = schemas.of_field(field)
            description = schema.pop("description", "")
            if field.enum_type:
                prefix = enum_prefix(field.enum_type)
                names = [value.name.removeprefix(prefix).lower() for value in field.enum_type.values if value.number]
                schema = {"type": "string", "enum": names}
            yield {"name": field.name, "in": "query", "description": description, "schema": schema}
    if operation.ranges:
        yield _RANGE


def _parameter(parameter: Parameter, place: str) -> Schema:
    schema = dict(parameter.schema)
    if parameter.repeated:
        schema = {"type": "array", "items": schema}
    return {"name": parameter.name, "in": place, "description": parameter.description, "schema": schema}


def _bodies(operation: Operation, schemas: Schemas) -> Schema:
    if operation.request and operation.method == "POST":
        return {"application/json": {"schema": schemas.of_message(operation.request.DESCRIPTOR)}}
    return {kind: {"schema": _schema(body, schemas)} for kind, body in operation.bodies.items()}


def _responses(operation: Operation, schemas: Schemas) -> Schema:
    content = {kind: {"schema": _schema(answer, schemas)} for kind, answer in operation.answers.items()}
    answer: Schema = {"description": "The answer."} | ({"content": content} if content else {})
    responses: Schema = {str(operation.status): answer}
    if operation.ranges:
        responses["206"] = {"description": "The part that `Range` asks for.", "content": content}
        responses["416"] = {"description": "`Range` begins after the end of the file."}
    return responses | {"default": {"$ref": "#/components/responses/Problem"}}


def _schema(content: Any, schemas: Schemas) -> Schema:
    if isinstance(content, Form):
        return _form(content, schemas)
    if content == BINARY:
        return {"type": "string", "contentMediaType": "application/octet-stream"}
    if isinstance(content, str):
        return {"type": "string", "description": content}
    return schemas.of_message(content)


def _form(form: Form, schemas: Schemas) -> Schema:
    file: Schema = {"type": "string", "contentMediaType": "application/octet-stream"}
    header = pb.OrderHeader.DESCRIPTOR.fields_by_name
    properties: Schema = {form.file: {"type": "array", "items": file} if form.several else file}
    for field in form.fields:
        text = field.description or schemas.of_field(header[field.name]).get("description", "")
        if field.schema is SECONDS:
            text += " In seconds."
        properties[field.name] = {**field.schema, "description": text}
    return {"type": "object", "required": [form.file], "properties": properties}


def to_text(document: Mapping[str, Any]) -> str:
    """Return the document as the file that is served."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
