"""What is counted of a call, whoever ended it."""

import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from imageblur.v1 import blur_service_pb2 as pb
from prometheus_client import REGISTRY
from sqlalchemy import select

from services.common.db.engine import Database
from services.common.db.models import UnownedBlobs
from tests.integration.gateway.conftest import Gateway
from tests.integration.gateway.test_orders import HEADER
from tests.support.waiting import eventually


def counted(method: str, code: str) -> float:
    return REGISTRY.get_sample_value("imageblur_rpcs_total", {"method": method, "code": code}) or 0.0


def test_an_answer_of_health_s_own_is_counted_by_its_code(gateway: Gateway) -> None:
    before = counted("Check", "NOT_FOUND")
    health: Any = health_pb2_grpc.HealthStub(gateway.channel)
    with pytest.raises(grpc.RpcError):
        health.Check(health_pb2.HealthCheckRequest(service="nobody"))
    eventually(lambda: counted("Check", "NOT_FOUND") == before + 1)


def begun(database: Database) -> bool:
    """Whether an upload is under way."""
    with database.read() as session:
        return session.scalar(select(UnownedBlobs.order_id)) is not None


def test_a_call_that_its_client_leaves_is_counted_as_cancelled(gateway: Gateway, database: Database) -> None:
    before, left = counted("StreamBlurOrder", "CANCELLED"), threading.Event()

    def parts() -> Iterator[pb.StreamBlurOrderRequest]:
        yield pb.StreamBlurOrderRequest(start=pb.OrderStart(order=HEADER, image_count=1))
        yield pb.StreamBlurOrderRequest(image=pb.ImageStart(filename="a.jpg"))
        yield pb.StreamBlurOrderRequest(chunk=b"data" * 100_000)
        left.wait(30)

    call = gateway.blur.StreamBlurOrder.future(parts())
    eventually(lambda: begun(database))
    call.cancel()
    left.set()
    eventually(lambda: counted("StreamBlurOrder", "CANCELLED") == before + 1)
