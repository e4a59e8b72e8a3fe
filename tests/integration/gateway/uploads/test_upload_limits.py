"""Limits of resumable uploads, and how they end without an order."""

from uuid import UUID

import grpc
import pytest
from imageblur.v1 import blur_service_pb2 as pb
from sqlalchemy import update

from services.common.db.engine import Database
from services.common.db.models import Upload
from services.common.domain.errors import Unavailable
from services.common.infra.blobs import BlobStore
from services.common.infra.messaging.broker import Broker
from services.gateway.settings import GatewaySettings
from services.scheduler.sweep import Sweep
from tests.integration.gateway.conftest import Gateway, running
from tests.integration.gateway.test_orders import refused
from tests.integration.gateway.uploads.uploading import (
    FILES,
    WHOLE,
    append,
    check_stored,
    complete,
    create,
    messages,
    reason,
    received,
    request,
    small_parts,
)

__all__ = ["small_parts"]


@pytest.mark.parametrize(
    ("limits", "named"),
    [
        ({"max_uploads_per_caller": 2}, "the caller has 2"),
        ({"max_uploads": 2}, "there are 2"),
        ({"max_upload_gib_per_caller": 700_000 / (1 << 30)}, "the caller has unfinished uploads of 602,002 bytes"),
        ({"max_upload_gib": 700_000 / (1 << 30)}, "there are unfinished uploads of 602,002 bytes"),
    ],
)
def test_unfinished_uploads_are_bounded(settings: GatewaySettings, limits: dict[str, float], named: str) -> None:
    with running(settings.model_copy(update=limits)) as gateway:
        first = create(gateway).upload_id
        create(gateway)
        error = refused(grpc.StatusCode.RESOURCE_EXHAUSTED, gateway.blur.CreateUpload, request())
        assert reason(error) == "TOO_MANY_UPLOADS"
        assert named in str(error.details())
        before = len(gateway.files())
        assert before == 2  # nothing of the refused one
        gateway.blur.DeleteUpload(pb.DeleteUploadRequest(upload_id=first))
        create(gateway)


def test_a_full_queue_keeps_the_upload(settings: GatewaySettings) -> None:
    with running(settings.model_copy(update={"max_queued_images": 6})) as gateway:
        upload_id, other = create(gateway).upload_id, create(gateway, FILES[:2]).upload_id
        append(gateway, upload_id, 0, WHOLE)
        append(gateway, other, 0, b"".join(FILES[:2]))
        complete(gateway, other)
        error = refused(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            gateway.blur.CompleteUpload,
            pb.CompleteUploadRequest(upload_id=upload_id),
        )
        assert reason(error) == "QUEUE_FULL"
        assert received(gateway, upload_id) == len(WHOLE)
        gateway.blur.CancelOrder(pb.CancelOrderRequest(order_id=other))
        assert complete(gateway, upload_id).counts.total == 5


def test_deleted_and_expired_uploads_leave_nothing(
    gateway: Gateway, database: Database, blobs: BlobStore, queues: Broker
) -> None:
    sweep = Sweep(database, blobs, queues, window=4)
    deleted, expired, kept = (create(gateway).upload_id for _ in range(3))
    for upload_id in (deleted, expired, kept):
        append(gateway, upload_id, 0, WHOLE[:100_000])
    gateway.blur.DeleteUpload(pb.DeleteUploadRequest(upload_id=deleted))
    refused(grpc.StatusCode.NOT_FOUND, gateway.blur.DeleteUpload, pb.DeleteUploadRequest(upload_id=deleted))
    with database.write() as session:
        session.execute(update(Upload).where(Upload.id == UUID(expired)).values(expires_at=1))
    sweep.uploads()
    refused(grpc.StatusCode.NOT_FOUND, gateway.blur.GetUpload, pb.GetUploadRequest(upload_id=expired))
    assert {path.relative_to(gateway.folder).parts[1] for path in gateway.files()} == {kept}
    append(gateway, kept, 100_000, WHOLE[100_000:])
    order_id = complete(gateway, kept).order_id
    assert len(gateway.files()) == 5
    assert gateway.blur.Status(pb.StatusRequest(order_id=order_id)).order.counts.total == 5


def test_the_sweep_removes_what_a_killed_completion_left(
    gateway: Gateway, database: Database, blobs: BlobStore, queues: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.gateway.uploads.completion.CompleteUpload._clean_up", lambda *_: None)
    upload_id = create(gateway).upload_id
    append(gateway, upload_id, 0, WHOLE)
    complete(gateway, upload_id)
    assert len(gateway.files()) > len(FILES)
    with database.write() as session:
        assert session.execute(update(Upload).values(expires_at=1)).rowcount == 1  # type: ignore[attr-defined]
    Sweep(database, blobs, queues, window=4).uploads()
    check_stored(gateway, database, upload_id)


def test_unavailable_dependencies_keep_what_was_stored(
    gateway: Gateway, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload_id = create(gateway).upload_id
    append(gateway, upload_id, 0, WHOLE[:50_000])
    put = BlobStore.put

    def full(*_: object) -> None:
        raise Unavailable("full")

    monkeypatch.setattr(BlobStore, "put", full)
    refused(grpc.StatusCode.UNAVAILABLE, gateway.blur.AppendUpload, messages(upload_id, 50_000, WHOLE[50_000:]))
    refused(grpc.StatusCode.UNAVAILABLE, gateway.blur.CreateUpload, request())
    monkeypatch.setattr(BlobStore, "put", put)
    assert received(gateway, upload_id) == 50_000
    append(gateway, upload_id, 50_000, WHOLE[50_000:])
    check_stored(gateway, database, complete(gateway, upload_id).order_id)
