"""Each RPC and its HTTP counterpart, over one gateway: the same answers and errors, as the OpenAPI document says."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar
from uuid import UUID

import grpc
import pytest
import zxingcpp
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import order_pb2
from imageblur.v1 import subscription_service_pb2 as subscriptions
from openapi_schema_validator import OAS31Validator
from PIL import Image as Pillow
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from sqlalchemy import select, update

from services.common.db.engine import Database
from services.common.db.models import Image, Order, Subscriber
from services.common.domain.findings import FindModel
from services.common.domain.orders import result_key
from services.common.domain.spec import FindingKind
from services.common.infra.blobs import BlobStore
from services.common.infra.signing.tokens import Tokens
from services.gateway.orders.placement import available_models
from services.web.api.operations import SERVICES
from tests.integration.gateway.conftest import SECRET, Gateway
from tests.integration.gateway.test_orders import details, fields
from tests.integration.web.conftest import Web
from tests.integration.web.test_api import PHOTO, form, problem, worker
from tests.support.findings import announce
from tests.support.ids import UNKNOWN_ID
from tests.support.images import encode

__all__ = ["worker"]

RESULT = b"a result" * 1000
SPEC = order_pb2.BlurSpec(solid=order_pb2.Solid(color="#ff0000"))
VOLATILE = {"order_id", "image_id", "delivery_id", "revision", "etag", "create_time", "finish_time", "expire_time"}
VOLATILE |= {"secret", "upload_id", "request_time", "originals_expire_time", "start_time"}
"""Fields that differ between two orders."""
CODE = Pillow.fromarray(
    zxingcpp.write_barcode_to_image(zxingcpp.create_barcode("ImageBlur", zxingcpp.BarcodeFormat.QRCode), scale=6)
).convert("RGB")


@dataclass(frozen=True)
class Placed:
    """A finished order that keeps its originals."""

    order_id: str
    image_id: str


@pytest.fixture
def finished(gateway: Gateway, database: Database) -> Callable[[], Placed]:
    def place() -> Placed:
        request = pb.BlurOrderRequest(images=[pb.InputImage(filename="a.jpg", data=PHOTO)])
        request.order.keep_originals_for.FromSeconds(3600)
        order_id = gateway.blur.BlurOrder(request).order.order_id
        BlobStore(str(gateway.folder)).put(result_key(order_id, 1), RESULT)
        with database.write() as session:
            done = {"state": "SUCCEEDED", "format": "JPEG", "output_bytes": len(RESULT), "finished_at": 1}
            session.execute(update(Image).where(Image.order_id == UUID(order_id)).values(**done))
            ended = {"state": "SUCCEEDED", "succeeded": 1, "originals_until": Order.expires_at, "finished_at": 1}
            session.execute(update(Order).where(Order.id == UUID(order_id)).values(**ended))
        (image,) = gateway.blur.ListImages(pb.ListImagesRequest(order_id=order_id)).images
        return Placed(order_id, image.image_id)

    return place


def normal(value: Any) -> Any:
    """The value without what differs between two orders."""
    if isinstance(value, dict):
        return {key: "…" if key in VOLATILE and found else normal(found) for key, found in value.items()}
    return [normal(found) for found in value] if isinstance(value, list) else value


def as_json(message: Message) -> dict[str, Any]:
    values: dict[str, Any] = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return values


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The OpenAPI document, of whose objects none has more than it says."""
    found: dict[str, Any] = json.loads(Path("services/web/api/openapi.json").read_text(encoding="utf-8"))
    for schema in found["components"]["schemas"].values():
        if schema.get("type") == "object":
            schema["additionalProperties"] = False
    return found


def assert_as_documented(document: dict[str, Any], answer: Any, schema: str) -> None:
    registry = Registry().with_resource("urn:api", Resource.from_contents(document, default_specification=DRAFT202012))
    OAS31Validator({"$ref": f"urn:api#/components/schemas/{schema}"}, registry=registry).validate(answer)


COMPARED: set[str] = set()
"""RPCs of which a test compares the answers."""
Test = TypeVar("Test", bound=Callable[..., None])


def compares(*rpcs: str) -> Callable[[Test], Test]:
    """Register what a test compares."""
    COMPARED.update(rpcs)
    return lambda test: test


