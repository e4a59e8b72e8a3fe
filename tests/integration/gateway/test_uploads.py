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
from services.common.domain.errors import Unavailable
from services.common.domain.orders import source_key
from services.common.domain.spec import BlurSpec
from services.common.infra.blobs import BlobStore
from services.common.infra.broker import Broker
from services.gateway.orders import uploads
from services.gateway.orders.readiness import Readiness
from services.gateway.orders.requests import Header
from services.gateway.orders.uploads import Intake, Upload, receiving
from services.gateway.rpc.thread_pool import Offload
from services.gateway.settings import GatewaySettings
from tests.integration.gateway.conftest import SECRET, Gateway
from tests.integration.gateway.test_orders import HEADER, fields, refused
from tests.support.valkey import ValkeyServer
from tests.support.waiting import eventually

CHECKED = Header("a@example.org", BlurSpec(), None, "en", notify=False, validate_only=False)


@pytest.fixture
def intake(
    database: Database, database_url: str, blobs: BlobStore, queues: Broker, valkey_server: ValkeyServer
) -> Iterator[Intake]:
    offload = Offload(4)
    settings = GatewaySettings(database_url=database_url, broker_url=valkey_server.url, secret_key=SecretStr(SECRET))
    yield Intake(settings, database, blobs, queues, offload, Readiness(settings, database, blobs, offload))
    offload.close()


async def take_in(upload: Upload) -> None:
    async with upload.image("a.jpg", None, field="images[0]") as image:
        await image.write(b"original")


def finish(intake: Intake, call: Coroutine[Any, Any, None]) -> None:
    async def to_its_end() -> None:
        try:
            await call
        finally:
            await intake.readiness.close()

    asyncio.run(to_its_end())


def the_order(intake: Intake) -> UUID:
    with intake.database.read() as session:
        return session.scalars(select(Order.id)).one()


def test_an_error_after_the_commit_leaves_the_order_its_originals(intake: Intake) -> None:
    async def call() -> None:
        async with receiving(intake, "me", "BlurOrder", CHECKED, 1) as upload:
            await take_in(upload)
            await upload.commit()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        finish(intake, call())
    assert intake.blobs.get(source_key(the_order(intake), 1)) == b"original"


def test_a_call_cancelled_in_its_commit_leaves_the_order_its_originals(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed, go_on = threading.Event(), threading.Event()

    def stall(_: object) -> None:
        committed.set()
        go_on.wait(10)

    monkeypatch.setattr(intake.broker, "send", stall)

    async def call() -> None:
        async with receiving(intake, "me", "BlurOrder", CHECKED, 1) as upload:
            await take_in(upload)
            await upload.commit()

    async def cancel() -> None:
        task = asyncio.create_task(call())
        await asyncio.to_thread(committed.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()

    finish(intake, cancel())
    assert intake.blobs.get(source_key(the_order(intake), 1)) == b"original"


def test_an_upload_that_pauses_keeps_its_heartbeat(intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "HEARTBEAT_SECONDS", 0.05)

    def heartbeat() -> int:
        with intake.database.read() as session:
            return session.scalars(select(UnownedBlobs.heartbeat_at)).one()

    async def call() -> None:
        async with receiving(intake, "me", "BlurOrder", CHECKED, 1) as upload:
            await take_in(upload)
            first = heartbeat()
            await asyncio.to_thread(eventually, lambda: heartbeat() > first)
            await upload.commit()

    finish(intake, call())
    assert isinstance(the_order(intake), UUID)


def test_an_upload_that_was_given_up_stores_no_order(intake: Intake) -> None:
    async def call() -> None:
        async with receiving(intake, "me", "BlurOrder", CHECKED, 1) as upload:
            await take_in(upload)
            with intake.database.write() as session:
                (order_id,) = unowned_blobs.list_removable(session, silent_seconds=-1, limit=9)
            intake.blobs.delete_prefix(f"orders/{order_id}/")
            await upload.commit()

    with pytest.raises(Unavailable, match="given up"):
        finish(intake, call())
    with intake.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Order)) == 0


def test_millions_of_empty_images_are_refused_by_their_number(gateway: Gateway) -> None:
    request = pb.BlurOrderRequest(order=HEADER, images=[pb.InputImage()] * 300_000)
    assert fields(refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.BlurOrder, request)) == {
        "images": "are more than 5"
    }
