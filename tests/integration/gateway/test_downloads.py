"""Results and archives, whole and in parts, by order or by an e-mail's token."""

import hashlib
import io
import json
import zipfile
import zlib
from dataclasses import dataclass
from uuid import UUID, uuid4

import grpc
import pytest
from imageblur.v1 import blur_service_pb2 as pb
from sqlalchemy import update

from services.common.db.engine import Database
from services.common.db.models import Image, Order
from services.common.domain.orders import result_key
from services.common.infra.blobs import BlobStore
from services.common.infra.signing.tokens import Tokens
from tests.integration.gateway.conftest import SECRET, Gateway
from tests.integration.gateway.test_orders import fields, order, refused

RESULTS = [b"first" * 1000, bytes(range(256)) * 9000]


@dataclass
class Done:
    order_id: str
    image_ids: list[str]
    token: str


@pytest.fixture
def done(gateway: Gateway, database: Database) -> Done:
    """An order whose two images are blurred."""
    order_id = order(gateway).order_id
    blobs = BlobStore(str(gateway.folder))
    for position, data in enumerate(RESULTS, 1):
        blobs.put(result_key(order_id, position), data)
        values = {"state": "SUCCEEDED", "output_bytes": len(data), "output_sha256": hashlib.sha256(data).hexdigest()}
        with database.write() as session:
            session.execute(update(Image).where(Image.position == position).values(format="JPEG", **values))
    with database.write() as session:
        session.execute(update(Order).values(state="SUCCEEDED", succeeded=2))
    listed = gateway.blur.ListImages(pb.ListImagesRequest(order_id=order_id)).images
    return Done(order_id, [image.image_id for image in listed], Tokens(SECRET).archive(UUID(order_id)))


def fetch(gateway: Gateway, **request: object) -> tuple[pb.FileStart, bytes]:
    first, *parts = gateway.blur.DownloadImages(pb.DownloadImagesRequest(**request))  # type: ignore[arg-type]
    return first.file, b"".join(part.chunk for part in parts)


def test_an_archive_and_its_parts(gateway: Gateway, done: Done) -> None:
    start, whole = fetch(gateway, order_id=done.order_id, archive=True)
    assert start.size_bytes == len(whole)
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        assert archive.namelist()[2:] == ["summary.json", "summary.txt"]
        assert [archive.read(name) for name in archive.namelist()[:2]] == RESULTS
        receipt = json.loads(archive.read("summary.json"))
    images = [(image["file"], image["output"]["sha256"]) for image in receipt["images"]]
    assert images == [
        (name, hashlib.sha256(data).hexdigest()) for name, data in zip(archive.namelist(), RESULTS, strict=False)
    ]
    assert all(len(image["input"]["sha256"]) == 64 for image in receipt["images"])
    # In the middle of a file, over the end of one, the directory at the end.
    for offset, length in ((1_000_000, 500_000), (4_000, 3_000), (len(whole) - 50, 0), (0, 10)):
        again, part = fetch(gateway, order_id=done.order_id, archive=True, offset=offset, length=length)
        assert part == whole[offset : offset + length if length else None]
        assert (again.etag, again.size_bytes) == (start.etag, len(whole))


def test_an_archive_can_be_read_as_a_stream_if_the_checksums_are_those_of_the_results(
    gateway: Gateway, done: Done, database: Database
) -> None:
    etags = set()
    for stale in (False, True):
        with database.write() as session:
            for position, data in enumerate(RESULTS, 1):
                sha256 = "ff" * 32 if stale else hashlib.sha256(data).hexdigest()
                known = f"{zlib.crc32(data):08x}{sha256[:8]}"
                session.execute(update(Image).where(Image.position == position).values(output_crc32=known))
        start, whole = fetch(gateway, order_id=done.order_id, archive=True)
        etags.add(start.etag)
        with zipfile.ZipFile(io.BytesIO(whole)) as archive:
            assert archive.testzip() is None
            descriptors = [bool(info.flag_bits & 8) for info in archive.infolist()]
        # A worker of the version before has stored another result, and left the checksum of the first.
        assert descriptors == [stale, stale, False, False]
    assert len(etags) == 2


def test_an_archive_differs_from_the_one_before_only_with_its_files(
    gateway: Gateway, done: Done, database: Database
) -> None:
    before, _ = fetch(gateway, order_id=done.order_id, archive=True)
    with database.write() as session:
        session.execute(update(Image).where(Image.position == 2).values(state="FAILED", reason="CORRUPT", message=""))
    after, _ = fetch(gateway, order_id=done.order_id, archive=True)
    assert before.etag
    assert after.etag
    assert before.etag != after.etag


def test_a_part_of_an_image(gateway: Gateway, done: Done) -> None:
    start, part = fetch(gateway, order_id=done.order_id, image_ids=[done.image_ids[1]], offset=1_500_000, length=9)
    assert part == RESULTS[1][1_500_000:1_500_009]
    assert start.size_bytes == len(RESULTS[1])
    assert start.etag
    _, rest = fetch(gateway, order_id=done.order_id, image_ids=[done.image_ids[1]], offset=len(RESULTS[1]) - 1)
    assert rest == RESULTS[1][-1:]


def test_a_emails_token_gives_the_archive_for_as_long_as_there_is_one(
    gateway: Gateway, done: Done, database: Database
) -> None:
    for _ in range(2):
        start, data = fetch(gateway, token=done.token)
        assert (start.filename, start.size_bytes) == ("blur_images.zip", len(data))
    with database.write() as session:
        session.execute(update(Order).values(state="EXPIRED", email=None))
    error = refused(grpc.StatusCode.FAILED_PRECONDITION, download(gateway), pb.DownloadImagesRequest(token=done.token))
    assert "expired" in (error.details() or "")
    gateway.blur.DeleteOrder(pb.DeleteOrderRequest(order_id=done.order_id))
    refused(grpc.StatusCode.NOT_FOUND, download(gateway), pb.DownloadImagesRequest(token=done.token))


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({"token": "not one"}, "token"),
        ({"token": Tokens(SECRET).make("unsubscribe", uuid4(), 1)}, "token"),
        ({"token": "TOKEN", "order_id": "ORDER"}, "token"),
        ({"order_id": "ORDER", "offset": 1}, "offset"),
        ({"order_id": "ORDER", "length": 1}, "length"),
        ({"order_id": "ORDER", "archive": True, "offset": -1}, "offset"),
        ({"order_id": "ORDER", "archive": True, "length": -1}, "length"),
        ({"order_id": "ORDER", "archive": True, "offset": 1 << 40}, "offset"),
    ],
)
def test_what_makes_no_sense_is_refused(gateway: Gateway, done: Done, request_: dict[str, object], field: str) -> None:
    names = {"ORDER": done.order_id, "TOKEN": done.token}
    request = pb.DownloadImagesRequest(
        **{name: names.get(str(value), value) for name, value in request_.items()}  # type: ignore[arg-type]
    )
    assert list(fields(refused(grpc.StatusCode.INVALID_ARGUMENT, download(gateway), request))) == [field]


def download(gateway: Gateway) -> object:
    return lambda request: list(gateway.blur.DownloadImages(request))
