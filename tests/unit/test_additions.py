"""Whether every place knows each effect and each format: what fails here was forgotten when one was added.

ARCHITECTURE.md has the recipes. What mypy finds, such as a `match` without a case, is not repeated here.
"""

import re
from pathlib import Path

import pytest
from imageblur.v1 import order_pb2
from imageblur_client.cli import files
from imageblur_client.cli.spec_options import OutputFormat
from starlette.datastructures import QueryParams

from services.blur_worker.engine.formats import CODECS
from services.common.domain.spec import EFFECTS, FORMATS_BY_EXTENSION, OUTPUT_FORMATS, Format
from services.gateway.orders.messages.blur_spec import parse_spec
from services.gateway.orders.messages.spec_messages import spec_message
from services.web.api import spec_query
from services.web.http.languages import load_texts
from services.web.orders.spec_values import FORMATS, effect_values, spec_of
from tests import fuzz

ROOT = Path(__file__).parents[2]


def named_in(path: str) -> set[str]:
    return set(re.findall(r"[\w.]+", (ROOT / path).read_text("utf-8").lower()))


@pytest.mark.parametrize("message", [order_pb2.BlurSpec, order_pb2.Region])
def test_the_interface_has_each_effect(message: type[order_pb2.BlurSpec]) -> None:
    assert {field.name for field in message.DESCRIPTOR.oneofs_by_name["effect"].fields} == set(EFFECTS)


@pytest.mark.parametrize("name", EFFECTS)
def test_each_effect_is_read_and_written(name: str) -> None:
    assert spec_message(parse_spec(spec_query.parse_spec(QueryParams({"effect": name})))).WhichOneof("effect") == name
    assert effect_values(spec_of({"effect": name}))["effect"] == name
    assert f"effect_{name}" in load_texts("en").by_key


def test_each_effect_is_fuzzed_and_documented() -> None:
    assert {type(effect) for effect in fuzz.EFFECTS} == set(EFFECTS.values())
    for path in ("docs/http.md", "docs/effects.md", "GLOSSARY.md"):
        assert set(EFFECTS) - named_in(path) == set(), path


def test_the_interface_the_engine_and_documents_have_each_format() -> None:
    names = {name.removeprefix("IMAGE_FORMAT_") for name, _ in order_pb2.ImageFormat.items()} - {"UNSPECIFIED"}
    assert names == CODECS.keys() == set(Format)
    for path in ("docs/formats.md", "README.md"):
        assert {format_.label.lower() for format_ in Format} - named_in(path) == set(), path


def test_results_can_be_asked_for_in_each_format_that_is_written() -> None:
    assert {each.to_proto() for each in OutputFormat} == {
        order_pb2.ImageFormat.Value(f"IMAGE_FORMAT_{format_}") for format_ in OUTPUT_FORMATS
    }
    for format_ in OUTPUT_FORMATS:
        assert spec_query.parse_spec(QueryParams({"format": format_.lower()})).output_format
    assert set(FORMATS) - {""} <= set(OUTPUT_FORMATS)


def test_the_command_line_sends_the_files_that_are_read() -> None:
    assert {suffix.removeprefix(".") for suffix in files.SUFFIXES} == set(FORMATS_BY_EXTENSION)
