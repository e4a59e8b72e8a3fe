"""Sources of images, fetched from real TLS servers, folders and S3, and blurred; results written to targets."""

import hashlib
import ssl
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from services.blur_worker.images.blur_image import BlurImage
from services.common.db.engine import Database
from services.common.db.models import Image
from services.common.db.operators import retries
from services.common.db.orders import image_claims
from services.common.domain.orders import ImageQueue, original_key
from services.common.domain.places import PlaceKey
from services.common.domain.retries import MAX_SOURCE_ATTEMPTS
from services.common.domain.sources import ImageSource
from services.common.domain.spec import BlurSpec
from services.common.infra.blobs import BlobStore, MissingBlob
from services.common.infra.messaging.broker import Broker
from services.common.infra.messaging.messages import BLUR_QUEUE, FETCH_QUEUE
from services.common.infra.outbound.connect import GuardedConnect
from services.common.infra.outbound.https import HttpsClient
from services.common.infra.places import Places
from services.common.use_cases.order_lifecycle import OrderLifecycle
from services.scheduler.sweep import Sweep
from tests.integration.worker.fetching.conftest import ON_BOTH, PHOTO, MakeFetch, place, row
from tests.support.https import HttpRequest, HttpsServer, answer


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
    from services.common.infra.messaging.messages import FIND_QUEUE

    spec = BlurSpec(find=(Find(kind=FindingKind.FACE),))
    order = place(database, ImageSource(url=server.url()), spec=spec.to_json())
    make_fetch()(order.image_ids[0])
    assert row(database, order.image_ids[0]).queue == "find"
    assert queues.subjects(FIND_QUEUE) == [str(order.image_ids[0])]


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
        assert image_claims.claim(session, image_id, lease_seconds=-1, queue=ImageQueue.FETCH)
    sweep = Sweep(database, blobs, queues, window=10)
    sweep.images()
    assert row(database, image_id).state == "QUEUED"
    with database.write() as session:
        session.execute(update(Image).values(not_before=0))
    sweep.images()
    make_fetch()(image_id)
    assert row(database, image_id).queue == "blur"
