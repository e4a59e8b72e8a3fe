"""The comments of the protos, by the full names of what they describe."""

import re
import tempfile
from collections.abc import Iterator, Mapping
from importlib.metadata import distribution
from pathlib import Path

from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet
from grpc_tools import protoc

PROTOS = Path(__file__).resolve().parents[2] / "protos"

# Numbers of fields in descriptor.proto, of which paths to comments consist.
_FILE_MESSAGE, _FILE_ENUM, _FILE_SERVICE = 4, 5, 6
_MESSAGE_FIELD, _MESSAGE_NESTED, _MESSAGE_ENUM, _MESSAGE_ONEOF = 2, 3, 4, 8
_ENUM_VALUE = _SERVICE_METHOD = 2


def read_comments() -> Mapping[str, str]:
    """Return the leading comments: paragraphs separated by an empty line, lists as Markdown."""
    well_known = distribution("grpcio-tools").locate_file("grpc_tools/_proto")
    sources = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto"))
    with tempfile.TemporaryDirectory() as directory:
        target = Path(directory) / "set.binpb"
        options = [f"--proto_path={PROTOS}", f"--proto_path={well_known}", "--include_source_info"]
        if protoc.main(["protoc", *options, f"--descriptor_set_out={target}", *sources]):
            raise SystemExit("protoc failed")
        files = FileDescriptorSet.FromString(target.read_bytes()).file
    return {name: _text(comment) for file in files for name, comment in _comments(file)}


def _comments(file: FileDescriptorProto) -> Iterator[tuple[str, str]]:
    names = dict(_names(file))
    for location in file.source_code_info.location:
        name = names.get(tuple(location.path))
        if name and location.leading_comments:
            yield f"{file.package}.{name}", location.leading_comments


def _names(file: FileDescriptorProto) -> Iterator[tuple[tuple[int, ...], str]]:
    for index, message in enumerate(file.message_type):
        yield from _message_names(message, (_FILE_MESSAGE, index), message.name)
    for index, enum in enumerate(file.enum_type):
        yield from _enum_names(enum, (_FILE_ENUM, index), enum.name)
    for index, service in enumerate(file.service):
        yield (_FILE_SERVICE, index), service.name
        for number, method in enumerate(service.method):
            yield (_FILE_SERVICE, index, _SERVICE_METHOD, number), f"{service.name}.{method.name}"


def _message_names(message: DescriptorProto, path: tuple[int, ...], name: str) -> Iterator[tuple[tuple[int, ...], str]]:
    yield path, name
    for index, field in enumerate(message.field):
        yield (*path, _MESSAGE_FIELD, index), f"{name}.{field.name}"
    for index, oneof in enumerate(message.oneof_decl):
        yield (*path, _MESSAGE_ONEOF, index), f"{name}.{oneof.name}"
    for index, nested in enumerate(message.nested_type):
        yield from _message_names(nested, (*path, _MESSAGE_NESTED, index), f"{name}.{nested.name}")
    for index, enum in enumerate(message.enum_type):
        yield from _enum_names(enum, (*path, _MESSAGE_ENUM, index), f"{name}.{enum.name}")


def _enum_names(enum: EnumDescriptorProto, path: tuple[int, ...], name: str) -> Iterator[tuple[tuple[int, ...], str]]:
    yield path, name
    for index, value in enumerate(enum.value):
        yield (*path, _ENUM_VALUE, index), f"{name}.{value.name}"


def _text(comment: str) -> str:
    """Join wrapped lines; an indented `CODE: …` becomes an item of a list."""
    blocks: list[str] = []
    for line in comment.splitlines():
        item = re.match(r" {2,3}([A-Z_]+): (.*)", line)
        if item:
            blocks.append(f"- `{item[1]}`: {item[2]}")
        elif not line.strip():
            blocks.append("")
        elif blocks and blocks[-1]:
            blocks[-1] += " " + line.strip()
        else:
            blocks.append(line.strip())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(blocks)).strip()
