"""Pagination and enum names of the operator pages."""

import pytest
from imageblur.v1 import operator_pb2, order_pb2

from services.web.enums import short_name, value_of
from services.web.operator.paging import Pager


@pytest.mark.parametrize(
    ("token", "next_token", "first_url", "next_url"),
    [
        ("", "", None, None),
        ("", "b/2", None, "/operator/failures?kind=image&page=b%2F2"),
        ("a", "", "/operator/failures?kind=image", None),
        ("a", "b", "/operator/failures?kind=image", "/operator/failures?kind=image&page=b"),
    ],
)
def test_a_pager_links_to_the_first_and_the_next_page(
    token: str, next_token: str, first_url: str | None, next_url: str | None
) -> None:
    pager = Pager(page="/failures", token=token, next_token=next_token, filters={"kind": "image", "reason": ""})
    assert (pager.first_url, pager.next_url) == (first_url, next_url)


def test_enum_values_have_short_names() -> None:
    assert short_name(order_pb2.OrderState, order_pb2.ORDER_STATE_PARTIALLY_FAILED) == "partially_failed"
    assert short_name(operator_pb2.ApiKeyRole, operator_pb2.API_KEY_ROLE_UNSPECIFIED) == ""
    assert value_of(operator_pb2.FailureKind, "email") == operator_pb2.FAILURE_KIND_EMAIL
    assert value_of(operator_pb2.FailureKind, "nonsense") is None
