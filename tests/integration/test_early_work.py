"""Images are blurred while their order is uploaded: results come with the order, and nothing is left of an upload that
breaks. A gateway's receiver and a worker's use case, over real children, blobs, broker and database."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select, update

from services.blur_worker.blur_image import BlurImage
from services.blur_worker.child_pool import ChildPool
from services.blur_worker.early_work import WorkEarly
from services.blur_worker.scratch_folder import ScratchFolder
from services.common.db.engine import Database
from services.common.db.models import Delivery, Image, Order, UnownedBlobs
from services.common.domain.api_keys import Role
from services.common.domain.orders import ImageQueue, original_key, result_key
from services.common.domain.spec import BlurSpec, Pixelate
from services.common.infra.blobs import BlobStore
from services.common.infra.broker import Broker
from services.common.infra.disk_space import DiskSpace
from services.common.infra.early_work import EarlyWork
from services.common.infra.messages import BLUR_QUEUE, EARLY_QUEUE, blur_image
from services.common.use_cases.after_commit import AfterCommit
from services.gateway.orders.broker_check import BrokerCheck
from services.gateway.orders.order_upload import OrderReceiver, OrderUpload
from services.gateway.orders.outside_rules import OutsideRules
from services.gateway.orders.pending_order import OrderStorage, PendingOrder
from services.gateway.orders.requests import ParsedHeader, ParsedImage, ParsedTarget
from services.gateway.rpc.callers import CURRENT_CALL, Caller, CurrentCall
from services.gateway.rpc.thread_pool import ThreadPool
from services.gateway.settings import GatewaySettings
from services.scheduler.sweep import Sweep
from tests.integration.gateway.conftest import SECRET
from tests.support.blur_workers import blur_worker
from tests.support.factories import place_order
from tests.support.images import encode, photo
from tests.support.mail_factories import ANYONE
from tests.support.valkey import ValkeyServer

HEADER = ParsedHeader(
    email="a@example.org",
    spec=BlurSpec(Pixelate(9)),
    request_id=None,
    locale="en",
    notify=False,
    validate_only=False,
)
PHOTOS = [encode(photo(40 + n, 30), "JPEG") for n in range(4)]


class Scene:
    """A gateway that receives an order, and a worker that is asked when the test wants it."""

    def __init__(self, receiver: OrderReceiver, worker: WorkEarly, blobs: BlobStore, queues: Broker) -> None:
        self.receiver, self.worker, self.blobs, self.queues = receiver, worker, blobs, queues
        self.database = receiver.storage.database
        self.upload_id = UUID(int=0)

    def receive(self, body: Callable[[OrderUpload], Awaitable[Any]], header: ParsedHeader = HEADER) -> None:
        """Receive an order; what `body` raises ends the call."""

        async def call() -> None:
            CURRENT_CALL.set(CurrentCall(Caller(Role.CLIENT), "ipv4:192.0.2.1:1", "BlurOrder"))
            try:
                async with self.receiver.receive("BlurOrder", header, len(PHOTOS)) as upload:
                    self.upload_id = upload._pending.order_id
                    await body(upload)
            finally:
                await self.receiver.broker_check.close()

        asyncio.run(call())

    async def send(self, upload: OrderUpload, *files: bytes) -> None:
        """Receive these images, and offer those that are followed by another one."""
        for data in files:
            async with upload.image(ParsedImage(field="images[0]", filename="a.jpg", spec=None)) as image:
                await image.write(data)
        if upload.offers._sending:
            await upload.offers._sending

    async def work(self) -> None:
        """Handle a message about the upload as a worker does."""
        await asyncio.to_thread(self.worker, self.upload_id)

    def images(self) -> list[Image]:
        with self.database.read() as session:
            return list(session.scalars(select(Image).order_by(Image.position)))

    def order(self) -> Order:
        with self.database.read() as session:
            return session.scalars(select(Order)).one()

    def count(self, model: Any) -> int:
        with self.database.read() as session:
            return session.scalar(select(func.count()).select_from(model)) or 0

    def files(self) -> list[str]:
        """Keys of all blobs."""
        assert self.blobs.folder
        return sorted(
            str(path.relative_to(self.blobs.folder)) for path in self.blobs.folder.rglob("*") if path.is_file()
        )

    def early_keys(self) -> list[bytes]:
        return list(self.queues.client.scan_iter("imageblur:early:*"))


@pytest.fixture
def scene(  # noqa: PLR0917 - fixtures
    database: Database,
    database_url: str,
    blobs: BlobStore,
    queues: Broker,
    valkey_server: ValkeyServer,
    children: ChildPool,
    tmp_path: Path,
) -> Iterator[Scene]:
    threads = ThreadPool(4)
    settings = GatewaySettings(database_url=database_url, broker_url=valkey_server.url, secret_key=SecretStr(SECRET))
    storage = OrderStorage(
        settings=settings,
        database=database,
        blobs=blobs,
        after_commit=AfterCommit(database=database, broker=queues, window=settings.order_window),
        disk_space=DiskSpace((), 0),
        recipients=ANYONE,
        outside=OutsideRules(allow_urls=True, networks=()),
    )
    (tmp_path / "scratch").mkdir()
    scratch = ScratchFolder(tmp_path / "scratch")
    worker = WorkEarly(
        broker=queues,
        early=EarlyWork(queues),
        blobs=blobs,
        children=children,
        scratch=scratch,
        queues=(ImageQueue.BLUR,),
    )
    yield Scene(OrderReceiver(storage, threads, BrokerCheck(valkey_server.url, 0)), worker, blobs, queues)
    assert [path.name for path in scratch.path.iterdir()] == ["lock"], "working files are left"
    scratch.close()
    threads.close()


def test_results_come_with_the_order(scene: Scene) -> None:
    async def body(upload: OrderUpload) -> None:
        await scene.send(upload, *PHOTOS[:3])
        assert scene.queues.subjects(EARLY_QUEUE)[0] == str(scene.upload_id)
        await scene.work()
        assert scene.count(Order) == scene.count(Image) == 0, "nothing is visible before the order is stored"
        await scene.send(upload, PHOTOS[3])
        await upload.commit()

    scene.receive(body)
    rows, order = scene.images(), scene.order()
    assert [row.state for row in rows] == ["SUCCEEDED", "SUCCEEDED", "QUEUED", "QUEUED"]
    assert (order.state, order.succeeded, order.total, order.started_at) == ("RUNNING", 2, 4, order.created_at)
    assert {(row.width, row.height, row.format, row.attempts) for row in rows[:1]} == {(40, 30, "JPEG", 1)}
    assert [len(scene.blobs.get(result_key(order.id, row.position))) for row in rows[:2]] == [
        row.output_bytes for row in rows[:2]
    ]
    originals = [original_key(order.id, position) for position in (3, 4)]
    results = [result_key(order.id, position) for position in (1, 2)]
    assert scene.files() == sorted(originals + results), "originals of images with results are removed"
    assert set(scene.queues.subjects(BLUR_QUEUE)) <= {str(row.id) for row in rows[2:]}
    assert scene.early_keys() == []
    assert scene.count(UnownedBlobs) == 0


def test_the_result_is_that_of_an_ordinary_attempt(scene: Scene, tmp_path: Path) -> None:
    async def body(upload: OrderUpload) -> None:
        await scene.send(upload, PHOTOS[0], PHOTOS[0])
        await scene.work()
        await upload.commit()

    scene.receive(body)
    blur: BlurImage
    (tmp_path / "ordinary").mkdir()
    with blur_worker(
        scene.database, scene.blobs, scene.queues, scene.worker.children, tmp_path / "ordinary", window=1
    ) as blur:
        blur(scene.images()[1].id)
    early, ordinary = scene.images()
    assert early.output_sha256 == ordinary.output_sha256
    assert (early.output_crc32, early.engine, early.worker) == (ordinary.output_crc32, ordinary.engine, ordinary.worker)
    assert scene.order().state == "SUCCEEDED"


def test_nothing_is_left_of_an_upload_that_breaks(scene: Scene) -> None:
    async def body(upload: OrderUpload) -> None:
        await scene.send(upload, *PHOTOS)
        await scene.work()
        assert result_key(scene.upload_id, 1) in scene.files()
        raise ConnectionError

    with pytest.raises(ConnectionError):
        scene.receive(body)
    assert scene.files() == []
    assert scene.early_keys() == []
    assert scene.count(UnownedBlobs) == scene.count(Order) == 0


def test_a_worker_that_is_at_an_image_of_an_upload_that_breaks_stores_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    blurred, go_on = threading.Event(), threading.Event()
    blur = scene.worker.children.blur

    def stall(*args: Any) -> Any:
        result = blur(*args)
        blurred.set()
        go_on.wait(10)
        return result

    monkeypatch.setattr(scene.worker.children, "blur", stall)
    late: list[threading.Thread] = []

    async def body(upload: OrderUpload) -> None:
        await scene.send(upload, *PHOTOS)
        late.append(threading.Thread(target=scene.worker, args=[scene.upload_id]))
        late[0].start()
        await asyncio.to_thread(blurred.wait, 10)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        scene.receive(body)
    with scene.database.read() as session:
        row = session.scalars(select(UnownedBlobs)).one()
    assert row.state == "REMOVED", "the blobs are removed once more, when no worker is left"
    go_on.set()
    late[0].join(10)
    assert (scene.files(), scene.early_keys()) == ([], [])


def test_an_image_of_an_order_comes_first(scene: Scene) -> None:
    other = place_order(scene.database, 1)
    scene.queues.send([blur_image(other.image_ids[0])])

    async def body(upload: OrderUpload) -> None:
        await scene.send(upload, *PHOTOS)
        await scene.work()
        await upload.commit()

    scene.receive(body)
    assert {row.state for row in scene.images()} == {"QUEUED"}


def test_a_paused_queue_rests(scene: Scene) -> None:
    scene.queues.set_paused({BLUR_QUEUE})

    async def body(upload: OrderUpload) -> None:
        await scene.send(upload, *PHOTOS)
        await scene.work()
        await upload.commit()

    scene.receive(body)
    assert {row.state for row in scene.images()} == {"QUEUED"}


@pytest.mark.parametrize(
    "header",
    [replace(HEADER, target=ParsedTarget(place="there", folder="")), replace(HEADER, validate_only=True)],
    ids=["target", "validate_only"],
)
def test_what_may_not_be_blurred_yet_is_not_offered(
    scene: Scene, header: ParsedHeader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OutsideRules, "check_header", lambda *_args: None)

    async def body(upload: OrderUpload) -> None:
        await scene.send(upload, *PHOTOS)
        assert not upload.offers.made

    scene.receive(body, header)
    assert scene.queues.subjects(EARLY_QUEUE) == []


def test_a_repeated_request_is_not_blurred_again(scene: Scene) -> None:
    header = replace(HEADER, request_id=uuid4())

    async def body(upload: OrderUpload) -> None:
        await scene.send(upload, *PHOTOS)
        await upload.commit()

    scene.receive(body, header)
    first = scene.order().id

    async def again(upload: OrderUpload) -> None:
        await scene.send(upload, *PHOTOS)
        assert not upload.offers.made
        snapshot = await upload.commit()
        assert snapshot
        assert snapshot.order.id == first

    scene.receive(again, header)


def test_the_order_of_one_image_is_not_offered(scene: Scene) -> None:
    async def body(upload: OrderUpload) -> None:
        await scene.send(upload, PHOTOS[0])
        await upload.commit()
        assert not upload.offers.made

    scene.receive(body)
    assert [row.state for row in scene.images()] == ["QUEUED"]


def test_what_no_worker_can_blur_is_left_to_the_ordinary_attempt(scene: Scene) -> None:
    async def body(upload: OrderUpload) -> None:
        await scene.send(upload, b"no image", PHOTOS[1], PHOTOS[2])
        await scene.work()
        results = scene.queues.client.hgetall(f"imageblur:early:{scene.upload_id}:results")
        assert list(results) == [b"2"], "nobody is to be waited for"
        await upload.commit()

    scene.receive(body)
    assert [row.state for row in scene.images()] == ["QUEUED", "SUCCEEDED", "QUEUED"]


def test_a_killed_worker_delays_the_order_for_a_moment_only(scene: Scene) -> None:
    async def body(upload: OrderUpload) -> None:
        await scene.send(upload, *PHOTOS)
        taken = scene.worker.early.take(scene.upload_id, ImageQueue.BLUR)  # and nothing comes of it
        assert taken
        assert taken.position == 1
        await upload.commit()

    scene.receive(body)
    assert scene.images()[0].state == "QUEUED"
    assert scene.early_keys() == []


def test_a_lost_broker_costs_the_results_only(scene: Scene) -> None:
    async def body(upload: OrderUpload) -> None:
        await scene.send(upload, *PHOTOS[:3])
        await scene.work()
        scene.queues.client.flushdb()
        await scene.send(upload, PHOTOS[3])
        await upload.commit()

    scene.receive(body)
    assert {row.state for row in scene.images()} == {"QUEUED"}


def test_originals_that_are_kept_stay(scene: Scene) -> None:
    async def body(upload: OrderUpload) -> None:
        await scene.send(upload, *PHOTOS[:2])
        await scene.work()
        await upload.commit()

    scene.receive(body, replace(HEADER, originals_seconds=3600))
    assert scene.blobs.get(original_key(scene.order().id, 1)) == PHOTOS[0]


def test_a_delivery_waits_for_the_last_image(scene: Scene) -> None:
    async def body(upload: OrderUpload) -> None:
        await scene.send(upload, *PHOTOS[:2])
        await scene.work()
        await upload.commit()

    scene.receive(body, replace(HEADER, notify=True))
    with scene.database.read() as session:
        assert session.scalars(select(Delivery.state)).all() == ["WAITING"]


def test_the_sweep_removes_what_a_killed_gateway_has_left(scene: Scene) -> None:
    async def body(upload: OrderUpload) -> None:
        await scene.send(upload, *PHOTOS)
        await scene.work()
        raise ConnectionError

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(PendingOrder, "remove", lambda _: None)
        with pytest.raises(ConnectionError):
            scene.receive(body)
    assert scene.early_keys()
    with scene.database.write() as session:
        session.execute(update(UnownedBlobs).values(heartbeat_at=0))
    Sweep(scene.database, scene.blobs, scene.queues, window=4).blobs_without_order()
    assert (scene.files(), scene.early_keys()) == ([], [])
