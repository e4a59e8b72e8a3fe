"""Orders that find: refused if no worker can find it, put into the queue `find`, answered with findings and check."""

from typing import Any
from uuid import UUID

import grpc
import pytest
import redis
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import order_pb2
from sqlalchemy import update

from services.common.db.engine import Database
from services.common.db.models import FindModelSeen
from services.common.db.orders import image_claims, image_outcomes
from services.common.db.orders.image_outcomes import Success
from services.common.domain.findings import CheckState, Inspection
from services.common.domain.orders import ImageQueue
from services.gateway.orders.placement import available_models
from tests.integration.gateway.conftest import Gateway
from tests.integration.gateway.test_orders import PICTURE, fields, order, refused
from tests.support.findings import FACES, PLATES, announce, finding, inspection

FACE = order_pb2.Find(kind=order_pb2.FINDING_KIND_FACE)
FIND = order_pb2.BlurSpec(find=[FACE])


@pytest.fixture(autouse=True)
def _read_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(available_models, "CACHED_SECONDS", 0)
    monkeypatch.setattr(available_models, "RETRY_SECONDS", 0)


def violations(gateway: Gateway, **header: Any) -> dict[str, str]:
    request = pb.BlurOrderRequest(order=pb.OrderHeader(email="ann@example.org", **header), images=[PICTURE])
    return fields(refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.BlurOrder, request))


def test_what_nobody_can_find_is_refused_with_what_to_do(gateway: Gateway, database: Database) -> None:
    assert violations(gateway, spec=FIND) == {
        "order.spec.find[0].kind": "no worker can find faces: install the extra find where the blur workers run"
    }
    announce(database, FACES, PLATES)
    other = order_pb2.Find(kind=order_pb2.FINDING_KIND_FACE, model="another")
    signs = order_pb2.Find(kind=order_pb2.FINDING_KIND_CUSTOM, model="signs")
    assert violations(gateway, spec=order_pb2.BlurSpec(find=[FACE, other, signs])) == {
        "order.spec.find[1].model": "no worker has this model: there are finder",
        "order.spec.find[2].model": "no worker has a custom model named signs: there are plates",
    }
    assert not gateway.files()
    custom = order_pb2.Find(kind=order_pb2.FINDING_KIND_CUSTOM, model="plates")
    assert order(gateway, spec=order_pb2.BlurSpec(find=[FACE, custom])).order_id


def test_an_image_s_own_spec_is_refused_too(gateway: Gateway) -> None:
    request = pb.BlurOrderRequest(
        order=pb.OrderHeader(email="ann@example.org"), images=[PICTURE, pb.InputImage(data=b"1", spec=FIND)]
    )
    named = fields(refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.BlurOrder, request))
    assert list(named) == ["images[1].spec.find[0].kind"]
    start = pb.OrderStart(order=pb.OrderHeader(email="ann@example.org"), image_count=1)
    stream = [
        pb.StreamBlurOrderRequest(start=start),
        pb.StreamBlurOrderRequest(image=pb.ImageStart(filename="a", spec=FIND)),
        pb.StreamBlurOrderRequest(chunk=b"1"),
    ]
    named = fields(refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.StreamBlurOrder, iter(stream)))
    assert list(named) == ["images[0].spec.find[0].kind"]
    assert not gateway.files()


def test_a_model_counts_for_a_week_after_a_worker_had_it(gateway: Gateway, database: Database) -> None:
    announce(database, FACES)
    day = 86_400 * 1_000_000
    for days, listed in ((6, 1), (8, 0)):
        with database.write() as session:
            session.execute(update(FindModelSeen).values(last_seen_at=FindModelSeen.last_seen_at - days * day))
        assert len(gateway.blur.GetLimits(pb.GetLimitsRequest()).find_models) == listed
    announce(database, FACES)
    assert order(gateway, spec=FIND).order_id


def test_limits_name_the_models(gateway: Gateway, database: Database) -> None:
    announce(database, PLATES, FACES)
    limits = gateway.blur.GetLimits(pb.GetLimitsRequest())
    assert [(model.kind, model.name, model.version, model.license) for model in limits.find_models] == [
        (order_pb2.FINDING_KIND_CUSTOM, "plates", "2", "CC0-1.0"),
        (order_pb2.FINDING_KIND_FACE, "finder", "1", "MIT"),
    ]
    assert list(limits.find_models[0].labels) == ["plate", "sign"]
    assert limits.max_keep_originals_for.seconds == 86_400


