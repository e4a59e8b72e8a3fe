"""Lists of orders, and the trace of one, for operators."""

from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from imageblur.v1 import blur_service_pb2 as blur
from imageblur.v1 import operator_pb2, order_pb2
from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1.operator_service_pb2_grpc import OperatorServiceStub
from sqlalchemy import select

from services.common.db.engine import Database
from services.common.db.mail import emails
from services.common.db.models import Email
from tests.integration.gateway.conftest import Gateway
from tests.integration.gateway.operator.operating import TOOK, UNLUCKY, Failures, Orders, ended
from tests.integration.gateway.test_orders import PICTURE, fields, order, refused


def test_orders_are_listed_newest_first_a_page_at_a_time(gateway: Gateway, operator: OperatorServiceStub) -> None:
    placed = [order(gateway).order_id for _ in range(5)]
    seen: list[str] = []
    token = ""
    while True:
        page = operator.ListOrders(pb.ListOrdersRequest(page_size=2, page_token=token))
        assert 0 < len(page.orders) <= 2
        seen += [entry.order.order_id for entry in page.orders]
        token = page.next_page_token
        if not token:
            break
    assert seen == placed[::-1]
    (first, *_) = operator.ListOrders(pb.ListOrdersRequest()).orders
    assert first.order.email_hint == "a***@example.org"
    assert first.order.counts.queued == 2
    assert first.principal == "anonymous"


def test_orders_are_found_by_state_address_principal_and_time(
    gateway: Gateway, operator: OperatorServiceStub, database: Database
) -> None:
    done, waits = ended(gateway, database, TOOK), order(gateway)
    other = gateway.blur.BlurOrder(
        blur.BlurOrderRequest(order=blur.OrderHeader(email="bob@example.org"), images=[PICTURE])
    ).order

    def found(**which: Any) -> set[str]:
        request = pb.ListOrdersRequest(filter=Orders(**which))
        return {entry.order.order_id for entry in operator.ListOrders(request).orders}

    assert found(states=[order_pb2.ORDER_STATE_SUCCEEDED, order_pb2.ORDER_STATE_FAILED]) == {done}
    assert found(email="bob@EXAMPLE.org") == {other.order_id}
    assert found(email="nobody@example.org") == set()
    assert found(principal="anonymous") == {done, waits.order_id, other.order_id}
    assert found(principal="key:x") == set()
    assert found(from_time=other.create_time) == {other.order_id}
    assert found(to_time=waits.create_time) == {done}