class Same(Protocol):
    """Requires that an HTTP request has the answer of an RPC."""

    def __call__(
        self, rpc: str, response: Message, request: str, body: bytes | None = None, *, status: int = 200, **headers: str
    ) -> None:
        """The request as `GET /v1/limits`."""


@pytest.fixture
def same(web: Web, document: dict[str, Any]) -> Same:
    def compare(
        rpc: str, response: Message, request: str, body: bytes | None = None, *, status: int = 200, **headers: str
    ) -> None:
        assert rpc in COMPARED
        method, path = request.split()
        answer = web.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        assert answer.status == status, answer.text
        values: dict[str, Any] = json.loads(answer.body)
        assert normal(values) == normal(as_json(response))
        schema = type(response).DESCRIPTOR.name.replace("StreamBlurOrder", "BlurOrder")  # one path, one answer
        assert_as_documented(document, values, schema)

    return compare


def to_json(message: Message) -> bytes:
    return json.dumps(MessageToDict(message, preserving_proto_field_name=True)).encode()


@compares("GetLimits")
def test_limits(gateway: Gateway, same: Same) -> None:
    same("GetLimits", gateway.blur.GetLimits(pb.GetLimitsRequest()), "GET /v1/limits")


@compares("GetWebhookSecret", "RotateWebhookSecret")
def test_the_secret_of_webhooks(gateway: Gateway, web: Web, same: Same) -> None:
    secret = gateway.blur.GetWebhookSecret(pb.GetWebhookSecretRequest())
    same("GetWebhookSecret", secret, "GET /v1/webhook-secret")
    assert json.loads(web.get("/v1/webhook-secret").body)["secret"] == secret.secret
    rotated = gateway.blur.RotateWebhookSecret(pb.RotateWebhookSecretRequest())
    same("RotateWebhookSecret", rotated, "POST /v1/webhook-secret/rotate")


@compares("BlurOrder", "StreamBlurOrder")
def test_orders_as_json_and_as_a_form(gateway: Gateway, same: Same) -> None:
    header = pb.OrderHeader(email="ann@example.org", notify=True, spec=SPEC)
    request = pb.BlurOrderRequest(order=header, images=[pb.InputImage(filename="a.jpg", data=PHOTO)])
    same("BlurOrder", gateway.blur.BlurOrder(request), "POST /v1/orders", to_json(request), status=201)
    stream = [
        pb.StreamBlurOrderRequest(start=pb.OrderStart(order=header, image_count=1)),
        pb.StreamBlurOrderRequest(image=pb.ImageStart(filename="a.jpg")),
        pb.StreamBlurOrderRequest(chunk=PHOTO),
    ]
    streamed = gateway.blur.StreamBlurOrder(iter(stream))
    body, headers = form({"a.jpg": PHOTO}, email="ann@example.org", notify="1")
    same("StreamBlurOrder", streamed, "POST /v1/orders?color=ff0000", body, status=201, **headers)
    request.order.validate_only = True
    body, headers = form({"a.jpg": PHOTO}, email="ann@example.org", validate_only="1")
    validated = gateway.blur.BlurOrder(request)
    same("BlurOrder", validated, "POST /v1/orders", body, status=201, **headers)


@compares("Status", "ListImages", "WatchStatus", "DownloadImages")
def test_an_order_and_its_images(
    gateway: Gateway, web: Web, same: Same, finished: Callable[[], Placed], document: dict[str, Any]
) -> None:
    placed = finished()
    path = f"/v1/orders/{placed.order_id}"
    full = pb.StatusRequest(order_id=placed.order_id, view=pb.ORDER_VIEW_FULL)
    same("Status", gateway.blur.Status(full), f"GET {path}?view=full")
    some = pb.ListImagesRequest(order_id=placed.order_id, page_size=1, state=order_pb2.IMAGE_STATE_SUCCEEDED)
    same("ListImages", gateway.blur.ListImages(some), f"GET {path}/images?page_size=1&state=succeeded")
    changes = list(gateway.blur.WatchStatus(pb.WatchStatusRequest(order_id=placed.order_id)))
    lines = web.get(f"{path}/events").text.splitlines()
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    assert events == [*map(as_json, changes), {}]
    assert_as_documented(document, events[0], "WatchStatusResponse")
    token = Tokens(SECRET).archive(UUID(placed.order_id))
    downloads = (
        (f"{path}/archive", pb.DownloadImagesRequest(order_id=placed.order_id, archive=True)),
        (f"/v1/archive?token={token}", pb.DownloadImagesRequest(token=token)),
        (
            f"{path}/images/{placed.image_id}",
            pb.DownloadImagesRequest(order_id=placed.order_id, image_ids=[placed.image_id]),
        ),
    )
    for address, request in downloads:
        first, *parts = gateway.blur.DownloadImages(request)
        whole = web.get(address)
        assert (whole.status, whole.body) == (200, b"".join(part.chunk for part in parts))
        assert whole.headers["etag"] == f'"{first.file.etag}"'
        request.offset = 100
        _, *parts = gateway.blur.DownloadImages(request)
        rest = web.get(address, Range="bytes=100-")
        assert (rest.status, rest.body) == (206, b"".join(part.chunk for part in parts))


