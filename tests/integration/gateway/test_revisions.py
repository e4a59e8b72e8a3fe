"""Orders that keep their originals: images blurred again, all or nothing, and originals that really go."""

import io
import json
import zipfile
from uuid import UUID, uuid4

import grpc
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import order_pb2
from sqlalchemy import select, update

from services.blur_worker.images.blur_image import BlurImage
from services.common.db.engine import Database
from services.common.db.models import Image
from services.common.db.orders import image_claims, image_outcomes
from services.common.db.orders.image_outcomes import Failure
from services.common.domain.errors import Reason
from services.common.domain.orders import original_key, result_key
from services.common.infra.blobs import BlobStore
from services.gateway.settings import GatewaySettings
from services.scheduler.sweep import Sweep
from tests.integration.gateway.conftest import Gateway, running
from tests.integration.gateway.operator.test_keys import reason
from tests.integration.gateway.revising import BLUE, HOUR, PHOTO, RED, color, place, revise, revision, status
from tests.integration.gateway.test_orders import fields, refused
from tests.integration.steps_of_work import work_off
from tests.support.blob_keys import blob_keys
from tests.support.ids import UNKNOWN_ID


def test_an_image_is_revised_and_its_former_result_available_until_then(
    gateway: Gateway, blur: BlurImage, blobs: BlobStore
) -> None:
    order_id = place(gateway, PHOTO, PHOTO)
    work_off(blur)
    before = status(gateway, order_id)
    kept = before.order.originals_expire_time.ToSeconds() - before.order.finish_time.ToSeconds()
    assert abs(kept - HOUR) <= 1
    first, second = (image.image_id for image in before.images)
    running = revise(gateway, order_id, first)
    assert running.state == order_pb2.ORDER_STATE_RUNNING
    assert (running.counts.succeeded, running.counts.queued) == (1, 1)
    assert running.revision > before.order.revision
    assert not running.HasField("finish_time")
    assert color(gateway, order_id, first) == (255, 0, 0)
    work_off(blur)
    after = status(gateway, order_id)
    assert after.order.state == order_pb2.ORDER_STATE_SUCCEEDED
    assert after.order.originals_expire_time == before.order.originals_expire_time, "a revision keeps them no longer"
    assert after.images[0].output_sha256 != before.images[0].output_sha256
    assert after.images[1] == before.images[1]
    assert color(gateway, order_id, first) == (0, 0, 255)
    assert color(gateway, order_id, second) == (255, 0, 0)
    assert blob_keys(blobs) == [
        result_key(order_id, 1, 1),
        result_key(order_id, 2),
        original_key(order_id, 1),
        original_key(order_id, 2),
    ]


def test_all_images_are_revised_again_and_again(gateway: Gateway, blur: BlurImage, blobs: BlobStore) -> None:
    order_id = place(gateway, PHOTO, PHOTO)
    work_off(blur)
    for spec in (BLUE, RED, BLUE):
        assert revise(gateway, order_id, spec=spec).counts.queued == 2
        work_off(blur)
    images_ = status(gateway, order_id).images
    assert {color(gateway, order_id, image.image_id) for image in images_} == {(0, 0, 255)}
    assert [key for key in blob_keys(blobs) if "result" in key] == [result_key(order_id, n, 3) for n in (1, 2)]


def test_a_watcher_sees_the_revision(gateway: Gateway, blur: BlurImage) -> None:
    order_id = place(gateway, PHOTO)
    work_off(blur)
    seen = status(gateway, order_id).order.revision
    revise(gateway, order_id)
    changes = gateway.blur.WatchStatus(pb.WatchStatusRequest(order_id=order_id, after_revision=seen), timeout=30)
    first = next(changes)
    assert first.order.state == order_pb2.ORDER_STATE_RUNNING
    assert [image.state for image in first.changed_images] == [order_pb2.IMAGE_STATE_QUEUED]
    work_off(blur)
    assert list(changes)[-1].order.state == order_pb2.ORDER_STATE_SUCCEEDED


