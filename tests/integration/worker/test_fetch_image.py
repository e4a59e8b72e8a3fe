"""Sources of images, fetched from real TLS servers, folders and S3, and blurred; results written to targets."""

import hashlib
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from services.blur_worker.attempt import AttemptImage
from services.blur_worker.blur_image import BlurImage
from services.blur_worker.child_pool import ChildPool
from services.blur_worker.fetch_image import FetchImage, FetchLimits
from services.blur_worker.leases import RenewImageLeases
from services.blur_worker.scratch_folder import ScratchFolder
from services.blur_worker.targets import Targets
from services.common.db.engine import Database
from services.common.db.models import Image, Order
from services.common.db.orders import images, new_orders
from services.common.db.queues import retries
from services.common.domain.addresses import parse_networks
from services.common.domain.orders import ImageQueue, original_key
from services.common.domain.places import PlaceKey
from services.common.domain.retries import MAX_SOURCE_ATTEMPTS
from services.common.domain.sources import ImageSource
from services.common.domain.spec import BlurSpec
from services.common.infra.blobs import BlobStore, MissingBlob
from services.common.infra.broker import Broker
from services.common.infra.disk_space import DiskSpace
from services.common.infra.leases import Leases
from services.common.infra.messages import BLUR_QUEUE, FETCH_QUEUE
from services.common.infra.outbound.connect import GuardedConnect
from services.common.infra.outbound.host_shares import HostShares
from services.common.infra.outbound.https import HttpsClient
from services.common.infra.places import Places
from services.common.use_cases.order_lifecycle import OrderLifecycle, make_lifecycle
from services.scheduler.sweep import Sweep
from tests.support.certificates import Authority
from tests.support.factories import PlacedOrder, new_images, new_order
from tests.support.https import HttpRequest, HttpsServer, answer, make_authority
from tests.support.images import encode, photo
from tests.support.s3 import S3Server

PHOTO = encode(photo(40, 30), "JPEG")
LIMITS = FetchLimits(image_bytes=100_000, order_bytes=150_000, seconds=5)
MANY = 600
MakeFetch = Callable[..., FetchImage]


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> str:
    """SQLite; PostgreSQL too where a test is about statements (`ON_BOTH`)."""
    url: str = request.getfixturevalue(f"{getattr(request, 'param', 'sqlite')}_url")
    return url


ON_BOTH = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return make_authority(tmp_path)


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
    attempt = AttemptImage(blobs=blobs, children=children, scratch=scratch, targets=places)
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


@ON_BOTH
def test_an_image_is_fetched_then_blurred_like_an_uploaded_one(
    *, database: Database, blobs: BlobStore, queues: Broker, server: HttpsServer, make_fetch: MakeFetch, blur: BlurImage
) -> None:
    source = ImageSource(url=server.url("/a.jpg?token=x"), size=len(PHOTO), sha256=hashlib.sha256(PHOTO).hexdigest())
    order = place(database, source)
    (image_id,) = order.image_ids
    assert order.enqueued_ids == [image_id]
    blur(image_id)  # not for this queue
    assert row(database, image_id).state == "QUEUED"
    make_fetch()(image_id)
    fetched = row(database, image_id)
    assert (fetched.state, fetched.queue, fetched.input_bytes, fetched.attempts) == ("QUEUED", "blur", len(PHOTO), 0)
    assert fetched.input_sha256 == hashlib.sha256(PHOTO).hexdigest()
    assert blobs.get(original_key(order.id, 1)) == PHOTO
    assert queues.subjects(BLUR_QUEUE) == [str(image_id)]
    assert [(request.method, request.target) for request in server.requests] == [("GET", "/a.jpg?token=x")]
    make_fetch()(image_id)  # a repeated message
    assert len(server.requests) == 1
    blur(image_id)
    done = row(database, image_id)
    assert (done.state, done.width, done.attempts) == ("SUCCEEDED", 40, 1)
    with pytest.raises(MissingBlob):
        blobs.get(original_key(order.id, 1))