@compares("SendImages", "ReviseImages", "CancelOrder", "DeleteOriginals", "DeleteOrder")
def test_what_changes_an_order(gateway: Gateway, same: Same, finished: Callable[[], Placed]) -> None:
    one, other = finished(), finished()
    send = pb.SendImagesRequest(order_id=other.order_id, email="ann@example.org")
    sent = gateway.blur.SendImages(send)
    same("SendImages", sent, f"POST /v1/orders/{one.order_id}/send", b'{"email": "ann@example.org"}')
    revise = pb.ReviseImagesRequest(
        order_id=other.order_id, images=[pb.ImageRevision(image_id=other.image_id, spec=SPEC)]
    )
    revised = gateway.blur.ReviseImages(revise)
    body = pb.ReviseImagesRequest(images=[pb.ImageRevision(image_id=one.image_id, spec=SPEC)])
    same("ReviseImages", revised, f"POST /v1/orders/{one.order_id}/revise", to_json(body))
    cancelled = gateway.blur.CancelOrder(pb.CancelOrderRequest(order_id=other.order_id))
    same("CancelOrder", cancelled, f"POST /v1/orders/{one.order_id}/cancel")
    removed = gateway.blur.DeleteOriginals(pb.DeleteOriginalsRequest(order_id=other.order_id))
    same("DeleteOriginals", removed, f"DELETE /v1/orders/{one.order_id}/originals")
    deleted = gateway.blur.DeleteOrder(pb.DeleteOrderRequest(order_id=other.order_id))
    same("DeleteOrder", deleted, f"DELETE /v1/orders/{one.order_id}")


@compares("CreateUpload", "GetUpload", "AppendUpload", "CompleteUpload", "DeleteUpload")
def test_uploads(gateway: Gateway, web: Web, same: Same) -> None:
    images = [pb.ImageStart(filename="a.jpg", size_bytes=len(PHOTO))]
    create = pb.CreateUploadRequest(order=pb.OrderHeader(spec=SPEC), images=images)
    one, other = (gateway.blur.CreateUpload(create) for _ in range(2))
    same("CreateUpload", one, "POST /v1/uploads", to_json(create), status=201)
    path = f"/v1/uploads/{one.upload.upload_id}"
    start = pb.AppendStart(upload_id=other.upload.upload_id)
    parts = [pb.AppendUploadRequest(start=start), pb.AppendUploadRequest(chunk=PHOTO)]
    appended = gateway.blur.AppendUpload(iter(parts)).upload
    headers = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    answer = web.request("PATCH", path, PHOTO, headers)
    assert (answer.status, answer.headers["upload-offset"]) == (204, str(appended.received_bytes))
    same("GetUpload", gateway.blur.GetUpload(pb.GetUploadRequest(upload_id=start.upload_id)), f"GET {path}")
    completed = gateway.blur.CompleteUpload(pb.CompleteUploadRequest(upload_id=start.upload_id))
    same("CompleteUpload", completed, f"POST {path}/complete", status=201)
    one, other = (gateway.blur.CreateUpload(create) for _ in range(2))
    gateway.blur.DeleteUpload(pb.DeleteUploadRequest(upload_id=other.upload.upload_id))
    assert web.request("DELETE", f"/v1/uploads/{one.upload.upload_id}").status == 204
    for upload in (one, other):
        assert problem(web.get(f"/v1/uploads/{upload.upload.upload_id}"), 404)["reason"]


