"""Orders whose cost is in their regions: refused at once, and parsed without delaying others."""

import threading
from typing import Any

import grpc
import pytest
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import order_pb2

from services.gateway.orders.messages import requests
from services.gateway.settings import GatewaySettings
from tests.integration.gateway.conftest import running
from tests.integration.gateway.test_orders import fields, refused

REGION = order_pb2.Region(box=order_pb2.Rect(left=0.1, top=0.1, width=0.2, height=0.2))
IMAGE = pb.InputImage(filename="a.jpg", data=b"x", spec=order_pb2.BlurSpec(regions=[REGION] * 100))


@pytest.fixture
def settings(settings: GatewaySettings) -> GatewaySettings:
    return settings.model_copy(
        update={"max_message_bytes": 8 << 20, "max_bytes_in_flight": 256 << 20, "max_images": 10_000}
    )


def test_too_many_regions_are_refused(settings: GatewaySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    request = pb.BlurOrderRequest(order=pb.OrderHeader(email="no address"), images=[IMAGE] * 1_900)
    monkeypatch.setattr(requests, "parse_order", lambda *_args, **_kwargs: pytest.fail("it was parsed"))
    with running(settings) as gateway:
        error = refused(grpc.StatusCode.RESOURCE_EXHAUSTED, gateway.blur.BlurOrder, request)
        assert error.details() == "the message has more than 20000 regions: use StreamBlurOrder"


def test_other_calls_are_answered_while_regions_are_parsed(
    settings: GatewaySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    parse, parsing, answered = requests.parse_order, threading.Event(), threading.Event()

    def parse_slowly(*args: Any, **kwargs: Any) -> Any:
        parsing.set()
        assert answered.wait(20)
        return parse(*args, **kwargs)

    monkeypatch.setattr(requests, "parse_order", parse_slowly)
    header = pb.OrderHeader(email="ann@example.org", validate_only=True)
    with running(settings) as gateway:
        order = gateway.blur.BlurOrder.future(pb.BlurOrderRequest(order=header, images=[IMAGE] * 200), timeout=60)
        assert parsing.wait(20)
        assert gateway.blur.GetLimits(pb.GetLimitsRequest(), timeout=20).max_images == 10_000
        answered.set()
        assert order.result().order.counts.total == 200


def test_a_wrong_address_is_named_before_the_images_are_parsed(
    settings: GatewaySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "parse_order", lambda *_args, **_kwargs: pytest.fail("it was parsed"))
    with running(settings) as gateway:
        request = pb.BlurOrderRequest(order=pb.OrderHeader(email="no address"), images=[IMAGE] * 100)
        assert set(fields(refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.BlurOrder, request))) == {
            "order.email"
        }
