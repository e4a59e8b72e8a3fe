"""Orders of images that the service fetches itself, over a real socket: which sources and targets it accepts."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import order_pb2
from pydantic import SecretStr
from sqlalchemy import select

from services.common.db.access import api_keys
from services.common.db.access.audit import AuditContext
from services.common.db.engine import Database
from services.common.db.models import Image
from services.common.db.queues import workers
from services.common.domain.api_keys import Role
from services.common.infra.messaging.broker import Broker
from services.common.infra.messaging.messages import FETCH_QUEUE
from services.gateway.rpc import key_cache
from services.gateway.settings import GatewaySettings
from tests.integration.gateway.conftest import Gateway, running
from tests.integration.gateway.operator.test_keys import known
from tests.integration.gateway.test_orders import PICTURE, fields, refused
from tests.support.s3 import S3Server

FILES = {"june/a.jpg": 10, "june/deep/b.PNG": 20, "june/notes.txt": 5, "c.tif": 30, "other/a.jpg": 40}


def url(text: str) -> pb.InputImage:
    return pb.InputImage(source=pb.Source(url=text))


def file(place: str, key: str, **values: object) -> pb.InputImage:
    return pb.InputImage(source=pb.Source(file=pb.PlaceKey(place=place, key=key)), **values)  # type: ignore[arg-type]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    for name, size in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(size))
    (tmp_path / "outside.jpg").write_bytes(b"x")
    (root / "link.jpg").symlink_to(tmp_path / "outside.jpg")
    return root


@pytest.fixture(autouse=True)
def fetcher(database: Database) -> UUID:
    """A worker that fetches, as far as gateways know."""
    worker_id = uuid4()
    with database.write() as session:
        workers.insert_worker(session, worker_id, FETCH_QUEUE, host="h", pid=1, version="1", slots=1)
    return worker_id


def test_sources_are_refused_while_no_worker_fetches(
    with_places: GatewaySettings, database: Database, fetcher: UUID
) -> None:
    with database.write() as session:
        workers.delete_worker(session, fetcher)
    by_url = pb.BlurOrderRequest(images=[url("https://example.org/a.jpg")])
    listing = pb.BlurOrderRequest(listings=[pb.SourceListing(place="photos")])
    with running(with_places) as gateway:
        for request in (by_url, listing):
            error = refused(grpc.StatusCode.UNAVAILABLE, gateway.blur.BlurOrder, request)
            assert "IMAGEBLUR_BLUR_WORKER_QUEUES" in str(error)
        assert order(gateway, PICTURE).order_id
        assert len(gateway.files()) == 1


@pytest.fixture
def with_places(settings: GatewaySettings, photos: Path, tmp_path: Path) -> GatewaySettings:
    return settings.model_copy(
        update={
            "source_places": SecretStr(f"photos={photos}"),
            "target_places": SecretStr(f"out={tmp_path}/out, same={photos}"),
        }
    )


@pytest.fixture
def gateway(with_places: GatewaySettings) -> Iterator[Gateway]:
    with running(with_places) as gateway:
        yield gateway


def rows(database: Database) -> list[Image]:
    with database.read() as session:
        return list(session.scalars(select(Image).order_by(Image.position)))


def order(gateway: Gateway, *images: pb.InputImage, listings: object = (), **header: object) -> order_pb2.Order:
    request = pb.BlurOrderRequest(
        order=pb.OrderHeader(**header),  # type: ignore[arg-type]
        images=images,
        listings=listings,  # type: ignore[arg-type]
    )
    return gateway.blur.BlurOrder(request).order


def test_an_order_of_sent_images_and_sources(gateway: Gateway, database: Database, queues: Broker) -> None:
    placed = order(
        gateway, PICTURE, url("https://example.org/x/photo%201.jpg?token=secret"), file("photos", "june/a.jpg")
    )
    assert placed.counts.total == 3
    sent, by_url, by_place = rows(database)
    assert (sent.queue, by_url.queue, by_place.queue) == ("blur", "fetch", "fetch")
    assert (by_url.filename, by_place.filename) == ("photo 1.jpg", "a.jpg")
    assert sorted(queues.subjects(FETCH_QUEUE)) == sorted(str(each.id) for each in (by_url, by_place))
    listed = gateway.blur.ListImages(pb.ListImagesRequest(order_id=placed.order_id)).images
    assert [image.source for image in listed] == ["", "https://example.org/x/photo%201.jpg", "photos:june/a.jpg"]
    assert len(gateway.files()) == 1


def test_a_listing_is_one_call(gateway: Gateway, database: Database) -> None:
    listings = [pb.SourceListing(place="photos", prefix="june"), pb.SourceListing(place="photos", pattern="*.t?f")]
    target = pb.Target(place="out", prefix="done/")
    placed = order(gateway, listings=listings, target=target)
    assert placed.counts.total == 3
    assert [(row.filename, row.input_bytes, row.target) for row in rows(database)] == [
        ("a.jpg", 10, "out:done/a.jpg"),
        ("b.PNG", 20, "out:done/deep/b.PNG"),
        ("c.tif", 30, "out:done/c.tif"),
    ]


def test_a_stream_may_have_sources_and_listings(gateway: Gateway, database: Database) -> None:
    def parts() -> Iterator[pb.StreamBlurOrderRequest]:
        listings = [pb.SourceListing(place="photos", prefix="june/")]
        yield pb.StreamBlurOrderRequest(start=pb.OrderStart(order=pb.OrderHeader(), image_count=2, listings=listings))
        start = pb.ImageStart(source=pb.Source(url="https://example.org/a.jpg"), size_bytes=5)
        yield pb.StreamBlurOrderRequest(image=start)
        yield pb.StreamBlurOrderRequest(image=pb.ImageStart(filename="b.jpg"))
        yield pb.StreamBlurOrderRequest(chunk=b"abc")

    placed = gateway.blur.StreamBlurOrder(parts()).order
    assert placed.counts.total == 4
    assert [(row.filename, row.queue, row.input_bytes) for row in rows(database)] == [
        ("a.jpg", "fetch", 5),
        ("b.jpg", "blur", 3),
        ("a.jpg", "fetch", 10),
        ("b.PNG", "fetch", 20),
    ]

    def only_a_listing() -> Iterator[pb.StreamBlurOrderRequest]:
        listings = [pb.SourceListing(place="photos")]
        yield pb.StreamBlurOrderRequest(start=pb.OrderStart(order=pb.OrderHeader(), listings=listings))

    assert gateway.blur.StreamBlurOrder(only_a_listing()).order.counts.total == 4

    def source_with_chunks() -> Iterator[pb.StreamBlurOrderRequest]:
        yield pb.StreamBlurOrderRequest(start=pb.OrderStart(order=pb.OrderHeader(), image_count=1))
        yield pb.StreamBlurOrderRequest(image=pb.ImageStart(source=pb.Source(url="https://example.org/a.jpg")))
        yield pb.StreamBlurOrderRequest(chunk=b"abc")

    refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.StreamBlurOrder, source_with_chunks())


@pytest.mark.parametrize(
    ("image", "field", "message"),
    [
        (url("http://example.org/"), "images[0].source.url", "https://"),
        (url("file:///etc/passwd"), "images[0].source.url", "https://"),
        (url("https://127.0.0.1:8443/"), "images[0].source.url", "is not public"),
        (url("https://localhost/"), "images[0].source.url", "is not public"),
        (url("https://0x7f.1/"), "images[0].source.url", "number as its host"),
        (pb.InputImage(source=pb.Source()), "images[0].source", "must be a url or a file"),
        (file("photos", "../outside.jpg"), "images[0].source.file.key", ".."),
        (file("photos", "/etc/passwd"), "images[0].source.file.key", "must not begin"),
        (file("other", "a.jpg"), "images[0].source.file.place", "there are photos"),
        (file("out", "a.jpg"), "images[0].source.file.place", "there are photos"),
        (file("photos", "a.jpg", data=b"x"), "images[0].data", "must not be sent with a source"),
    ],
)
def test_other_sources_are_refused_with_the_field(
    gateway: Gateway, *, image: pb.InputImage, field: str, message: str
) -> None:
    error = refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.BlurOrder, pb.BlurOrderRequest(images=[image]))
    assert message in fields(error)[field]
    assert gateway.files() == []


@pytest.mark.parametrize(
    ("listing", "field", "message"),
    [
        (pb.SourceListing(place="nowhere"), "listings[0].place", "there are photos"),
        (pb.SourceListing(place="photos", prefix="../"), "listings[0].prefix", ".."),
        (pb.SourceListing(place="photos", prefix="july"), "listings[0].prefix", "has no file"),
        (pb.SourceListing(place="photos", pattern="*.gif"), "listings[0].prefix", "matches '*.gif'"),
        (pb.SourceListing(place="photos", pattern="*" * 9), "listings[0].pattern", "more than 8 stars"),
    ],
)
def test_other_listings_are_refused_with_the_field(
    gateway: Gateway, *, listing: pb.SourceListing, field: str, message: str
) -> None:
    request = pb.BlurOrderRequest(listings=[listing])
    error = refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.BlurOrder, request)
    assert message in fields(error)[field]


def test_targets_are_checked(gateway: Gateway) -> None:
    def target(place: str, prefix: str, source: str = "june") -> pb.BlurOrderRequest:
        header = pb.OrderHeader(target=pb.Target(place=place, prefix=prefix))
        return pb.BlurOrderRequest(order=header, listings=[pb.SourceListing(place="photos", prefix=source)])

    for place, prefix, field in (
        ("photos", "", "order.target.place"),
        ("out", "../x", "order.target.prefix"),
        ("same", "june", "order.target.prefix"),
    ):
        error = refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.BlurOrder, target(place, prefix))
        assert field in fields(error)
    assert gateway.blur.BlurOrder(target("same", "blurred")).order.order_id


def test_limits_of_images_bytes_and_queue_count_listed_ones(with_places: GatewaySettings) -> None:
    request = pb.BlurOrderRequest(listings=[pb.SourceListing(place="photos")])
    with running(with_places.model_copy(update={"max_images": 3})) as gateway:
        error = refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.BlurOrder, request)
        assert "more than the 3 images" in fields(error)["listings[0]"]
    with running(with_places.model_copy(update={"max_order_bytes": 99})) as gateway:
        error = refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.BlurOrder, request)
        assert "larger than 99 bytes together" in fields(error)["images"]
    with running(with_places.model_copy(update={"max_queued_images": 5})) as gateway:
        assert gateway.blur.BlurOrder(request).order.counts.total == 4
        refused(grpc.StatusCode.RESOURCE_EXHAUSTED, gateway.blur.BlurOrder, request)


def test_a_repeated_request_is_the_same_order_though_the_place_has_changed(
    gateway: Gateway, database: Database, photos: Path
) -> None:
    header: dict[str, Any] = {"request_id": str(uuid4())}
    listings = [pb.SourceListing(place="photos", prefix="june")]
    placed = order(gateway, listings=listings, **header)
    (photos / "june" / "new.jpg").write_bytes(b"x")
    assert order(gateway, listings=listings, **header).order_id == placed.order_id
    assert len(rows(database)) == 2
    other = pb.BlurOrderRequest(order=pb.OrderHeader(**header), listings=[pb.SourceListing(place="photos")])
    refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.BlurOrder, other)


def test_only_validated_nothing_is_stored(gateway: Gateway, database: Database) -> None:
    placed = order(gateway, file("photos", "c.tif"), validate_only=True)
    assert (placed.order_id, placed.counts.total) == ("", 1)
    assert rows(database) == []


def test_other_calls_take_no_sources(gateway: Gateway) -> None:
    image = url("https://example.org/a.jpg")
    error = refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.BlurImage, pb.BlurImageRequest(image=image))
    assert "image.source" in fields(error)
    upload = pb.CreateUploadRequest(images=[pb.ImageStart(source=image.source, size_bytes=3)])
    error = refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.CreateUpload, upload)
    assert "images[0].source" in fields(error)


@pytest.fixture
def make_key(database: Database, monkeypatch: pytest.MonkeyPatch) -> Callable[[Gateway], tuple[str, str]]:
    monkeypatch.setattr(key_cache, "REFRESH_SECONDS", 0.05)

    def make(gateway: Gateway) -> tuple[str, str]:
        with database.write() as session:
            made = api_keys.create(session, AuditContext("test", "Test"), name="x", role=Role.CLIENT, seconds=None)
        known(gateway, made.key)
        return str(made.row.id), made.key

    return make


def test_places_are_for_holders_of_keys_or_of_some(
    with_places: GatewaySettings, make_key: Callable[[Gateway], tuple[str, str]]
) -> None:
    request = pb.BlurOrderRequest(images=[file("photos", "c.tif")])
    public = with_places.model_copy(update={"allow_anonymous": True, "gateway_address": "0.0.0.0:0"})
    with running(public) as gateway:
        limits = gateway.blur.GetLimits(pb.GetLimitsRequest())
        assert (list(limits.source_places), list(limits.target_places)) == ([], [])
        refused(grpc.StatusCode.PERMISSION_DENIED, gateway.blur.BlurOrder, request)
        by_url = pb.BlurOrderRequest(images=[url("https://example.org/a.jpg")])
        refused(grpc.StatusCode.PERMISSION_DENIED, gateway.blur.BlurOrder, by_url)
        key_id, key = make_key(gateway)
        _, other = make_key(gateway)
        metadata = (("authorization", f"Bearer {key}"),)
        limits = gateway.blur.GetLimits(pb.GetLimitsRequest(), metadata=metadata)
        assert (list(limits.source_places), list(limits.target_places)) == (["photos"], ["out", "same"])
        assert gateway.blur.BlurOrder(request, metadata=metadata).order.order_id
    with running(public.model_copy(update={"places_keys": key_id})) as gateway:
        known(gateway, key)
        assert gateway.blur.BlurOrder(request, metadata=metadata).order.order_id
        with pytest.raises(grpc.RpcError, match="may not use places"):
            gateway.blur.BlurOrder(request, metadata=(("authorization", f"Bearer {other}"),))


def test_a_bucket_of_thousands_of_files_is_one_call(
    settings: GatewaySettings, s3_server: S3Server, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from services.common.infra.blobs.store import s3_store

    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    address = s3_server.address()
    import asyncio

    import obstore

    store = s3_store(address)

    async def fill() -> None:
        limit = asyncio.Semaphore(32)

        async def put(number: int) -> None:
            async with limit:
                await obstore.put_async(store, f"in/{number:05d}.jpg", b"x" * 20)

        await asyncio.gather(*map(put, range(2_500)))

    asyncio.run(fill())
    update = {"source_places": SecretStr(f"bucket={address}"), "max_images": 10_000}
    with running(settings.model_copy(update=update)) as gateway:
        placed = order(gateway, listings=[pb.SourceListing(place="bucket", prefix="in")])
    assert placed.counts.total == 2_500
    assert [row.filename for row in rows(database)][-1] == "02499.jpg"