@compares("BlurImage", "FindRegions")
@pytest.mark.usefixtures("worker")
def test_one_image_at_once(
    gateway: Gateway, web: Web, same: Same, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(available_models, "RETRY_SECONDS", 0)
    announce(database, FindModel(kind=FindingKind.CODE, name="zxing", version="1", license="Apache-2.0"))
    code = encode(CODE, "PNG")
    spec = order_pb2.BlurSpec(find=[order_pb2.Find(kind=order_pb2.FINDING_KIND_CODE)])
    blur = pb.BlurImageRequest(image=pb.InputImage(filename="a.png", data=code, spec=spec))
    blurred = gateway.blur.BlurImage(blur)
    assert len(blurred.findings) == 1
    same("BlurImage", blurred, "POST /v1/blur", to_json(blur), Content_Type="application/json")
    same("BlurImage", blurred, "POST /v1/blur?find=codes", code, Accept="application/json")
    answer = web.request("POST", "/v1/blur?find=codes", *form({"a.png": code}))
    assert (answer.body, answer.headers["x-imageblur-findings"]) == (blurred.data, "1")
    find = pb.FindRegionsRequest(data=code, find=spec.find)
    found = gateway.blur.FindRegions(find)
    same("FindRegions", found, "POST /v1/find", to_json(find), Content_Type="application/json")
    same("FindRegions", found, "POST /v1/find?find=codes", code)


@compares("PreviewImage")
@pytest.mark.usefixtures("worker")
def test_a_preview(gateway: Gateway, web: Web, finished: Callable[[], Placed]) -> None:
    placed = finished()
    request = pb.PreviewImageRequest(order_id=placed.order_id, image_id=placed.image_id, max_side=16)
    drawn = gateway.blur.PreviewImage(request)
    answer = web.get(f"/v1/orders/{placed.order_id}/images/{placed.image_id}/preview?source=original&max_side=16")
    assert (answer.body, answer.headers["content-type"]) == (drawn.data, drawn.media_type)
    assert answer.headers["x-imageblur-width"] == str(drawn.width)


@compares("Subscribe", "ConfirmSubscription", "Unsubscribe")
def test_the_newsletter(gateway: Gateway, same: Same, database: Database) -> None:
    subscribed = gateway.subscription.Subscribe(subscriptions.SubscribeRequest(email="bob@example.org"))
    same("Subscribe", subscribed, "POST /v1/subscriptions", b'{"email": "ann@example.org"}')
    with database.read() as session:
        bob, ann = (
            session.scalars(select(Subscriber.id).where(Subscriber.email == f"{name}@example.org")).one()
            for name in ("bob", "ann")
        )
    tokens = Tokens(SECRET)
    confirm = subscriptions.ConfirmSubscriptionRequest(token=tokens.make("confirm", bob, 1))
    body = json.dumps({"token": tokens.make("confirm", ann, 1)}).encode()
    same(
        "ConfirmSubscription", gateway.subscription.ConfirmSubscription(confirm), "POST /v1/subscriptions/confirm", body
    )
    unsubscribed = gateway.subscription.Unsubscribe(subscriptions.UnsubscribeRequest(email="bob@example.org"))
    same("Unsubscribe", unsubscribed, "POST /v1/subscriptions/unsubscribe", b'{"email": "ann@example.org"}')


BAD = order_pb2.BlurSpec(gaussian=order_pb2.Gaussian(sigma_px=-1))
ORDER = f"/v1/orders/{UNKNOWN_ID}"
UPLOAD = f"/v1/uploads/{UNKNOWN_ID}"
ERRORS: list[tuple[str, Message, str, bytes | None]] = [
    ("BlurOrder", pb.BlurOrderRequest(order=pb.OrderHeader(spec=BAD, notify=True)), "POST /v1/orders", None),
    ("BlurImage", pb.BlurImageRequest(image=pb.InputImage(data=b"x", spec=BAD)), "POST /v1/blur?sigma=-1", b"x"),
    ("FindRegions", pb.FindRegionsRequest(data=b"x"), "POST /v1/find", b"x"),
    ("CreateUpload", pb.CreateUploadRequest(order=pb.OrderHeader(spec=BAD)), "POST /v1/uploads", None),
    ("GetUpload", pb.GetUploadRequest(upload_id=UNKNOWN_ID), f"GET {UPLOAD}", None),
    ("CompleteUpload", pb.CompleteUploadRequest(upload_id="x"), "POST /v1/uploads/x/complete", None),
    ("DeleteUpload", pb.DeleteUploadRequest(upload_id=UNKNOWN_ID), f"DELETE {UPLOAD}", None),
    ("Status", pb.StatusRequest(order_id="x"), "GET /v1/orders/x", None),
    ("Status", pb.StatusRequest(order_id=UNKNOWN_ID), f"GET {ORDER}", None),
    ("ListImages", pb.ListImagesRequest(order_id=UNKNOWN_ID, page_token="?"), f"GET {ORDER}/images?page_token=?", None),
    ("WatchStatus", pb.WatchStatusRequest(order_id="x"), "GET /v1/orders/x/events", None),
    ("DownloadImages", pb.DownloadImagesRequest(order_id="x", archive=True), "GET /v1/orders/x/archive", None),
    (
        "DownloadImages",
        pb.DownloadImagesRequest(order_id=UNKNOWN_ID, image_ids=[UNKNOWN_ID]),
        f"GET {ORDER}/images/{UNKNOWN_ID}",
        None,
    ),
    (
        "PreviewImage",
        pb.PreviewImageRequest(order_id=UNKNOWN_ID, image_id=UNKNOWN_ID),
        f"GET {ORDER}/images/{UNKNOWN_ID}/preview",
        None,
    ),
    ("DownloadImages", pb.DownloadImagesRequest(token="x"), "GET /v1/archive?token=x", None),
    ("SendImages", pb.SendImagesRequest(order_id=UNKNOWN_ID, email="x"), f"POST {ORDER}/send", b'{"email": "x"}'),
    ("CancelOrder", pb.CancelOrderRequest(order_id=UNKNOWN_ID), f"POST {ORDER}/cancel", None),
    ("ReviseImages", pb.ReviseImagesRequest(order_id=UNKNOWN_ID), f"POST {ORDER}/revise", None),
    ("DeleteOriginals", pb.DeleteOriginalsRequest(order_id=UNKNOWN_ID), f"DELETE {ORDER}/originals", None),
    ("DeleteOrder", pb.DeleteOrderRequest(order_id="x"), "DELETE /v1/orders/x", None),
    ("Subscribe", subscriptions.SubscribeRequest(email="x"), "POST /v1/subscriptions", None),
    (
        "ConfirmSubscription",
        subscriptions.ConfirmSubscriptionRequest(token="x"),
        "POST /v1/subscriptions/confirm",
        None,
    ),
    ("Unsubscribe", subscriptions.UnsubscribeRequest(token="x"), "POST /v1/subscriptions/unsubscribe", None),
]
"""An RPC and its request; the HTTP request, and its body unless it is the same as JSON."""


@pytest.mark.parametrize("case", ERRORS, ids=[f"{case[0]}-{number}" for number, case in enumerate(ERRORS)])
def test_errors(
    gateway: Gateway, web: Web, document: dict[str, Any], case: tuple[str, Message, str, bytes | None]
) -> None:
    rpc, message, request, body = case
    stub = gateway.blur if hasattr(gateway.blur, rpc) else gateway.subscription
    with pytest.raises(grpc.RpcError) as caught:
        _first(getattr(stub, rpc)(message))
    error = caught.value
    status = {grpc.StatusCode.INVALID_ARGUMENT: 400, grpc.StatusCode.NOT_FOUND: 404}[error.code()]
    method, path = request.split()
    found = problem(web.request(method, path, to_json(message) if body is None and method == "POST" else body), status)
    assert found["reason"] == details(error, error_details_pb2.ErrorInfo).reason  # type: ignore[attr-defined]
    named = {violation["field"]: violation["description"] for violation in found.get("violations", ())}
    assert named == (fields(error) if status == 400 else {})
    assert_as_documented(document, found, "Problem")


def _first(answer: Any) -> None:
    if not isinstance(answer, Message):
        next(answer)


def test_every_rpc_is_compared() -> None:
    rpcs = {method.name for service in SERVICES for method in service.methods}
    assert rpcs == COMPARED, "compare the answers of the RPC and of its HTTP counterpart in this module"
    without_errors = {"GetLimits", "StreamBlurOrder", "AppendUpload", "GetWebhookSecret", "RotateWebhookSecret"}
    assert rpcs == {rpc for rpc, *_ in ERRORS} | without_errors
