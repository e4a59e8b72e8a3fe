"""Every RPC for clients has an HTTP counterpart, which the OpenAPI document and docs/http.md describe."""

import asyncio
import importlib
import json
import re
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import ServiceDescriptor
from grpc import aio
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1.order_pb2 import BlurSpec
from openapi_spec_validator import validate
from starlette.datastructures import QueryParams
from starlette.routing import Route

from services.common.infra.signing.visitors import VisitorProof
from services.web.api.operations import OPERATIONS, SERVICES
from services.web.api.order_form import HEADER_FIELDS, parse_header
from services.web.api.parameters import SPEC_PARAMETERS
from services.web.api.routes import api_routes
from services.web.api.spec_query import parse_spec
from services.web.gateway.rpc import Channels

PROTOS = Path("protos")
OPENAPI = Path("services/web/api/openapi.json")
NOT_OVER_HTTP = {"imageblur.v1.OperatorService"}
"""Operators use the pages, the command line or gRPC."""


def services() -> list[ServiceDescriptor]:
    """All services of the protos."""
    found: list[ServiceDescriptor] = []
    for path in sorted(PROTOS.rglob("*.proto")):
        name = str(path.relative_to(PROTOS))
        importlib.import_module(name.removesuffix(".proto").replace("/", ".") + "_pb2")
        found += descriptor_pool.Default().FindFileByName(name).services_by_name.values()
    return found


RPCS = [(service, method.name) for service in SERVICES for method in service.methods]


def routes() -> set[tuple[str, str]]:
    """Methods and paths that are answered."""

    async def collect() -> set[tuple[str, str]]:
        async with aio.insecure_channel("127.0.0.1:1") as others:
            with grpc.insecure_channel("127.0.0.1:1") as uploads:
                found = api_routes(Channels(uploads=uploads, others=others), VisitorProof(None), asyncio.Event())
        served = [route for route in found if isinstance(route, Route)]
        return {(method, route.path) for route in served for method in (route.methods or set()) - {"HEAD", "OPTIONS"}}

    return asyncio.run(collect())


def document() -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(OPENAPI.read_text(encoding="utf-8"))
    return parsed


def test_every_service_but_that_of_operators_is_there() -> None:
    assert {service.full_name for service in services()} - NOT_OVER_HTTP == {service.full_name for service in SERVICES}


@pytest.mark.parametrize(("service", "rpc"), RPCS, ids=[rpc for _, rpc in RPCS])
def test_an_rpc_has_an_operation(service: ServiceDescriptor, rpc: str) -> None:
    operations = [operation for operation in OPERATIONS if rpc in operation.rpcs]
    assert operations, f"add a Call for {service.name}.{rpc} to services/web/api/calls.py, or an Operation"
    described = [
        operation for path in document()["paths"].values() for operation in path.values()
        if f"{service.full_name}/{rpc}" in operation["x-rpcs"]
    ]  # fmt: skip
    assert len(described) == len(operations), "run 'make protos'"


def test_every_operation_is_answered_and_every_answered_path_is_an_operation() -> None:
    operations = {(operation.method, operation.path.rstrip("/")) for operation in OPERATIONS}
    assert routes() - {("GET", "/v1/openapi.json")} == operations


def test_every_path_is_documented() -> None:
    documented = Path("docs/http.md").read_text(encoding="utf-8")
    assert [
        path for _, path in routes() if not re.search(rf"`(GET|POST|DELETE|PATCH|HEAD) {re.escape(path)}", documented)
    ] == []


def test_the_document_is_valid_openapi() -> None:
    validate(document())


def test_everything_in_the_document_has_a_description() -> None:
    schemas = document()["components"]["schemas"]
    bare = [name for name, schema in schemas.items() if not schema.get("description")]
    for name, schema in schemas.items():
        bare += [
            f"{name}.{field}" for field, value in schema.get("properties", {}).items() if not value.get("description")
        ]
    assert bare == []


def test_a_form_takes_every_field_of_an_order() -> None:
    names = {field.name for field in pb.OrderHeader.DESCRIPTOR.fields}
    assert {field.name for field in HEADER_FIELDS} | {"spec"} == names
    fields = {"email": "ann@example.org", "notify": "1", "keep_originals_for": "90", "spec": '{"quality": 7}'}
    header = parse_header(fields, BlurSpec(quality=80))
    assert (header.email, header.notify, header.keep_originals_for.seconds, header.spec.quality) == (
        "ann@example.org", True, 90, 7,
    )  # fmt: skip


def test_a_query_takes_every_spec() -> None:
    spec = parse_spec(
        QueryParams({"spec": '{"gaussian": {"sigma_px": 3}, "exclude_regions": [{"ellipse": {"width": 1}}]}'})
    )
    assert spec.gaussian.sigma_px == 3
    assert spec.exclude_regions[0].ellipse.width == 1
    assert "spec" in {parameter.name for parameter in SPEC_PARAMETERS}
