"""Who may call what: every method of the interface is accounted for."""

import re
from pathlib import Path

import pytest
from imageblur.v1 import blur_service_pb2, operator_service_pb2, subscription_service_pb2

from services.common.domain.api_keys import Role, Scope
from services.gateway.rpc import access

PROTOS = Path(__file__).parents[2] / "protos" / "imageblur" / "v1"
METHODS = [
    (f"/{service.full_name}/{method.name}", module.DESCRIPTOR.name)
    for module in (blur_service_pb2, operator_service_pb2, subscription_service_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
LOOKS = re.compile(r"(Get|List|Watch|Status|Preview|Count)")


def test_the_table_names_methods_that_there_are() -> None:
    there = {path for path, _ in METHODS}
    assert there >= access._READ_BY_ALL | access._READ_BY_VIEWERS


@pytest.mark.parametrize("path", [path for path, _ in METHODS])
def test_administrators_may_call_everything_and_viewers_only_look(path: str) -> None:
    allowed = access.allowed_roles(path)
    assert Role.ADMIN in allowed
    if Role.VIEWER in allowed:
        assert LOOKS.match(path.rpartition("/")[2])
    assert (Role.CLIENT in allowed) is ("OperatorService" not in path)


@pytest.mark.parametrize("path", [path for path, _ in METHODS if "OperatorService" in path])
def test_the_comment_of_an_operator_s_method_says_whether_it_is_for_viewers(path: str) -> None:
    text = (PROTOS / "operator_service.proto").read_text("utf-8")
    method = path.rpartition("/")[2]
    (comment,) = re.findall(rf"((?:  //[^\n]*\n)+)  rpc {method}\(", text)
    words = " ".join(comment.replace("//", " ").split())
    assert ("For viewers." in words) is (Role.VIEWER in access.allowed_roles(path))


@pytest.mark.parametrize(
    "method", ["SetEmailText", "PreviewEmail", "RecordMailReport", "PauseMailing", "ImportSubscribers"]
)
def test_the_newsletter_and_its_texts_are_of_one_scope(method: str) -> None:
    assert access.scope_of(access.OPERATOR + method) is Scope.MAILINGS
