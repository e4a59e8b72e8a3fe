"""Servers to fetch from, and workers that fetch."""

import ssl
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from services.blur_worker.child.pool import ChildPool
from services.blur_worker.child.scratch_folder import ScratchFolder
from services.blur_worker.images.attempt import AttemptImage
from services.blur_worker.images.blur_image import BlurImage
from services.blur_worker.images.fetch_image import FetchImage, FetchLimits
from services.blur_worker.images.leases import RenewImageLeases
from services.blur_worker.images.result_limit import ResultLimit
from services.blur_worker.images.targets import Targets
from services.common.db.engine import Database
from services.common.db.models import Image
from services.common.db.orders import new_orders
from services.common.domain.addresses import parse_networks
from services.common.domain.orders import ImageQueue
from services.common.domain.sources import ImageSource
from services.common.infra.blobs import BlobStore
from services.common.infra.disk_space import DiskSpace
from services.common.infra.leases import Leases
from services.common.infra.messaging.broker import Broker
from services.common.infra.outbound.connect import GuardedConnect
from services.common.infra.outbound.host_shares import HostShares
from services.common.infra.outbound.https import HttpsClient
from services.common.infra.places import Places
from services.common.use_cases.order_lifecycle import OrderLifecycle, make_lifecycle
from tests.support.certificates import Authority
from tests.support.factories import PlacedOrder, new_images, new_order
from tests.support.https import HttpsServer, answer
from tests.support.images import encode, photo
from tests.support.s3 import S3Server

PHOTO = encode(photo(40, 30), "JPEG")
LIMITS = FetchLimits(image_bytes=100_000, order_bytes=150_000, seconds=30)
MakeFetch = Callable[..., FetchImage]


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> str:
    """SQLite; PostgreSQL too where a test is about statements (`ON_BOTH`)."""
    url: str = request.getfixturevalue(f"{getattr(request, 'param', 'sqlite')}_url")
    return url


ON_BOTH = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def server(authority: Authority) -> Iterator[HttpsServer]:
    with HttpsServer(authority, handler=answer(body=PHOTO)) as server:
        yield server


@pytest.fixture
def lifecycle(database: Database, blobs: BlobStore, queues: Broker) -> OrderLifecycle:
    return make_lifecycle(database, blobs, queues, window=10)


@pytest.fixture
def scratch(blobs: BlobStore) -> Iterator[ScratchFolder]:
    scratch = ScratchFolder(blobs.folder)
    yield scratch
    assert [path.name for path in scratch.path.iterdir()] == ["lock"], "working files are left"
    scratch.close()


@pytest.fixture
def make_fetch(
    database: Database, blobs: BlobStore, authority: Authority, lifecycle: OrderLifecycle, scratch: ScratchFolder
) -> MakeFetch:
    def make(**values: Any) -> FetchImage:
        defaults: dict[str, Any] = {
            "database": database,
            "blobs": blobs,
            "places": Places({}),
            "client": HttpsClient(
                connect=GuardedConnect(allowed=parse_networks("127.0.0.1/32")),
                tls=ssl.create_default_context(cafile=str(authority.roots)),
            ),
            "allow_urls": True,
            "hosts": HostShares(4),
            "scratch": scratch,
            "disk_space": DiskSpace([scratch.path], 0),
            "leases": Leases(RenewImageLeases(database)),
            "lifecycle": lifecycle,
            "limits": LIMITS,
            "window": 10,
        }
        return FetchImage(**(defaults | values))

    return make


@pytest.fixture
def blur(
    database: Database, blobs: BlobStore, children: ChildPool, lifecycle: OrderLifecycle, scratch: ScratchFolder
) -> BlurImage:
    return make_blur(database, blobs, children, lifecycle, scratch)


def make_blur(
    database: Database,
    blobs: BlobStore,
    children: ChildPool,
    lifecycle: OrderLifecycle,
    scratch: ScratchFolder,
    **targets: str,
) -> BlurImage:
    places = Targets(database=database, blobs=blobs, places=Places.of(targets), scratch=scratch.path)
    limit = ResultLimit(database=database, max_order_bytes=1 << 30)
    attempt = AttemptImage(blobs=blobs, children=children, scratch=scratch, targets=places, result_limit=limit)
    return BlurImage(
        database=database,
        blobs=blobs,
        attempt=attempt,
        leases=Leases(RenewImageLeases(database)),
        lifecycle=lifecycle,
        window=10,
    )


def place(database: Database, *sources: ImageSource, target: str | None = None, **values: Any) -> PlacedOrder:
    new = [
        image
        for position, source in enumerate(sources, 1)
        for image in new_images(
            count=1, size=0, queue=ImageQueue.FETCH, source=source.to_json(), target=target and f"{target}/{position}"
        )
    ]
    new = [replace(image, position=position) for position, image in enumerate(new, 1)]
    order = new_order(**values)
    with database.write() as session:
        stored = new_orders.insert_order(session, order, new, window=10)
    return PlacedOrder(order.id, [image.id for image in new], [image.id for image in stored.enqueued])


def row(database: Database, image_id: UUID) -> Image:
    with database.read() as session:
        return session.get_one(Image, image_id)


@pytest.fixture(params=["folder", "bucket"])
def places(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    location = str(tmp_path / "photos")
    if request.param == "bucket":
        server: S3Server = request.getfixturevalue("s3_server")
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        location = server.address()
    else:
        Path(location).mkdir()
    return Places.of({"photos": location})
