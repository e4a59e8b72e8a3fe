"""What a call that ends at the wrong moment does to what it has stored."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from typing import Any
from uuid import UUID

import grpc
import pytest
from imageblur.v1 import blur_service_pb2 as pb
from pydantic import SecretStr
from sqlalchemy import func, select

from services.common.db.engine import Database
from services.common.db.models import Order, UnownedBlobs
from services.common.db.orders import unowned_blobs
from services.common.domain.api_keys import Role
from services.common.domain.errors import Unavailable
from services.common.domain.orders import original_key
from services.common.domain.spec import BlurSpec
from services.common.infra.blobs import BlobStore
from services.common.infra.disk_space import DiskSpace
from services.common.infra.head_starts import HeadStarts
from services.common.infra.messaging.broker import Broker
from services.common.use_cases.after_commit import AfterCommit
from services.gateway.orders.messages.requests import ParsedHeader, ParsedImage
from services.gateway.orders.placement import order_upload
from services.gateway.orders.placement.broker_check import BrokerCheck
from services.gateway.orders.placement.external_access import ExternalAccessPolicy
from services.gateway.orders.placement.order_upload import OrderReceiver, OrderUpload
from services.gateway.orders.placement.pending_order import OrderStorage
from services.gateway.rpc.callers import CURRENT_CALL, Caller, CurrentCall
from services.gateway.rpc.thread_pool import ThreadPool
from services.gateway.settings import GatewaySettings
from tests.integration.gateway.conftest import SECRET, Gateway
from tests.integration.gateway.test_orders import HEADER, fields, refused
from tests.support.mail_factories import ANYONE
from tests.support.valkey import ValkeyServer
from tests.support.waiting import eventually

CHECKED = ParsedHeader(
    email="a@example.org", spec=BlurSpec(), request_id=None, locale="en", notify=False, validate_only=False
)
CALL = CurrentCall(Caller(Role.CLIENT), "ipv4:192.0.2.1:1", "BlurOrder")


@pytest.fixture
def receiver(
    database: Database, database_url: str, blobs: BlobStore, queues: Broker, valkey_server: ValkeyServer
) -> Iterator[OrderReceiver]:
    threads = ThreadPool(4)
    settings = GatewaySettings(database_url=database_url, broker_url=valkey_server.url, secret_key=SecretStr(SECRET))
    after_commit = AfterCommit(database=database, broker=queues, window=settings.order_window)
    storage = OrderStorage(
        settings=settings,
        database=database,
        blobs=blobs,
        after_commit=after_commit,
        disk_space=DiskSpace((), 0),
        recipients=ANYONE,
        external_access=ExternalAccessPolicy(allow_urls=True, networks=()),
    )
    yield OrderReceiver(storage, threads, BrokerCheck(valkey_server.url, 0), HeadStarts(None))
    threads.close()


async def take_in(upload: OrderUpload) -> None:
    async with upload.image(ParsedImage(field="images[0]", filename="a.jpg", spec=None)) as image:
        await image.write(b"original")


def finish(receiver: OrderReceiver, call: Coroutine[Any, Any, None]) -> None:
    async def to_its_end() -> None:
        CURRENT_CALL.set(CALL)
        try:
            await call
        finally:
            await receiver.broker_check.close()

    asyncio.run(to_its_end())


def the_order(receiver: OrderReceiver) -> UUID:
    with receiver.storage.database.read() as session:
        return session.scalars(select(Order.id)).one()


def test_an_error_after_the_commit_leaves_the_order_its_originals(receiver: OrderReceiver) -> None:
    async def call() -> None:
        async with receiver.receive("BlurOrder", CHECKED, 1) as upload:
            await take_in(upload)
            await upload.commit()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        finish(receiver, call())
    assert receiver.storage.blobs.get(original_key(the_order(receiver), 1)) == b"original"


def test_a_call_cancelled_in_its_commit_leaves_the_order_its_originals(
    receiver: OrderReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed, go_on = threading.Event(), threading.Event()

    def stall(_: object) -> None:
        committed.set()
        go_on.wait(10)

    monkeypatch.setattr(receiver.storage.after_commit.broker, "send", stall)

    async def call() -> None:
        async with receiver.receive("BlurOrder", CHECKED, 1) as upload:
            await take_in(upload)
            await upload.commit()

    async def cancel() -> None:
        task = asyncio.create_task(call())
        await asyncio.to_thread(committed.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()

    finish(receiver, cancel())
    assert receiver.storage.blobs.get(original_key(the_order(receiver), 1)) == b"original"


def test_an_upload_that_pauses_keeps_its_heartbeat(receiver: OrderReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_upload, "HEARTBEAT_SECONDS", 0.05)

    def heartbeat() -> int:
        with receiver.storage.database.read() as session:
            return session.scalars(select(UnownedBlobs.heartbeat_at)).one()

    async def call() -> None:
        async with receiver.receive("BlurOrder", CHECKED, 1) as upload:
            await take_in(upload)
            first = heartbeat()
            await asyncio.to_thread(eventually, lambda: heartbeat() > first)
            await upload.commit()

    finish(receiver, call())
    assert isinstance(the_order(receiver), UUID)


def test_an_upload_that_was_given_up_stores_no_order(receiver: OrderReceiver) -> None:
    async def call() -> None:
        async with receiver.receive("BlurOrder", CHECKED, 1) as upload:
            await take_in(upload)
            with receiver.storage.database.write() as session:
                (order_id,) = unowned_blobs.list_removable(session, silent_seconds=-1, limit=9)
            receiver.storage.blobs.delete_prefix(f"orders/{order_id}/")
            await upload.commit()

    with pytest.raises(Unavailable, match="was removed"):
        finish(receiver, call())
    with receiver.storage.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Order)) == 0


def test_millions_of_empty_images_are_refused_by_their_number(gateway: Gateway) -> None:
    request = pb.BlurOrderRequest(order=HEADER, images=[pb.InputImage()] * 300_000)
    assert fields(refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.BlurOrder, request)) == {
        "images": "are more than 5"
    }