def test_an_image_with_something_to_find_goes_to_that_queue(
    database: Database, queues: Broker, server: HttpsServer, make_fetch: MakeFetch
) -> None:
    from services.common.domain.spec import Find, FindingKind
    from services.common.infra.messages import FIND_QUEUE

    spec = BlurSpec(find=(Find(kind=FindingKind.FACE),))
    order = place(database, ImageSource(url=server.url()), spec=spec.to_json())
    make_fetch()(order.image_ids[0])
    assert row(database, order.image_ids[0]).queue == "find"
    assert queues.subjects(FIND_QUEUE) == [str(order.image_ids[0])]


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


def test_a_file_of_a_place_is_fetched(
    database: Database, blobs: BlobStore, places: Places, make_fetch: MakeFetch, tmp_path: Path
) -> None:
    (tmp_path / "photo").write_bytes(PHOTO)
    store = places.find("photos")
    assert store
    store.write("2026/a.jpg", tmp_path / "photo")
    source = ImageSource(file=PlaceKey(place="photos", key="2026/a.jpg"))
    missing = ImageSource(file=PlaceKey(place="photos", key="2026/b.jpg"))
    other = ImageSource(file=PlaceKey(place="gone", key="2026/a.jpg"))
    order = place(database, source, missing, other)
    for image_id in order.image_ids:
        make_fetch(places=places)(image_id)
    assert blobs.get(original_key(order.id, 1)) == PHOTO
    found = [row(database, image_id) for image_id in order.image_ids]
    assert [(each.state, each.reason) for each in found] == [
        ("QUEUED", None),
        ("FAILED", "SOURCE_UNAVAILABLE"),
        ("FAILED", "SOURCE_REFUSED"),
    ]
    assert "there is no such file" in (found[1].message or "")
    assert "the operator names no place gone" in (found[2].message or "")


@pytest.mark.parametrize(
    ("handler", "reason", "message"),
    [
        (answer("404 Not Found"), "SOURCE_UNAVAILABLE", "HTTP 404"),
        (answer("403 Forbidden"), "SOURCE_UNAVAILABLE", "HTTP 403"),
        (answer("302 Found", Location="https://example.org/"), "SOURCE_REFUSED", "redirects are not followed"),
        (answer(body=b""), "NOT_AN_IMAGE", "empty"),
        (answer(body=b"x", Content_Encoding="gzip"), "SOURCE_UNAVAILABLE", "compresses"),
        (answer(body=b"x" * 100_001), "TOO_LARGE", "larger than 100000 bytes"),
    ],
)
def test_a_source_that_cannot_be_used_fails_with_its_reason_and_the_rest_goes_on(
    *, database: Database, server: HttpsServer, make_fetch: MakeFetch, handler: Any, reason: str, message: str
) -> None:
    order = place(database, ImageSource(url=server.url("/bad")), ImageSource(url=server.url("/good")))

    def serve(request: HttpRequest, connection: ssl.SSLSocket) -> None:
        (handler if request.target == "/bad" else answer(body=PHOTO))(request, connection)

    server.handler = serve
    for image_id in order.image_ids:
        make_fetch()(image_id)
    bad, good = (row(database, image_id) for image_id in order.image_ids)
    assert (bad.state, bad.reason, bad.attempts) == ("FAILED", reason, 1)
    assert message in (bad.message or "")
    assert (good.state, good.queue) == ("QUEUED", "blur")


def test_what_differs_from_what_was_announced_is_corrupt(
    database: Database, server: HttpsServer, make_fetch: MakeFetch
) -> None:
    order = place(database, ImageSource(url=server.url(), size=5), ImageSource(url=server.url(), sha256="ab" * 32))
    for image_id in order.image_ids:
        make_fetch()(image_id)
        assert row(database, image_id).reason == "CORRUPT"


