"""Operators search for orders, look at their images, and act on them: by id, or on all that a filter selects."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from imageblur.v1 import blur_service_pb2 as blur
from imageblur.v1 import operator_pb2, order_pb2
from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1.operator_service_pb2_grpc import OperatorServiceStub
from sqlalchemy import select, update

from services.common.db.engine import Database
from services.common.db.models import AuditEntry, Order
from services.common.domain.api_keys import Role
from services.common.domain.findings import CheckState
from services.common.domain.spec import FindingKind
from services.gateway.rpc import key_cache
from services.gateway.settings import GatewaySettings
from tests.integration.gateway.conftest import Gateway, running
from tests.integration.gateway.operator.operating import HOPELESS, TOOK, UNLUCKY, ended, refuse_mail, work
from tests.integration.gateway.operator.test_keys import known, make, reason, with_key
from tests.integration.gateway.test_orders import HEADER, PICTURE, fields
from tests.support.findings import finding, inspection

__all__ = ["make"]

Filter: Any = operator_pb2.OrderFilter


def placed(gateway: Gateway, email: str = HEADER.email, keep: int = 0) -> str:
    header = blur.OrderHeader(email=email, spec=HEADER.spec)
    if keep:
        header.keep_originals_for.FromSeconds(keep)
    return gateway.blur.BlurOrder(blur.BlurOrderRequest(order=header, images=[PICTURE])).order.order_id


def found(operator: OperatorServiceStub, **which: Any) -> set[str]:
    response = operator.ListOrders(pb.ListOrdersRequest(filter=Filter(**which)))
    return {entry.order.order_id for entry in response.orders}


def of(*order_ids: str) -> operator_pb2.OrderSelection:
    return operator_pb2.OrderSelection(order_ids=order_ids)


def all_of(**which: Any) -> operator_pb2.OrderSelection:
    return operator_pb2.OrderSelection(all=True, filter=Filter(**which))


def test_orders_are_found_by_the_beginning_of_their_id_and_a_part_of_their_address(
    gateway: Gateway, operator: OperatorServiceStub
) -> None:
    ann, bert = placed(gateway, "Ann.Smith@example.org"), placed(gateway, "bert_100%@example.com")
    for beginning in (ann[:4], ann[:8].upper(), ann[:13], ann):
        assert ann in found(operator, order_id_prefix=beginning)
    assert bert not in found(operator, order_id_prefix=ann[:8])
    assert found(operator, email_part="SMITH@") == {ann}
    assert found(operator, email_part="example.") == {ann, bert}
    # A whole address is not a part of others.
    joann = placed(gateway, "joann@example.org")
    assert found(operator, email_part="ann@") == {joann}
    short = placed(gateway, "ann@example.org")
    assert found(operator, email_part="ANN@example.org") == {short}
    assert found(operator, email_part="ann@example.") == {joann, short}
    # No wildcards.
    assert found(operator, email_part="_100%") == {bert}
    assert found(operator, email_part="_10%@") == set()
    assert found(operator, email_part="smith", order_id_prefix=bert[:8]) == set()
    assert found(operator, email_part="smith", states=[order_pb2.ORDER_STATE_QUEUED]) == {ann}


@pytest.mark.parametrize(
    ("field", "which"),
    [
        ("order_id_prefix", {"order_id_prefix": "abc"}),
        ("order_id_prefix", {"order_id_prefix": "wxyz"}),
        ("order_id_prefix", {"order_id_prefix": "a" * 33}),
        ("email_part", {"email_part": "ab"}),
        ("email_part", {"email_part": "a" * 400}),
    ],
)
def test_a_search_that_would_match_too_much_is_refused(
    operator: OperatorServiceStub, field: str, which: dict[str, str]
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        operator.ListOrders(pb.ListOrdersRequest(filter=Filter(**which)))
    assert set(fields(caught.value)) == {f"filter.{field}"}


def test_pages_of_several_states_are_in_order_and_complete(
    gateway: Gateway, operator: OperatorServiceStub, database: Database
) -> None:
    ids = [ended(gateway, database, outcome) for outcome in (TOOK, HOPELESS) * 3] + [placed(gateway)]
    states = [order_pb2.ORDER_STATE_SUCCEEDED, order_pb2.ORDER_STATE_FAILED]
    paged: list[str] = []
    token = ""
    while True:
        request = pb.ListOrdersRequest(page_size=2, page_token=token, filter=Filter(states=states))
        page = operator.ListOrders(request)
        paged += [entry.order.order_id for entry in page.orders]
        if not (token := page.next_page_token):
            break
    assert paged == ids[-2::-1]


def test_many_addresses_that_match_are_searched_as_well(
    gateway: Gateway, operator: OperatorServiceStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.common.db.orders.order_search.FEW_ADDRESSES", 1)
    ids = {placed(gateway, f"{name}@example.net") for name in ("one", "two", "three")}
    placed(gateway, "other@example.org")
    assert found(operator, email_part="example.net") == ids


def test_images_are_listed_with_what_operators_need_and_names_for_administrators_only(
    gateway: Gateway, operator: OperatorServiceStub, database: Database
) -> None:
    order_id = ended(gateway, database, TOOK, HOPELESS, UNLUCKY)
    images = operator.ListOrderImages(pb.ListOrderImagesRequest(order_id=order_id)).images
    assert [image.position for image in images] == [1, 2, 3]
    first, damaged, late = images
    assert first.filename
    assert (first.file_kind, first.state, first.attempts) == ("JPEG", order_pb2.IMAGE_STATE_SUCCEEDED, 1)
    assert first.worker.rpartition("/")[2].isdigit()
    assert first.HasField("wait")
    assert first.HasField("work")
    assert not first.HasField("failure")
    assert (damaged.cause, damaged.retryable) == (operator_pb2.FAILURE_CAUSE_FILE, False)
    assert (late.cause, late.retryable) == (operator_pb2.FAILURE_CAUSE_SERVICE, True)
    page = operator.ListOrderImages(pb.ListOrderImagesRequest(order_id=order_id, page_size=2))
    assert len(page.images) == 2
    rest = pb.ListOrderImagesRequest(order_id=order_id, page_size=2, page_token=page.next_page_token)
    assert [image.position for image in operator.ListOrderImages(rest).images] == [3]
    failed = pb.ListOrderImagesRequest(order_id=order_id, states=[order_pb2.IMAGE_STATE_FAILED])
    assert [image.position for image in operator.ListOrderImages(failed).images] == [2, 3]
    without = operator.GetOrderTrace(pb.GetOrderTraceRequest(order_id=order_id, without_images=True))
    assert all(not step.position for step in without.steps)


def test_a_viewer_sees_no_name_and_changes_nothing(
    settings: GatewaySettings, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_cache, "REFRESH_SECONDS", 0.05)
    with running(settings.model_copy(update={"require_keys": True})) as gateway:
        admin, viewer = make(Role.ADMIN), make(Role.VIEWER)
        known(gateway, admin)
        known(gateway, viewer)
        request = blur.BlurOrderRequest(order=HEADER, images=[PICTURE])
        order_id = with_key(gateway.blur.BlurOrder, admin)(request).order.order_id
        stub = OperatorServiceStub(gateway.channel)
        listing = pb.ListOrderImagesRequest(order_id=order_id)
        assert with_key(stub.ListOrderImages, admin)(listing).images[0].filename
        assert not with_key(stub.ListOrderImages, viewer)(listing).images[0].filename
        for search in ({"email_part": "example"}, {"email": "ann@example.org"}):
            with pytest.raises(grpc.RpcError) as caught:
                with_key(stub.ListOrders, viewer)(pb.ListOrdersRequest(filter=Filter(**search)))
            assert reason(caught.value) == "ROLE_NOT_ALLOWED"
        for change, request_type in (
            (stub.CancelOrders, pb.CancelOrdersRequest),
            (stub.DeleteOrders, pb.DeleteOrdersRequest),
            (stub.SendOrders, pb.SendOrdersRequest),
            (stub.ReviseOrders, pb.ReviseOrdersRequest),
            (stub.ExtendOrders, pb.ExtendOrdersRequest),
        ):
            with pytest.raises(grpc.RpcError) as caught:
                with_key(change, viewer)(request_type(selection=of(order_id), validate_only=True))
            assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_a_dry_run_counts_and_changes_nothing_and_the_action_changes_as_many(
    gateway: Gateway, operator: OperatorServiceStub, database: Database
) -> None:
    done = ended(gateway, database, TOOK)
    waiting = [placed(gateway) for _ in range(3)]
    dry = operator.CancelOrders(pb.CancelOrdersRequest(selection=all_of(email_part="ann@"), validate_only=True))
    assert (dry.outcome.matched, dry.outcome.changed) == (3, 0)
    assert not recorded(database)
    outcome = operator.CancelOrders(pb.CancelOrdersRequest(selection=all_of(email_part="ann@"))).outcome
    assert (outcome.matched, outcome.changed, outcome.next_page_token) == (3, 3, "")
    assert states(operator, *waiting) == {order_pb2.ORDER_STATE_CANCELLED}
    assert states(operator, done) == {order_pb2.ORDER_STATE_SUCCEEDED}
    assert recorded(database) == sorted(("CancelOrders", f"orders/{order_id}") for order_id in waiting)


def test_an_action_goes_on_where_the_call_before_ended(
    gateway: Gateway, operator: OperatorServiceStub, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.gateway.operator.orders.order_actions.BATCH", 2)
    ids = [placed(gateway) for _ in range(5)]
    for selection in (all_of(), of(*ids)):
        token, changed, matched = "", 0, []
        while True:
            request = pb.ExtendOrdersRequest(selection=selection, extension=Duration(seconds=3600), page_token=token)
            outcome = operator.ExtendOrders(request).outcome
            matched.append(outcome.matched)
            changed += outcome.changed
            if not (token := outcome.next_page_token):
                break
        assert changed == 5
        assert matched[0] == 5
    assert len(recorded(database)) == 10


def test_an_order_expires_later_before_and_after_its_end(
    gateway: Gateway, operator: OperatorServiceStub, database: Database
) -> None:
    first, second = placed(gateway), ended(gateway, database, TOOK)
    before = expiry(database)
    extension = Duration(seconds=86_400)
    outcome = operator.ExtendOrders(pb.ExtendOrdersRequest(selection=of(first, second), extension=extension)).outcome
    assert outcome.changed == 2
    later = expiry(database)
    assert {order_id: (later[order_id] - before[order_id]) // 10**6 for order_id in before} == {
        first: 86_400,
        second: 86_400,
    }
    for seconds in (0, -1, 366 * 86_400):
        with pytest.raises(grpc.RpcError) as caught:
            operator.ExtendOrders(pb.ExtendOrdersRequest(selection=of(first), extension=Duration(seconds=seconds)))
        assert set(fields(caught.value)) == {"extension"}


def test_orders_are_sent_revised_and_deleted(
    gateway: Gateway, operator: OperatorServiceStub, database: Database
) -> None:
    order_id, without_originals = placed(gateway, keep=3600), ended(gateway, database, TOOK)
    listing = pb.ListOrderImagesRequest(order_id=order_id)
    work(database, operator.ListOrderImages(listing).images[0].image_id, TOOK)
    assert operator.SendOrders(pb.SendOrdersRequest(selection=of(order_id))).outcome.changed == 1
    again = operator.ReviseOrders(pb.ReviseOrdersRequest(selection=of(order_id, without_originals))).outcome
    assert (again.matched, again.changed) == (1, 1)
    assert [(skipped.order_id, skipped.message) for skipped in again.skipped] == [
        (without_originals, "the originals are not kept, or no longer")
    ]
    assert states(operator, order_id) == {order_pb2.ORDER_STATE_RUNNING}
    work(database, operator.ListOrderImages(listing).images[0].image_id, TOOK)
    spec = order_pb2.BlurSpec(pixelate=order_pb2.Pixelate(cell_px=9))
    assert operator.ReviseOrders(pb.ReviseOrdersRequest(selection=of(order_id), spec=spec)).outcome.changed == 1
    assert operator.DeleteOrders(pb.DeleteOrdersRequest(selection=of(order_id))).outcome.changed == 1
    gone = operator.DeleteOrders(pb.DeleteOrdersRequest(selection=of(order_id))).outcome
    assert [skipped.message for skipped in gone.skipped] == ["there is no such order"]


@pytest.mark.parametrize(
    ("field", "selection"),
    [
        ("selection.order_ids", operator_pb2.OrderSelection()),
        ("selection.order_ids", operator_pb2.OrderSelection(order_ids=["x"], all=True)),
        ("selection.order_ids[0]", of("x")),
        ("selection.order_ids", of(*[str(UUID(int=number)) for number in range(1001)])),
        ("selection.filter.email_part", all_of(email_part="a")),
    ],
)
def test_a_wrong_selection_is_refused(
    operator: OperatorServiceStub, field: str, selection: operator_pb2.OrderSelection
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        operator.DeleteOrders(pb.DeleteOrdersRequest(selection=selection))
    assert set(fields(caught.value)) == {field}


def test_failures_have_a_cause_and_are_counted_and_retried_by_cause_and_time(
    gateway: Gateway, operator: OperatorServiceStub, database: Database
) -> None:
    order_id = ended(gateway, database, TOOK, HOPELESS, UNLUCKY, HOPELESS)
    refuse_mail(gateway, database, order_id, "550 5.1.1 <ann@example.org>: no such user")
    failures = operator.ListFailures(pb.ListFailuresRequest())
    causes = [(entry.cause, entry.retryable) for entry in failures.failures]
    file, recipient, service = (
        operator_pb2.FAILURE_CAUSE_FILE,
        operator_pb2.FAILURE_CAUSE_RECIPIENT,
        operator_pb2.FAILURE_CAUSE_SERVICE,
    )
    assert causes == [(file, False), (service, True), (file, False), (recipient, False)]
    groups = [(group.cause, group.count, group.retryable) for group in failures.groups]
    assert groups[0] == (service, 1, 1)
    assert set(groups[1:]) == {(file, 2, 0), (recipient, 1, 0)}
    queues = {queue.name: queue for queue in operator.ListQueues(pb.ListQueuesRequest()).queues}
    assert (queues["blur"].failed, queues["blur"].failed_by_service) == (3, 1)
    assert (queues["mail"].failed, queues["mail"].failed_by_service) == (1, 0)
    points = operator.GetStatistics(pb.GetStatisticsRequest()).points
    assert sum(point.images_failed for point in points) == 3
    assert sum(point.images_failed_by_service for point in points) == 1

    past, future = Timestamp(seconds=1), Timestamp(seconds=2**32)
    for which, number in (
        ({"cause": file}, 2),
        ({"cause": recipient}, 1),
        ({"cause": service}, 1),
        ({"from_time": past, "to_time": future}, 4),
        ({"to_time": past}, 0),
        ({"from_time": future}, 0),
    ):
        criteria = operator_pb2.FailureFilter(**which)
        assert len(operator.ListFailures(pb.ListFailuresRequest(filter=criteria)).failures) == number
        dismissing = pb.DismissFailuresRequest(all=True, filter=criteria, validate_only=True)
        assert operator.DismissFailures(dismissing).matched == number
    counted = operator.RetryFailures(pb.RetryFailuresRequest(all=True, validate_only=True))
    assert (counted.matched, counted.retried) == (1, 0)
    assert not [action for action, _ in recorded(database) if action == "RetryFailures"]
    done = operator.RetryFailures(pb.RetryFailuresRequest(all=True))
    assert (done.matched, done.retried) == (1, 1)


def states(operator: OperatorServiceStub, *order_ids: str) -> set[int]:
    traces = [operator.GetOrderTrace(pb.GetOrderTraceRequest(order_id=order_id)) for order_id in order_ids]
    return {trace.order.order.state for trace in traces}


def recorded(database: Database) -> list[tuple[str, str]]:
    """Actions and subjects in the audit log."""
    with database.read() as session:
        return sorted((row.action, row.subject) for row in session.scalars(select(AuditEntry)))


def expiry(database: Database) -> dict[str, int]:
    with database.read() as session:
        return {str(row.id): row.expires_at for row in session.scalars(select(Order))}


def test_an_expired_order_is_not_extended(gateway: Gateway, operator: OperatorServiceStub, database: Database) -> None:
    order_id = ended(gateway, database, TOOK)
    with database.write() as session:
        session.execute(update(Order).values(state="EXPIRED", email=None))
    outcome = operator.ExtendOrders(
        pb.ExtendOrdersRequest(selection=of(order_id), extension=Duration(seconds=60))
    ).outcome
    assert [skipped.message for skipped in outcome.skipped] == ["the order is EXPIRED"]


def test_statistics_have_findings_by_kind_and_outcomes_of_checks(
    gateway: Gateway, operator: OperatorServiceStub, database: Database
) -> None:
    text = replace(finding(), kind=FindingKind.TEXT)
    inspections = (
        inspection(finding(), finding(applied=False)),
        inspection(finding(), text, state=CheckState.REMAINING),
        inspection(state=CheckState.NOT_CHECKED),
    )
    ended(gateway, database, *(replace(TOOK, inspection=one) for one in inspections), TOOK)
    points = operator.GetStatistics(pb.GetStatisticsRequest()).points
    found = {entry.kind: (entry.found, entry.hidden) for point in points for entry in point.findings}
    assert found == {order_pb2.FINDING_KIND_FACE: (4, 3), order_pb2.FINDING_KIND_TEXT: (1, 1)}
    assert sum(point.checks_clean for point in points) == 1
    assert sum(point.checks_remaining for point in points) == 1
