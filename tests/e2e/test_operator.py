"""What operators do, against all services as processes."""

import json
import re
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from imageblur.v1 import operator_pb2, order_pb2
from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1.operator_service_pb2_grpc import OperatorServiceStub
from imageblur_client import Client

from services.stack.background import BackgroundStack
from tests.e2e.conftest import PHOTOGRAPHS
from tests.e2e.mail import wait_for_emails
from tests.e2e.queues import wait_noticed, workers
from tests.support.waiting import eventually


@pytest.fixture
def operator(stack: BackgroundStack) -> Iterator[OperatorServiceStub]:
    with grpc.insecure_channel(stack.gateway_address) as channel:
        yield OperatorServiceStub(channel)


def test_a_paused_queue_waits_and_goes_on(client: Client, operator: OperatorServiceStub) -> None:
    operator.PauseQueue(pb.PauseQueueRequest(queue="blur"))
    try:
        # Its children load the engine first, which takes a while on a machine that never has.
        eventually(lambda: any(worker.alive for worker in workers(operator)), within=100)
        # The worker hears of it within half a second; until then it may take what comes.
        order = eventually(lambda: waiting_order(client, operator))
        assert order
        (queue,) = [q for q in operator.ListQueues(pb.ListQueuesRequest()).queues if q.name == "blur"]
        assert (queue.paused, queue.waiting) == (True, 1)
    finally:
        operator.ResumeQueue(pb.ResumeQueueRequest(queue="blur"))
    (*_, last) = client.watch(order.order_id)
    assert last.order.state == order_pb2.ORDER_STATE_SUCCEEDED


def waiting_order(client: Client, operator: OperatorServiceStub) -> order_pb2.Order | None:
    """An order that is left alone; None if it was taken all the same."""
    order = client.order("pause@example.org", [PHOTOGRAPHS / "rocket.jpg"])
    wait_noticed(operator)  # that takes seconds, an image some tens of milliseconds
    now = client.status(order.order_id).order
    return now if now.state == order_pb2.ORDER_STATE_QUEUED else None


def test_an_order_is_traced_to_its_email(stack: BackgroundStack, client: Client, operator: OperatorServiceStub) -> None:
    order = client.order("trace@example.org", [PHOTOGRAPHS / "rocket.jpg"], notify=True)
    wait_for_emails(stack, "trace@example.org")
    eventually(lambda: client.status(order.order_id).order.deliveries[0].state == order_pb2.DELIVERY_STATE_SENT)

    def traced() -> bool:
        steps = operator.GetOrderTrace(pb.GetOrderTraceRequest(order_id=order.order_id)).steps
        kinds = [operator_pb2.TraceKind.Name(step.kind).removeprefix("TRACE_KIND_") for step in steps]
        assert sorted(kinds) == ["DELIVERY", "EMAIL", "IMAGE", "IMAGE_QUEUED", "ORDER", "UPLOAD"]
        return all(step.HasField("end_time") for step in steps)

    eventually(traced)


def test_a_mailing_is_previewed_tried_run_and_listed(stack: BackgroundStack, operator: OperatorServiceStub) -> None:
    preview = operator.PreviewMailing(pb.PreviewMailingRequest(locale="ru-RU"))
    assert re.search("[а-я]", preview.subject)
    assert preview.html.startswith("<!")
    assert preview.text
    tried = operator.SendTestMailing(pb.SendTestMailingRequest(email="try@example.org"))
    assert tried.accepted, tried.server_reply
    assert not any("try@example.org" in line for line in tried.transcript)
    wait_for_emails(stack, "try@example.org")
    checked = operator.CheckMail(pb.CheckMailRequest(email="check@example.org"))
    assert checked.accepted
    assert any("250" in line for line in checked.transcript)
    made = operator.RunMailing(pb.RunMailingRequest(max_per_hour=3000))

    def done() -> bool:
        found = {m.mailing_id: m for m in operator.ListMailings(pb.ListMailingsRequest()).mailings}
        return bool(found[made.mailing_id].state == operator_pb2.MAILING_STATE_DONE)

    eventually(done)
    with pytest.raises(grpc.RpcError) as caught:
        operator.CancelMailing(pb.CancelMailingRequest(mailing_id=made.mailing_id))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    entries = operator.ListAuditEntries(pb.ListAuditEntriesRequest()).entries
    assert {"SendTestMailing", "CheckMail", "RunMailing"} <= {entry.action for entry in entries}
    assert any("3000" in entry.detail for entry in entries if entry.action == "RunMailing")
    assert "@" not in str(entries)


def test_a_paused_mail_queue_answers_at_once(operator: OperatorServiceStub) -> None:
    operator.PauseQueue(pb.PauseQueueRequest(queue="mail"))
    try:
        with pytest.raises(grpc.RpcError) as caught:
            operator.PreviewMailing(pb.PreviewMailingRequest())
        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    finally:
        operator.ResumeQueue(pb.ResumeQueueRequest(queue="mail"))


def test_what_is_kept_of_a_person_is_shown_and_erased(client: Client, operator: OperatorServiceStub) -> None:
    order = client.order("person@example.org", [PHOTOGRAPHS / "rocket.jpg"])
    for _ in client.watch(order.order_id):
        pass
    kept = exported(operator, "Person@example.org")
    assert [record["id"] for record in kept if record["type"] == "order"] == [order.order_id]
    request = pb.ErasePersonalDataRequest(email="person@example.org")
    assert [operator.ErasePersonalData(request).orders for _ in range(2)] == [1, 0]
    assert exported(operator, "person@example.org") == []


def exported(operator: OperatorServiceStub, address: str) -> list[dict[str, Any]]:
    return [json.loads(part.json) for part in operator.ExportPersonalData(pb.ExportPersonalDataRequest(email=address))]
