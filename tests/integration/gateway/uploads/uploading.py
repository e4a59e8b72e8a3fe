"""Resumable uploads in small parts, as tests create, send and complete them."""

import hashlib
import random
from collections.abc import Iterator, Sequence
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import order_pb2
from sqlalchemy import func, select

from services.common.db.engine import Database
from services.common.db.models import Image, UnownedBlobs, Upload, UploadImage
from services.common.domain.orders import original_key
from services.common.infra.blobs import BlobStore
from services.gateway.uploads import receiver
from tests.integration.gateway.conftest import Gateway
from tests.integration.gateway.test_orders import details

PART = 40_000


def files(*sizes: int) -> list[bytes]:
    return [random.Random(size).randbytes(size) for size in sizes]


FILES = files(1_000, 130_000, 70_000, 1, 100_000)
WHOLE = b"".join(FILES)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiver, "PART_BYTES", PART)
    monkeypatch.setattr("services.gateway.uploads.append.PART_BYTES", PART)
    monkeypatch.setattr("services.gateway.uploads.append.MIN_BROKEN_BYTES", 10_000)


def request(contents: Sequence[bytes] = FILES, **header: Any) -> pb.CreateUploadRequest:
    images = [pb.ImageStart(filename=f"{n}.jpg", size_bytes=len(data)) for n, data in enumerate(contents)]
    return pb.CreateUploadRequest(order=pb.OrderHeader(email="ann@example.org", **header), images=images)


def create(gateway: Gateway, contents: Sequence[bytes] = FILES, **header: Any) -> pb.Upload:
    return gateway.blur.CreateUpload(request(contents, **header)).upload


def messages(upload_id: str, offset: int, *chunks: bytes) -> Iterator[pb.AppendUploadRequest]:
    yield pb.AppendUploadRequest(start=pb.AppendStart(upload_id=upload_id, offset=offset))
    for chunk in chunks:
        yield pb.AppendUploadRequest(chunk=chunk)


def append(gateway: Gateway, upload_id: str, offset: int, *chunks: bytes) -> int:
    return gateway.blur.AppendUpload(messages(upload_id, offset, *chunks)).upload.received_bytes


def complete(gateway: Gateway, upload_id: str) -> order_pb2.Order:
    return gateway.blur.CompleteUpload(pb.CompleteUploadRequest(upload_id=upload_id)).order


def received(gateway: Gateway, upload_id: str) -> int:
    return gateway.blur.GetUpload(pb.GetUploadRequest(upload_id=upload_id)).upload.received_bytes


def reason(error: grpc.RpcError) -> str:
    return details(error, ErrorInfo).reason  # type: ignore[attr-defined,no-any-return]


def check_stored(gateway: Gateway, database: Database, order_id: str, contents: Sequence[bytes] = FILES) -> None:
    """The order has exactly these originals, and nothing of the upload is left."""
    blobs = BlobStore(gateway.settings.blob_url)
    assert [blobs.get(original_key(order_id, n)) for n in range(1, len(contents) + 1)] == list(contents)
    assert len(gateway.files()) == len(contents)
    with database.read() as session:
        sha256 = session.scalars(select(Image.input_sha256).order_by(Image.position)).all()
        assert sha256 == [hashlib.sha256(data).hexdigest() for data in contents]
        for model in (Upload, UploadImage, UnownedBlobs):
            assert session.scalar(select(func.count()).select_from(model)) == 0