@pytest.mark.parametrize(
    ("call", "request_", "wrong"),
    [
        ("ListOrders", pb.ListOrdersRequest(page_size=-1), {"page_size"}),
        ("ListOrders", pb.ListOrdersRequest(page_token="x"), {"page_token"}),
        ("ListOrders", pb.ListOrdersRequest(page_token="WzEsMl0"), {"page_token"}),
        (
            "ListOrders",
            pb.ListOrdersRequest(filter=Orders(states=[99], email="x")),
            {"filter.states[0]", "filter.email"},
        ),
        ("ListOrders", pb.ListOrdersRequest(filter=Orders(from_time=Timestamp(seconds=2**62))), {"filter.from_time"}),
        ("GetOrderTrace", pb.GetOrderTraceRequest(order_id="x"), {"order_id"}),
        ("ListFailures", pb.ListFailuresRequest(filter=Failures(kind=9)), {"filter.kind"}),
        ("ListFailures", pb.ListFailuresRequest(filter=Failures(reason=99)), {"filter.reason"}),
        ("ListFailures", pb.ListFailuresRequest(filter=Failures(order_id="x")), {"filter.order_id"}),
        ("ListFailures", pb.ListFailuresRequest(page_token="WzEsMl0"), {"page_token"}),
        ("RetryFailures", pb.RetryFailuresRequest(), {"failure_ids"}),
        ("RetryFailures", pb.RetryFailuresRequest(all=True, failure_ids=[str(uuid4())]), {"failure_ids"}),
        ("RetryFailures", pb.RetryFailuresRequest(failure_ids=["x"]), {"failure_ids[0]"}),
        ("DismissFailures", pb.DismissFailuresRequest(failure_ids=[str(uuid4())] * 1001), {"failure_ids"}),
        ("GetStatistics", pb.GetStatisticsRequest(span=Duration(seconds=0)), {"span"}),
        ("GetStatistics", pb.GetStatisticsRequest(span=Duration(seconds=9000), step=Duration(seconds=1)), {"step"}),
        ("CreateApiKey", pb.CreateApiKeyRequest(), {"role"}),
        ("CreateApiKey", pb.CreateApiKeyRequest(role=1, name="x" * 201), {"name"}),  # type: ignore[arg-type]
        ("CreateApiKey", pb.CreateApiKeyRequest(role=1, lifetime=Duration(seconds=-1)), {"lifetime"}),  # type: ignore[arg-type]
        ("RotateApiKey", pb.RotateApiKeyRequest(api_key_id="x"), {"api_key_id"}),
        ("RevokeApiKey", pb.RevokeApiKeyRequest(api_key_id="x"), {"api_key_id"}),
    ],
)
def test_what_is_wrong_is_named(operator: OperatorServiceStub, call: str, request_: Any, wrong: set[str]) -> None:
    error = refused(grpc.StatusCode.INVALID_ARGUMENT, getattr(operator, call), request_)
    assert set(fields(error)) == wrong


def test_what_is_not_there_is_not_found(operator: OperatorServiceStub) -> None:
    nobody = str(uuid4())
    for call, request in (
        (operator.GetOrderTrace, pb.GetOrderTraceRequest(order_id=nobody)),
        (operator.RotateApiKey, pb.RotateApiKeyRequest(api_key_id=nobody)),
        (operator.RevokeApiKey, pb.RevokeApiKeyRequest(api_key_id=nobody)),
    ):
        refused(grpc.StatusCode.NOT_FOUND, call, request)


def test_a_trace_leads_from_the_upload_to_the_email(
    gateway: Gateway, operator: OperatorServiceStub, database: Database
) -> None:
    order_id = ended(gateway, database, TOOK, UNLUCKY)
    gateway.blur.SendImages(blur.SendImagesRequest(order_id=order_id))
    with database.read() as session:
        email_id = session.scalars(select(Email.id)).one()
    with database.write() as session:
        claim = emails.claim_email(session, email_id, lease_seconds=60)
    assert claim
    with database.write() as session:
        assert emails.finish_sent(session, claim, smtp_reply="250 queued for ann@example.org")
    trace = operator.GetOrderTrace(pb.GetOrderTraceRequest(order_id=order_id))
    kinds = [operator_pb2.TraceKind.Name(step.kind).removeprefix("TRACE_KIND_") for step in trace.steps]
    assert sorted(kinds) == sorted(
        ["UPLOAD", "ORDER", "IMAGE_QUEUED", "IMAGE_QUEUED", "IMAGE", "IMAGE", "DELIVERY", "EMAIL"]
    )
    begins = [step.start_time.ToNanoseconds() for step in trace.steps]
    assert begins == sorted(begins)
    for step in trace.steps:
        took = step.end_time.ToNanoseconds() - step.start_time.ToNanoseconds()
        assert took == step.duration.ToNanoseconds() >= 0
    by_kind = dict(zip(kinds, trace.steps, strict=True))
    assert by_kind["UPLOAD"].end_time == trace.order.order.create_time == by_kind["ORDER"].start_time
    assert by_kind["EMAIL"].message == "250 queued for a***@example.org"
    assert by_kind["IMAGE"].message == UNLUCKY.message
    assert by_kind["ORDER"].state == "PARTIALLY_FAILED"
    assert trace.omitted_images == 0