def test_images_with_something_to_find_go_to_their_own_queue(
    gateway: Gateway, database: Database, valkey: redis.Redis
) -> None:
    announce(database, FACES)
    mixed = [PICTURE, pb.InputImage(data=b"1", spec=FIND), PICTURE]
    header = pb.OrderHeader(email="ann@example.org")
    gateway.blur.BlurOrder(pb.BlurOrderRequest(order=header, images=mixed))
    assert (valkey.llen("dramatiq:blur"), valkey.llen("dramatiq:find")) == (2, 1)
    header.spec.CopyFrom(FIND)
    mixed[1].spec.CopyFrom(order_pb2.BlurSpec())
    gateway.blur.BlurOrder(pb.BlurOrderRequest(order=header, images=mixed))
    assert (valkey.llen("dramatiq:blur"), valkey.llen("dramatiq:find")) == (3, 3)


def succeed(database: Database, image_id: str, found: Inspection) -> None:
    success = Success(size=7, sha256="00" * 32, width=1, height=2, format="JPEG", inspection=found)
    with database.write() as session:
        claim = image_claims.claim(session, UUID(image_id), lease_seconds=60, queue=ImageQueue.FIND)
        assert claim
    with database.write() as session:
        assert image_outcomes.finish(session, claim, success, window=9)


def test_status_list_and_watch_say_what_was_found_and_whether_it_remains(gateway: Gateway, database: Database) -> None:
    announce(database, FACES)
    order_id = order(gateway, spec=FIND).order_id
    watch = gateway.blur.WatchStatus(pb.WatchStatusRequest(order_id=order_id))
    first, second = next(watch).changed_images
    assert not first.findings
    assert not first.HasField("check")
    succeed(database, first.image_id, inspection(finding(), finding(applied=False, confidence=0.5)))
    succeed(database, second.image_id, inspection(state=CheckState.REMAINING))
    status = gateway.blur.Status(pb.StatusRequest(order_id=order_id, view=pb.ORDER_VIEW_FULL)).images
    listed = gateway.blur.ListImages(pb.ListImagesRequest(order_id=order_id)).images
    changed = {image.image_id: image for message in watch for image in message.changed_images}
    assert list(status) == list(listed) == [changed[image.image_id] for image in status]
    clean, doubtful = status
    assert clean.check == order_pb2.Check(state=order_pb2.CHECK_STATE_CLEAN)
    assert [(found.confidence, found.applied) for found in clean.findings] == [(0.875, True), (0.5, False)]
    assert clean.findings[0] == order_pb2.Finding(
        kind=order_pb2.FINDING_KIND_FACE,
        confidence=0.875,
        box=order_pb2.Rect(left=0.25, top=0.25, width=0.5, height=0.5),
        region=order_pb2.Region(
            ellipse=order_pb2.Rect(left=0.125, top=0.125, width=0.75, height=0.75),
            gaussian=order_pb2.Gaussian(sigma_px=12),
        ),
        model="finder",
        model_version="1",
        applied=True,
    )
    assert doubtful.check.state == order_pb2.CHECK_STATE_REMAINING
    assert list(doubtful.check.remaining) == list(doubtful.findings)


def test_an_image_in_which_nothing_was_to_be_found_is_not_checked(gateway: Gateway, database: Database) -> None:
    accepted = order(gateway)
    (first, _) = gateway.blur.ListImages(pb.ListImagesRequest(order_id=accepted.order_id)).images
    with database.write() as session:
        claim = image_claims.claim(session, UUID(first.image_id), lease_seconds=60)
        assert claim
    with database.write() as session:
        assert image_outcomes.finish(
            session, claim, Success(size=7, sha256="00" * 32, width=1, height=2, format="JPEG"), window=9
        )
    (first, _) = gateway.blur.ListImages(pb.ListImagesRequest(order_id=accepted.order_id)).images
    assert first.check == order_pb2.Check(state=order_pb2.CHECK_STATE_NOT_CHECKED)
    assert not first.findings


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # sizes do not depend on it
def test_pages_and_changes_are_small_enough_for_clients_however_much_was_found(
    gateway: Gateway, database: Database
) -> None:
    announce(database, FACES)
    order_id = order(gateway, spec=FIND).order_id
    images_of = gateway.blur.ListImages(pb.ListImagesRequest(order_id=order_id)).images
    for image in images_of:
        succeed(database, image.image_id, inspection(*[finding()] * 15_000))
    first = gateway.blur.ListImages(pb.ListImagesRequest(order_id=order_id))
    assert [image.position for image in first.images] == [1]
    assert 1 << 20 < first.ByteSize() < 4 << 20
    second = gateway.blur.ListImages(pb.ListImagesRequest(order_id=order_id, page_token=first.next_page_token))
    assert ([image.position for image in second.images], second.next_page_token) == ([2], "")
    status = gateway.blur.Status(pb.StatusRequest(order_id=order_id, view=pb.ORDER_VIEW_FULL))
    assert (list(status.images), status.next_page_token) == (list(first.images), first.next_page_token)
    changes = list(gateway.blur.WatchStatus(pb.WatchStatusRequest(order_id=order_id)))
    assert [[image.position for image in change.changed_images] for change in changes] == [[1], [2]]
    assert changes[0].order.revision == 0 < changes[1].order.revision