def test_a_revision_that_fails_leaves_the_former_result_and_says_so(
    gateway: Gateway, blur: BlurImage, database: Database, blobs: BlobStore
) -> None:
    order_id = place(gateway, PHOTO)
    work_off(blur)
    before = status(gateway, order_id).images[0]
    revise(gateway, order_id)
    with database.write() as session:
        claim = image_claims.claim(session, UUID(before.image_id), lease_seconds=10)
        assert claim
    blobs.put(result_key(order_id, 1, claim.generation), b"of a worker that was killed before it told of its result")
    with database.write() as session:
        ended = image_outcomes.finish(session, claim, Failure(Reason.TIMED_OUT, "took too long"), window=1)
        assert ended
    blobs.delete(*ended.surplus_keys)
    after = status(gateway, order_id)
    assert after.order.state == order_pb2.ORDER_STATE_SUCCEEDED
    image = after.images[0]
    assert image.state == order_pb2.IMAGE_STATE_SUCCEEDED
    assert image.output_sha256 == before.output_sha256
    assert image.failure.reason == order_pb2.FAILURE_REASON_TIMED_OUT
    assert color(gateway, order_id, image.image_id) == (255, 0, 0)
    assert blob_keys(blobs) == [result_key(order_id, 1), original_key(order_id, 1)]
    revise(gateway, order_id)
    work_off(blur)
    image = status(gateway, order_id).images[0]
    assert not image.HasField("failure")
    assert color(gateway, order_id, image.image_id) == (0, 0, 255)


def test_an_image_that_failed_is_revised_too(gateway: Gateway, blur: BlurImage) -> None:
    order_id = place(gateway, b"no image", PHOTO)
    work_off(blur)
    assert status(gateway, order_id).order.state == order_pb2.ORDER_STATE_PARTIALLY_FAILED
    revise(gateway, order_id)
    work_off(blur)
    after = status(gateway, order_id)
    assert after.order.state == order_pb2.ORDER_STATE_PARTIALLY_FAILED
    assert after.images[0].failure.reason == order_pb2.FAILURE_REASON_NOT_AN_IMAGE
    assert color(gateway, order_id, after.images[1].image_id) == (0, 0, 255)


def test_a_revision_is_cancelled_and_the_images_are_as_they_were(
    gateway: Gateway, blur: BlurImage, blobs: BlobStore, database: Database
) -> None:
    order_id = place(gateway, PHOTO, b"no image")
    work_off(blur)
    before = status(gateway, order_id)
    revise(gateway, order_id)
    with database.write() as session:
        late = image_claims.claim(session, UUID(before.images[0].image_id), lease_seconds=10)
        assert late
    gateway.blur.CancelOrder(pb.CancelOrderRequest(order_id=order_id))
    after = status(gateway, order_id)
    assert after.order.state == order_pb2.ORDER_STATE_PARTIALLY_FAILED
    assert [image.state for image in after.images] == [image.state for image in before.images]
    assert after.images[0].output_sha256 == before.images[0].output_sha256
    assert original_key(order_id, 1) in blob_keys(blobs), "it can be revised again"
    # The worker that had it stores its result late, while the next revision is already done.
    revise(gateway, order_id, before.images[0].image_id, spec=BLUE)
    work_off(blur)
    blobs.put(result_key(order_id, 1, late.generation), b"late")
    blur.lifecycle.discard_late_result(late.order_id, late.image_id)
    assert color(gateway, order_id, before.images[0].image_id) == (0, 0, 255)
    assert [key for key in blob_keys(blobs) if "result" in key] == [result_key(order_id, 1, 2)]


def test_what_a_killed_worker_leaves_is_swept(
    gateway: Gateway, blur: BlurImage, blobs: BlobStore, database: Database, sweep: Sweep
) -> None:
    order_id = place(gateway, PHOTO)
    work_off(blur)
    revise(gateway, order_id)
    work_off(blur)
    blobs.put(result_key(order_id, 1), b"the former result, not removed")
    sweep.blobs_of_ended_images()
    assert result_key(order_id, 1) in blob_keys(blobs), "a worker may still be at it"
    with database.write() as session:
        session.execute(update(Image).values(finished_at=1))
    sweep.blobs_of_ended_images()
    assert blob_keys(blobs) == [result_key(order_id, 1, 1), original_key(order_id, 1)]


def test_a_repeated_request_revises_once(gateway: Gateway, blur: BlurImage, database: Database) -> None:
    order_id = place(gateway, PHOTO)
    work_off(blur)
    request = revision(order_id)
    request.request_id = str(uuid4())
    gateway.blur.ReviseImages(request)
    work_off(blur)
    again = gateway.blur.ReviseImages(request).order
    assert again.state == order_pb2.ORDER_STATE_SUCCEEDED
    with database.read() as session:
        assert session.scalars(select(Image.next_generation)).all() == [1]
    request.spec.CopyFrom(RED)
    assert reason(refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.ReviseImages, request)) == "REQUEST_ID_REUSED"