def test_inner_addresses_are_refused_without_a_connection(
    database: Database, server: HttpsServer, make_fetch: MakeFetch
) -> None:
    tls = ssl.create_default_context(cafile=str(server.authority.roots))
    order = place(database, ImageSource(url=server.url()), ImageSource(url="https://169.254.169.254/latest"))
    for image_id in order.image_ids:
        make_fetch(client=HttpsClient(connect=GuardedConnect(), tls=tls))(image_id)
        found = row(database, image_id)
        assert (found.state, found.reason) == ("FAILED", "SOURCE_REFUSED")
        assert "is not public" in (found.message or "")
    assert server.connections == 0


def test_addresses_can_be_forbidden(database: Database, server: HttpsServer, make_fetch: MakeFetch) -> None:
    order = place(database, ImageSource(url=server.url()))
    make_fetch(allow_urls=False)(order.image_ids[0])
    assert row(database, order.image_ids[0]).reason == "SOURCE_REFUSED"
    assert server.connections == 0


@ON_BOTH
def test_an_unavailable_server_is_tried_again_then_the_image_fails_and_can_be_retried(
    database: Database, server: HttpsServer, make_fetch: MakeFetch, blobs: BlobStore, queues: Broker
) -> None:
    order = place(database, ImageSource(url=server.url()))
    (image_id,) = order.image_ids
    server.handler = answer("503 Service Unavailable")
    for attempt in range(1, MAX_SOURCE_ATTEMPTS + 1):
        make_fetch()(image_id)
        found = row(database, image_id)
        assert found.attempts == attempt
        if attempt < MAX_SOURCE_ATTEMPTS:
            assert (found.state, found.enqueued_at) == ("QUEUED", None)
            with database.write() as session:
                session.execute(update(Image).values(not_before=0))
            Sweep(database, blobs, queues, window=10).images()
    assert (found.state, found.reason, found.message) == (
        "FAILED",
        "SOURCE_UNAVAILABLE",
        "the server answered HTTP 503",
    )
    server.handler = answer(body=PHOTO)
    with database.write() as session:
        retries.retry_image(session, image_id)
    queues.client.flushall()
    Sweep(database, blobs, queues, window=10).images()
    assert queues.subjects(FETCH_QUEUE) == [str(image_id)]
    make_fetch()(image_id)
    assert row(database, image_id).queue == "blur"


def test_the_images_of_an_order_are_limited_together(
    database: Database, server: HttpsServer, make_fetch: MakeFetch, blobs: BlobStore
) -> None:
    server.handler = answer(body=b"x" * 90_000)
    order = place(database, ImageSource(url=server.url()), ImageSource(url=server.url()))
    for image_id in order.image_ids:
        make_fetch()(image_id)
    first, second = (row(database, image_id) for image_id in order.image_ids)
    assert (first.state, second.reason) == ("QUEUED", "TOO_LARGE")
    assert "larger than 150000 bytes together" in (second.message or "")
    with pytest.raises(MissingBlob):
        blobs.get(original_key(order.id, 2))


def test_the_size_of_an_order_is_not_added_up_for_each_of_its_sources(database: Database) -> None:
    """A source of an order of many costs what one of few costs, and the limit holds all the same."""

    def fetch(image_id: UUID, limit: int) -> int:
        """Return how long it took, in tens of steps of SQLite's machine."""
        steps = []
        with database.write() as session:
            claimed = images.claim(session, image_id, lease_seconds=60, queue=ImageQueue.FETCH)
            connection = session.connection().connection.driver_connection
            assert claimed
            assert connection
            connection.set_progress_handler(lambda: steps.append(1), 10)
            assert images.finish_fetch(session, claimed, size=100, sha256="ab" * 32, max_order_bytes=limit, window=10)
            connection.set_progress_handler(None, 0)
        return len(steps)

    few, many = ([ImageSource(url="https://example.org/a.jpg")] * number for number in (5, MANY))
    small, large = place(database, *few), place(database, *many)
    limit = 100 * (MANY - 1)
    cost = max(fetch(image_id, limit) for image_id in small.image_ids)
    *_, last, _ = [fetch(image_id, limit) for image_id in large.image_ids]
    assert last < 2 * cost
    accepted, refused = (row(database, image_id) for image_id in large.image_ids[-2:])
    assert (accepted.queue, accepted.reason) == ("blur", None)
    assert refused.reason == "TOO_LARGE"


