import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from imageblur.v1.blur_service_pb2 import (
    CancelOrderResponse,
    DeleteOrderRequest,
    DeleteOrderResponse,
    GetLimitsResponse,
    ListImagesRequest,
    ListImagesResponse,
    OrderView,
    SendImagesRequest,
    SendImagesResponse,
    StatusRequest,
    StatusResponse,
)
from imageblur.v1.order_pb2 import Delivery, ImageState
from imageblur.v1.subscription_service_pb2 import (
    ConfirmSubscriptionRequest,
    ConfirmSubscriptionResponse,
    SubscribeRequest,
    SubscribeResponse,
    UnsubscribeRequest,
    UnsubscribeResponse,
)
from imageblur_client import (
    AccessDeniedError,
    Client,
    FailedPreconditionError,
    ImageBlurClientError,
    NotFoundError,
    RetryableError,
)

from tests.integration.client.messages import ORDER_ID, image, order, stands
from tests.integration.client.scripted import Failure, ScriptedServer, failure, unavailable


def _last(server: ScriptedServer, method: str) -> Message:
    (request,) = server.requests[method][-1]
    return request


def test_status_asks_for_images_only_on_demand(server: ScriptedServer, client: Client) -> None:
    server.on("Status", stands(order()))
    server.on("Status", StatusResponse(order=order(), images=[image(1, "a.png")]))

    assert client.status(ORDER_ID).order == order()
    assert _last(server, "Status") == StatusRequest(order_id=ORDER_ID, view=OrderView.ORDER_VIEW_BASIC)
    assert client.status(ORDER_ID, images=True).images[0].filename == "a.png"
    assert _last(server, "Status") == StatusRequest(order_id=ORDER_ID, view=OrderView.ORDER_VIEW_FULL)


def test_images_turns_the_pages(server: ScriptedServer, client: Client) -> None:
    server.on("ListImages", ListImagesResponse(images=[image(1, "a"), image(2, "b")], next_page_token="next"))
    server.on("ListImages", ListImagesResponse(images=[image(3, "c")]))

    found = client.images(ORDER_ID, state=ImageState.IMAGE_STATE_SUCCEEDED, page_size=2)

    assert [one.filename for one in found] == ["a", "b", "c"]
    tokens = [call[0].page_token for call in server.requests["ListImages"] if isinstance(call[0], ListImagesRequest)]
    assert tokens == ["", "next"]


def test_send_cancel_delete_limits(server: ScriptedServer, client: Client) -> None:
    server.on("SendImages", SendImagesResponse(delivery=Delivery(delivery_id="d")))
    server.on("CancelOrder", CancelOrderResponse(order=order()))
    server.on("DeleteOrder", DeleteOrderResponse())
    server.on("GetLimits", GetLimitsResponse(max_images=7))

    assert client.send(ORDER_ID, when_ready=True, request_id="r").delivery_id == "d"
    assert client.cancel(ORDER_ID) == order()
    client.delete(ORDER_ID)
    assert client.limits().max_images == 7

    assert _last(server, "SendImages") == SendImagesRequest(order_id=ORDER_ID, when_ready=True, request_id="r")
    assert _last(server, "DeleteOrder") == DeleteOrderRequest(order_id=ORDER_ID)


def test_subscriptions(server: ScriptedServer, client: Client) -> None:
    server.on("Subscribe", SubscribeResponse(confirmation_required=True))
    server.on("ConfirmSubscription", ConfirmSubscriptionResponse())
    server.on("Unsubscribe", UnsubscribeResponse())

    assert client.subscribe("a@b.org", locale="ru")
    client.confirm("token")
    client.unsubscribe(token="token")
    with pytest.raises(TypeError):
        client.unsubscribe()

    assert _last(server, "Subscribe") == SubscribeRequest(email="a@b.org", locale="ru")
    assert _last(server, "ConfirmSubscription") == ConfirmSubscriptionRequest(token="token")
    assert _last(server, "Unsubscribe") == UnsubscribeRequest(token="token")


def _too_early() -> Failure:
    violation = error_details_pb2.PreconditionFailure.Violation(
        type="ORDER_STATE", subject=f"orders/{ORDER_ID}", description="3 of 40 images are done"
    )
    detail = error_details_pb2.PreconditionFailure(violations=[violation])
    return failure(grpc.StatusCode.FAILED_PRECONDITION, "the order has not finished", "ORDER_NOT_FINISHED", detail)


@pytest.mark.parametrize(
    ("scripted", "kind"),
    [
        (failure(grpc.StatusCode.NOT_FOUND, "there is no such order", "ORDER_NOT_FOUND"), NotFoundError),
        (_too_early(), FailedPreconditionError),
        (failure(grpc.StatusCode.UNAUTHENTICATED, "a key is needed", "NO_KEY"), AccessDeniedError),
        (failure(grpc.StatusCode.PERMISSION_DENIED, "not with this key", "ROLE"), AccessDeniedError),
        (failure(grpc.StatusCode.ABORTED, "under way", "IN_FLIGHT"), RetryableError),
        (failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many calls", "BUSY"), RetryableError),
        (failure(grpc.StatusCode.INTERNAL, "a fault of the service", "INTERNAL"), ImageBlurClientError),
    ],
)
def test_errors_keep_their_words_and_reason(
    server: ScriptedServer, client: Client, scripted: Failure, kind: type[ImageBlurClientError]
) -> None:
    server.on("SendImages", scripted)

    with pytest.raises(ImageBlurClientError) as raised:
        client.send(ORDER_ID)

    assert type(raised.value) is kind
    assert raised.value.code is scripted.code
    assert raised.value.message == str(raised.value) == scripted.message
    assert raised.value.reason == getattr(scripted.details[0], "reason")  # noqa: B009 - google.rpc has no types


def test_a_precondition_says_what_is_in_the_way(server: ScriptedServer, client: Client) -> None:
    server.on("SendImages", _too_early())

    with pytest.raises(FailedPreconditionError) as raised:
        client.send(ORDER_ID)

    assert [violation.description for violation in raised.value.violations] == ["3 of 40 images are done"]


def test_retry_info_is_in_seconds(server: ScriptedServer, client: Client) -> None:
    server.on("Status", unavailable(2.5))

    with pytest.raises(RetryableError) as raised:
        client.status(ORDER_ID)

    assert raised.value.retry_after == 2.5
    assert raised.value.message == "the server is stopping"


def test_no_answer_in_time(server: ScriptedServer) -> None:
    import threading

    done = threading.Event()
    server.on("Status", lambda: done.wait(5))
    with (
        Client(server.address, timeout=0.1) as client,
        pytest.raises(RetryableError, match="did not respond in time") as late,
    ):
        client.status(ORDER_ID)
    done.set()

    assert late.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