def test_everything_wrong_with_a_revision_is_named(gateway: Gateway, blur: BlurImage) -> None:
    order_id = place(gateway, PHOTO)
    refuse = gateway.blur.ReviseImages
    assert reason(refused(grpc.StatusCode.FAILED_PRECONDITION, refuse, revision(order_id))) == "ORDER_NOT_FINISHED"
    work_off(blur)
    image_id = str(uuid4())
    bad = order_pb2.BlurSpec(gaussian=order_pb2.Gaussian(sigma_px=-1))
    listed = [pb.ImageRevision(image_id=image_id, spec=bad), pb.ImageRevision(image_id=image_id)]
    error = refused(
        grpc.StatusCode.INVALID_ARGUMENT, refuse, pb.ReviseImagesRequest(order_id="x", request_id="y", images=listed)
    )
    assert set(fields(error)) == {
        "order_id",
        "request_id",
        "images[0].spec.gaussian.sigma_px",
        "images[1].image_id",
        "images[1].spec",
    }
    error = refused(grpc.StatusCode.INVALID_ARGUMENT, refuse, pb.ReviseImagesRequest(order_id=order_id))
    assert set(fields(error)) == {"spec"}
    refused(grpc.StatusCode.NOT_FOUND, refuse, revision(order_id, image_id))
    refused(grpc.StatusCode.NOT_FOUND, refuse, revision(str(UNKNOWN_ID)))
    assert status(gateway, order_id).order.state == order_pb2.ORDER_STATE_SUCCEEDED


def test_a_worker_that_is_killed_in_a_revision_leaves_the_old_or_the_new_result(
    gateway: Gateway, blur: BlurImage, blobs: BlobStore, database: Database
) -> None:
    order_id = place(gateway, PHOTO)
    work_off(blur)
    image_id = status(gateway, order_id).images[0].image_id
    revise(gateway, order_id)
    with database.write() as session:
        killed = image_claims.claim(session, UUID(image_id), lease_seconds=0)
        assert killed
    blobs.put(result_key(order_id, 1, killed.generation), b"half of")
    assert color(gateway, order_id, image_id) == (255, 0, 0)
    work_off(blur)  # its lease has run out
    work_off(blur)  # the time until the next attempt is over
    assert color(gateway, order_id, image_id) == (0, 0, 255)
    assert blob_keys(blobs) == [result_key(order_id, 1, 1), original_key(order_id, 1)]


def test_a_revision_counts_in_the_queue(settings: GatewaySettings, blur: BlurImage) -> None:
    with running(settings.model_copy(update={"max_queued_images": 3})) as gateway:
        order_id = place(gateway, PHOTO, PHOTO)
        work_off(blur)
        place(gateway, PHOTO, PHOTO)
        error = refused(grpc.StatusCode.RESOURCE_EXHAUSTED, gateway.blur.ReviseImages, revision(order_id))
        assert reason(error) == "QUEUE_FULL"
        assert status(gateway, order_id).order.state == order_pb2.ORDER_STATE_SUCCEEDED
        assert revise(gateway, order_id, status(gateway, order_id).images[0].image_id).counts.queued == 1
        work_off(blur)
        assert status(gateway, order_id).order.state == order_pb2.ORDER_STATE_SUCCEEDED


def test_an_archive_has_the_former_results_until_there_are_new_ones(gateway: Gateway, blur: BlurImage) -> None:
    order_id = place(gateway, PHOTO, PHOTO)
    work_off(blur)

    def archive() -> bytes:
        parts = gateway.blur.DownloadImages(pb.DownloadImagesRequest(order_id=order_id, archive=True))
        return b"".join(part.chunk for part in parts)

    before = archive()
    revise(gateway, order_id, status(gateway, order_id).images[0].image_id)
    assert archive() == before
    work_off(blur)
    after = archive()
    assert after != before
    with zipfile.ZipFile(io.BytesIO(after)) as opened:
        summary = json.loads(opened.read("summary.json"))
    assert [image["effect"]["color"] for image in summary["images"]] == ["#0000ff", "#ff0000"]


def test_an_e_mail_asked_for_meanwhile_waits_for_the_revision(
    gateway: Gateway, blur: BlurImage, database: Database
) -> None:
    order_id = place(gateway, PHOTO)
    work_off(blur)
    revise(gateway, order_id)
    request = pb.SendImagesRequest(order_id=order_id)
    refused(grpc.StatusCode.FAILED_PRECONDITION, gateway.blur.SendImages, request)
    request.when_ready = True
    assert gateway.blur.SendImages(request).delivery.state == order_pb2.DELIVERY_STATE_WAITING
    work_off(blur)
    (delivery,) = status(gateway, order_id).order.deliveries
    assert delivery.state == order_pb2.DELIVERY_STATE_QUEUED
    assert delivery.emails == 1
    with database.read() as session:
        image = session.scalars(select(Image)).one()
        assert (image.generation, image.revised_spec) == (1, None)
