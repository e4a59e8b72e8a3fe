"""How long originals are kept for revisions, and with what they go."""

import grpc
import pytest
from imageblur.v1 import blur_service_pb2 as pb
from sqlalchemy import update

from services.blur_worker.images.blur_image import BlurImage
from services.common.db.engine import Database
from services.common.db.models import Image, Order
from services.common.domain.orders import original_key, result_key
from services.common.infra.blobs import BlobStore
from services.scheduler.sweep import Sweep
from tests.integration.gateway.conftest import Gateway
from tests.integration.gateway.operator.test_keys import reason
from tests.integration.gateway.revising import PHOTO, expire_originals, place, revise, revision, status
from tests.integration.gateway.test_orders import fields, refused
from tests.integration.steps_of_work import work_off
from tests.support.blob_keys import blob_keys


def test_without_being_asked_to_an_order_keeps_no_originals(
    gateway: Gateway, blur: BlurImage, blobs: BlobStore
) -> None:
    order_id = place(gateway, PHOTO, keep=0)
    work_off(blur)
    assert blob_keys(blobs) == [result_key(order_id, 1)]
    assert not status(gateway, order_id).order.HasField("originals_expire_time")
    error = refused(grpc.StatusCode.FAILED_PRECONDITION, gateway.blur.ReviseImages, revision(order_id))
    assert reason(error) == "ORIGINALS_NOT_KEPT"


def test_the_originals_go_when_the_person_is_done(gateway: Gateway, blur: BlurImage, blobs: BlobStore) -> None:
    order_id = place(gateway, PHOTO, PHOTO)
    request = pb.DeleteOriginalsRequest(order_id=order_id)
    error = refused(grpc.StatusCode.FAILED_PRECONDITION, gateway.blur.DeleteOriginals, request)
    assert reason(error) == "ORDER_NOT_FINISHED"
    work_off(blur)
    for _ in range(2):
        order = gateway.blur.DeleteOriginals(request).order
        assert not order.HasField("originals_expire_time")
    assert blob_keys(blobs) == [result_key(order_id, 1), result_key(order_id, 2)]
    error = refused(grpc.StatusCode.FAILED_PRECONDITION, gateway.blur.ReviseImages, revision(order_id))
    assert reason(error) == "ORIGINALS_NOT_KEPT"


def test_the_originals_go_at_their_deadline(
    gateway: Gateway, blur: BlurImage, blobs: BlobStore, database: Database, sweep: Sweep
) -> None:
    order_id = place(gateway, PHOTO)
    work_off(blur)
    sweep.originals()
    assert original_key(order_id, 1) in blob_keys(blobs)
    revise(gateway, order_id)
    expire_originals(database)
    sweep.originals()
    assert original_key(order_id, 1) in blob_keys(blobs), "it is being blurred"
    work_off(blur)
    error = refused(grpc.StatusCode.FAILED_PRECONDITION, gateway.blur.ReviseImages, revision(order_id))
    assert reason(error) == "ORIGINALS_NOT_KEPT", "before the sweep has come"
    sweep.originals()
    assert blob_keys(blobs) == [result_key(order_id, 1, 1)]


def test_originals_that_could_not_be_removed_are_swept(
    gateway: Gateway, blur: BlurImage, blobs: BlobStore, database: Database, sweep: Sweep
) -> None:
    order_id = place(gateway, PHOTO)
    work_off(blur)
    gateway.blur.DeleteOriginals(pb.DeleteOriginalsRequest(order_id=order_id))
    blobs.put(original_key(order_id, 1), b"of a gateway that was killed")
    with database.write() as session:
        session.execute(update(Image).values(finished_at=1))
    sweep.blobs_of_ended_images()
    assert blob_keys(blobs) == [result_key(order_id, 1)]


def test_the_originals_go_with_a_cancelled_and_with_a_deleted_order(
    gateway: Gateway, blur: BlurImage, blobs: BlobStore
) -> None:
    cancelled, deleted = place(gateway, PHOTO), place(gateway, PHOTO)
    gateway.blur.CancelOrder(pb.CancelOrderRequest(order_id=cancelled))
    work_off(blur)
    assert not [key for key in blob_keys(blobs) if cancelled in key]
    error = refused(grpc.StatusCode.FAILED_PRECONDITION, gateway.blur.ReviseImages, revision(cancelled))
    assert reason(error) == "ORDER_CANCELLED"
    revise(gateway, deleted)
    gateway.blur.DeleteOrder(pb.DeleteOrderRequest(order_id=deleted))
    assert blob_keys(blobs) == []


def test_the_originals_go_with_an_expired_order(
    gateway: Gateway, blur: BlurImage, blobs: BlobStore, database: Database, sweep: Sweep
) -> None:
    order_id = place(gateway, PHOTO)
    work_off(blur)
    with database.write() as session:
        session.execute(update(Order).values(expires_at=1))
    sweep.expired()
    assert blob_keys(blobs) == []
    error = refused(grpc.StatusCode.FAILED_PRECONDITION, gateway.blur.ReviseImages, revision(order_id))
    assert reason(error) == "ORDER_EXPIRED"


@pytest.mark.parametrize("seconds", [-1, 86_401])
def test_originals_are_kept_a_day_at_most(gateway: Gateway, seconds: int) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        place(gateway, PHOTO, keep=seconds)
    assert set(fields(caught.value)) == {"order.keep_originals_for"}
    limits = gateway.blur.GetLimits(pb.GetLimitsRequest())
    assert limits.max_keep_originals_for.ToSeconds() == 86_400