def test_an_order_of_the_version_before_is_added_up_once(
    database: Database, server: HttpsServer, make_fetch: MakeFetch
) -> None:
    server.handler = answer(body=b"x" * 60_000)
    order = place(database, *[ImageSource(url=server.url())] * 3)
    make_fetch()(order.image_ids[0])
    with database.write() as session:
        session.execute(update(Order).values(input_bytes=None))
    for image_id in order.image_ids[1:]:
        make_fetch()(image_id)
    assert [row(database, image_id).reason for image_id in order.image_ids] == [None, None, "TOO_LARGE"]


def test_a_slow_server_costs_its_time_and_no_other_host_s(
    database: Database, server: HttpsServer, make_fetch: MakeFetch
) -> None:
    release = threading.Event()

    def slow(_request: HttpRequest, connection: ssl.SSLSocket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nx")
        release.wait(30)

    server.handler = slow
    fetch = make_fetch(hosts=HostShares(2), limits=FetchLimits(image_bytes=10**6, order_bytes=10**9, seconds=2))
    with HttpsServer(server.authority, handler=answer(body=PHOTO)) as other:
        order = place(
            database,
            ImageSource(url=server.url()),
            ImageSource(url=server.url()),
            ImageSource(url=other.url(host="127.0.0.1")),
        )
        thread = threading.Thread(target=fetch, args=(order.image_ids[0],))
        thread.start()
        server.wait_requests(1)
        fetch(order.image_ids[1])
        fetch(order.image_ids[2])
        thread.join(30)
        release.set()
    slow_one, crowded, elsewhere = (row(database, image_id) for image_id in order.image_ids)
    assert (slow_one.state, slow_one.attempts) == ("QUEUED", 1)
    assert (crowded.state, crowded.attempts) == ("QUEUED", 0)
    assert elsewhere.queue == "blur"


@ON_BOTH
def test_an_order_that_is_cancelled_or_deleted_meanwhile_leaves_nothing(
    database: Database, server: HttpsServer, make_fetch: MakeFetch, blobs: BlobStore, lifecycle: OrderLifecycle
) -> None:
    for end in (lifecycle.cancel, lifecycle.delete):
        order = place(database, ImageSource(url=server.url()))

        def serve(request: HttpRequest, connection: ssl.SSLSocket, end: Any = end, order_id: UUID = order.id) -> None:
            end(order_id)
            answer(body=PHOTO)(request, connection)

        server.handler = serve
        make_fetch()(order.image_ids[0])
        with pytest.raises(MissingBlob):
            blobs.get(original_key(order.id, 1))


@ON_BOTH
def test_the_image_of_a_worker_that_died_is_fetched_again(
    database: Database, server: HttpsServer, make_fetch: MakeFetch, blobs: BlobStore, queues: Broker
) -> None:
    order = place(database, ImageSource(url=server.url()))
    (image_id,) = order.image_ids
    with database.write() as session:
        assert images.claim(session, image_id, lease_seconds=-1, queue=ImageQueue.FETCH)
    sweep = Sweep(database, blobs, queues, window=10)
    sweep.images()
    assert row(database, image_id).state == "QUEUED"
    with database.write() as session:
        session.execute(update(Image).values(not_before=0))
    sweep.images()
    make_fetch()(image_id)
    assert row(database, image_id).queue == "blur"


def test_nothing_is_fetched_to_a_full_disk(
    database: Database, server: HttpsServer, make_fetch: MakeFetch, scratch: ScratchFolder
) -> None:
    order = place(database, ImageSource(url=server.url()))
    make_fetch(disk_space=DiskSpace([scratch.path], 1 << 60))(order.image_ids[0])
    found = row(database, order.image_ids[0])
    assert (found.state, found.attempts, found.queue) == ("QUEUED", 0, "fetch")
    assert server.connections == 0
