"""The page of the HTTP interface: the OpenAPI document for people, with forms to try it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import Response

from services.web.api.openapi import read_document
from services.web.http.templates import PageRenderer

_SHOWN_FIRST = ("One image at once", "Orders", "Newsletter")
Schema = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class InputField:
    """A parameter, or a field of a form."""

    name: str
    place: str
    """`path`, `query`, `header` or `form`."""
    description: Markup
    required: bool = False
    choices: tuple[str, ...] = ()
    numeric: bool = False
    repeated: bool = False
    """One value a line."""
    example: str = ""


@dataclass(frozen=True, kw_only=True)
class ShownOperation:
    """An operation with all that its form needs."""

    id: str
    method: str
    path: str
    summary: str
    description: Markup
    fields: list[InputField] = field(default_factory=list)
    file: str = ""
    """Name of the file of its form, or `body`; empty: none."""
    several_files: bool = False
    json_body: str = ""
    """What the body may look like; empty: there is none."""
    curl: str = ""


class ApiPage:
    """Shows the page."""

    def __init__(self, pages: PageRenderer) -> None:
        self._pages = pages

    async def show(self, request: Request) -> Response:
        """Return the page."""
        return self._pages.page(request, "api/page.html", groups=groups())


@cache
def groups() -> Mapping[str, list[ShownOperation]]:
    """Return the operations of the document by their groups."""
    document = json.loads(read_document()[0])
    found: dict[str, list[ShownOperation]] = {name: [] for name in _SHOWN_FIRST}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            found.setdefault(operation["tags"][0], []).append(_shown(document, path, method.upper(), operation))
    return found


def markup(text: str) -> Markup:
    """Return Markdown as HTML: paragraphs, lists and code; nothing else occurs in the comments of protos."""
    blocks: list[Markup] = []
    for block in text.split("\n\n"):
        lines = [_inline(line.removeprefix("- ")) for line in block.splitlines()]
        if block.startswith("- "):
            items = Markup("").join(Markup("<li>{}</li>").format(line) for line in lines)
            blocks.append(Markup("<ul>{}</ul>").format(items))
        else:
            blocks.append(Markup("<p>{}</p>").format(Markup(" ").join(lines)))
    return Markup("").join(blocks)


def _inline(text: str) -> Markup:
    # Each second part is code.
    parts = enumerate(text.split("`"))
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part) for number, part in parts
    )


def _shown(document: Schema, path: str, method: str, operation: Schema) -> ShownOperation:
    bodies = {kind: body["schema"] for kind, body in operation.get("requestBody", {}).get("content", {}).items()}
    form = bodies.get("multipart/form-data", {})
    fields = [_parameter(_resolve(document, parameter)) for parameter in operation.get("parameters", ())]
    file, several = "", False
    for name, schema in form.get("properties", {}).items():
        if name in form["required"]:
            file, several = name, schema["type"] == "array"
        else:
            fields.append(_field(name, "form", schema, schema["description"]))
    if not form and "application/offset+octet-stream" in bodies:
        file = "body"
    json_body = "" if form or "application/json" not in bodies else _example(document, bodies["application/json"], path)
    return ShownOperation(
        id=operation["operationId"],
        method=method,
        path=path,
        summary=operation["summary"],
        description=markup(operation["description"]),
        fields=sorted(fields, key=lambda shown: shown.place != "path"),
        file=file,
        several_files=several,
        json_body=json_body,
        curl=" ".join(_curl(method, path, file, json_body)),
    )


def _resolve(document: Schema, value: Schema) -> Schema:
    if reference := value.get("$ref"):
        for part in reference.removeprefix("#/").split("/"):
            document = document[part]
        return document
    return value


def _parameter(parameter: Schema) -> InputField:
    required = bool(parameter.get("required"))
    return _field(parameter["name"], parameter["in"], parameter["schema"], parameter["description"], required=required)


def _field(name: str, place: str, schema: Schema, description: str, *, required: bool = False) -> InputField:
    repeated = schema["type"] == "array"
    one = schema["items"] if repeated else schema
    return InputField(
        name=name,
        place=place,
        description=_inline(description),
        required=required,
        choices=tuple(one.get("enum", ())),
        numeric=one["type"] in {"number", "integer"},
        repeated=repeated,
        example=str(one.get("example", "")),
    )


def _example(document: Schema, schema: Schema, path: str) -> str:
    """Return the fields of a message that are no messages themselves, without those of the path."""
    properties = _resolve(document, schema)["properties"]
    empty: Mapping[str, Any] = {"boolean": False, "array": [], "integer": 0}
    values = {
        name: empty.get(value.get("type", "object"), "" if "type" in value else {})
        for name, value in properties.items()
        if f"{{{name}}}" not in path
    }
    return json.dumps(values, indent=2) if values else ""


def _curl(method: str, path: str, file: str, json_body: str) -> Iterator[str]:
    """Yield the arguments of a command; the script of the page adds what was entered."""
    yield "curl"
    if method not in {"GET", "POST"} or (method == "POST" and not file and not json_body):
        yield f"-X {method}"
    if file == "body":
        yield "--data-binary @photo.jpg"
    elif file:
        yield f"-F {file}=@photo.jpg"
    elif json_body:
        yield "-d '{}'"
    yield f"http://127.0.0.1:8080{path}"
