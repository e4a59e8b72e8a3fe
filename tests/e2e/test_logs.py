"""What the services say of an order: one line for each call and message, and nothing that a client wrote."""

import json
from typing import Any
from uuid import uuid4

import grpc
import pytest
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1.blur_service_pb2_grpc import BlurServiceStub
from imageblur.v1.subscription_service_pb2 import ConfirmSubscriptionRequest, SubscribeRequest
from imageblur.v1.subscription_service_pb2_grpc import SubscriptionServiceStub
from imageblur_client import Client, ImageBlurClientError, InputFile

from services.stack.background import BackgroundStack
from tests.e2e.conftest import PHOTOGRAPHS
from tests.e2e.mail import token_of, wait_for_emails
from tests.support.waiting import eventually

MARK = f"mark{uuid4().hex}"
ADDRESS = f"{MARK}@example.org"


def lines(stack: BackgroundStack) -> list[dict[str, Any]]:
    """What the services have said; each line is JSON. A local mailbox shows addresses, as it is meant to."""
    said = []
    whole, _, _ = stack.log.read_text("utf-8").rpartition("\n")  # the last line may be under way
    for line in whole.splitlines():
        service, _, text = line.partition(" | ")
        if service.strip() in {"gateway", "blur_worker", "mailer", "scheduler", "database"}:
            said.append({"service": service.strip(), **json.loads(text)})
    return said


def told(stack: BackgroundStack, event: str, **values: str) -> list[dict[str, Any]]:
    """Lines of an event with these values."""
    return [line for line in lines(stack) if line["event"] == event and values.items() <= line.items()]


@pytest.fixture(scope="module")
def order_id(stack: BackgroundStack) -> str:
    """An order whose every text is marked, after all that can be done with it, rightly and wrongly."""
    with Client(stack.gateway_address) as client:
        photo = InputFile((PHOTOGRAPHS / "rocket.jpg").read_bytes(), name=f"{MARK}.jpg")
        broken = InputFile(b"no image", name=f"{MARK}.png")
        client.blur_image(photo)
        with pytest.raises(ImageBlurClientError):
            client.blur_image(broken)
        order = client.order(ADDRESS, [photo, broken], notify=True)
        for _ in client.watch(order.order_id):
            pass
        wait_for_emails(stack, ADDRESS)
        client.subscribe(ADDRESS)
        _, confirmation = wait_for_emails(stack, ADDRESS, 2)
        token = token_of(confirmation, "confirm")
        client.confirm(token)
        client.unsubscribe(email=ADDRESS)
        tokens.append(token)
    metadata = (("authorization", f"Bearer {MARK}"),)
    with grpc.insecure_channel(stack.gateway_address) as channel:
        blur, subscriptions = BlurServiceStub(channel), SubscriptionServiceStub(channel)
        calls: list[tuple[Any, Any]] = [
            (blur.Status, pb.StatusRequest(order_id=MARK)),
            (blur.Status, pb.StatusRequest(order_id=str(uuid4()))),
            (blur.ListImages, pb.ListImagesRequest(order_id=order.order_id, page_token=MARK)),
            (blur.BlurOrder, pb.BlurOrderRequest(order=pb.OrderHeader(email=f"{MARK} at example.org"))),
            (subscriptions.Subscribe, SubscribeRequest(email=f"{MARK}@@example.org")),
            (subscriptions.ConfirmSubscription, ConfirmSubscriptionRequest(token=f"{token}{MARK}")),
        ]
        for call, request in calls:
            for wrong_key in (None, metadata):
                with pytest.raises(grpc.RpcError):
                    call(request, metadata=wrong_key, timeout=20)
        blur.Status(pb.StatusRequest(order_id=order.order_id), timeout=20)
    return order.order_id


tokens: list[str] = []


def test_nothing_that_a_client_wrote_is_told(stack: BackgroundStack, order_id: str) -> None:
    eventually(lambda: told(stack, "rpc", method="Status", order=order_id))
    secrets = [MARK, stack.data_folder.secret_key.read_text("ascii").strip(), *tokens]
    for line in lines(stack):
        text = json.dumps(line, ensure_ascii=False)
        assert not [secret for secret in secrets if secret in text], text


def test_each_call_has_one_line(stack: BackgroundStack, order_id: str) -> None:
    eventually(lambda: told(stack, "rpc", method="Status", order=order_id))
    (upload,) = told(stack, "rpc", method="StreamBlurOrder", order=order_id)
    assert upload["code"] == "OK"
    assert 0 < upload["seconds"] < 60
    assert told(stack, "rpc", method="WatchStatus", order=order_id)
    assert told(stack, "rpc", method="Status", code="NOT_FOUND")
    assert told(stack, "rpc", method="ConfirmSubscription", code="INVALID_ARGUMENT")


def test_each_message_has_one_line(stack: BackgroundStack, order_id: str) -> None:
    # A line is written after what it tells of, and comes here through the supervisor.
    eventually(lambda: told(stack, "email", order=order_id) and told(stack, "order finished", order=order_id))
    eventually(lambda: len(told(stack, "image", order=order_id)) >= 2)
    (good,) = told(stack, "image", order=order_id, outcome="SUCCEEDED")
    (bad,) = told(stack, "image", order=order_id, outcome="FAILED")
    assert good["queue"] == bad["queue"] == "blur"
    assert good["image"] != bad["image"]
    assert good["path"]
    assert good["decode_seconds"] > 0  # of a head start it is before the attempt
    assert good["seconds"] > 0
    assert bad["reason"]
    assert good["level"] == "debug"
    (order,) = told(stack, "order finished", order=order_id)
    assert (order["level"], order["images"], order["failed"]) == ("info", 2, 1)
    (email,) = told(stack, "email", order=order_id)
    assert (email["queue"], email["outcome"], email["code"]) == ("mail", "SENT", "250")
