"""The HTTP API over a real gateway, and a real blur worker where one image is blurred at once."""

import json
import secrets
from collections.abc import Iterator
from email import policy
from email.parser import BytesParser
from io import BytesIO
from typing import Any
from uuid import uuid4

import dramatiq
import pytest
from PIL import Image

from services.blur_worker.child.pool import ChildPool
from services.blur_worker.engine import Limits, blur
from services.common.domain.spec import BlurSpec, Format, Gaussian, Region, Solid, Stroke
from tests.integration.gateway.conftest import Gateway
from tests.integration.web.conftest import HttpResponse, Web
from tests.support.blur_workers import LIMITS, instant_worker
from tests.support.images import encode, photo
from tests.support.valkey import ValkeyServer

PHOTO = encode(photo(64, 48), "JPEG")
LIMIT = Limits(max_pixels=LIMITS.max_pixels)


@pytest.fixture
def worker(
    valkey_server: ValkeyServer, web: Web, gateway: Gateway, instant_children: ChildPool
) -> Iterator[dramatiq.Worker]:
    del web  # first: its gateway empties the broker
    with instant_worker(valkey_server.url, instant_children, gateway.settings.blob_url) as worker:
        yield worker


def form(files: dict[str, bytes], **fields: str) -> tuple[bytes, dict[str, str]]:
    """A body of multipart/form-data, and its headers."""
    boundary = secrets.token_hex(8)
    parts = [f'name="{name}"\r\n\r\n{value}'.encode() for name, value in fields.items()]
    parts += [b'name="image"; filename="%s"\r\n\r\n%s' % (name.encode(), data) for name, data in files.items()]
    body = b"".join(b"--%s\r\nContent-Disposition: form-data; %s\r\n" % (boundary.encode(), part) for part in parts)
    return body + b"--%s--\r\n" % boundary.encode(), {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def problem(response: HttpResponse, status: int) -> dict[str, Any]:
    """The details of a refused request."""
    assert (response.status, response.headers["content-type"]) == (status, "application/problem+json"), response.text
    details: dict[str, Any] = json.loads(response.body)
    assert details["status"] == status
    return details


@pytest.mark.usefixtures("worker")
def test_an_image_is_blurred_at_once_as_the_engine_does(web: Web) -> None:
    body, headers = form({"a.jpg": PHOTO})
    answer = web.request("POST", "/v1/blur?sigma=3", body, headers)
    assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg"), answer.text
    assert answer.body == blur(PHOTO, BlurSpec(Gaussian(3)), LIMIT).data
    assert answer.headers["x-imageblur-check"] == "NOT_CHECKED"
    query = "/v1/blur?effect=solid&color=00ff00&region=0,0,.5,.5&ellipse=.5,.5,.2,.2&padding=.05&format=png"
    answer = web.request("POST", query, PHOTO, {"Content-Type": "image/jpeg"})
    regions = (Region("box", 0, 0, 0.5, 0.5, 0.05), Region("ellipse", 0.5, 0.5, 0.2, 0.2, 0.05))
    spec = BlurSpec(Solid("#00ff00"), regions, output_format=Format.PNG)
    assert answer.body == blur(PHOTO, spec, LIMIT).data
    query = "/v1/blur?effect=solid&polygon=0,0,1,0,.5,.5&brush=.1:.2,.8,.6,.8&feather=.1&format=png"
    answer = web.request("POST", query, PHOTO, {"Content-Type": "image/jpeg"})
    polygon = Region.polygon([(0, 0), (1, 0), (0.5, 0.5)], feather=0.1)
    brush = Region.brush([Stroke(((0.2, 0.8), (0.6, 0.8)), 0.1)], feather=0.1)
    assert answer.body == blur(PHOTO, BlurSpec(Solid(), (polygon, brush), output_format=Format.PNG), LIMIT).data
    refused = problem(web.request("POST", "/v1/blur?polygon=0,0,1", PHOTO), 400)
    assert "X,Y,X,Y,X,Y" in refused["violations"][0]["description"]
    as_json = web.request("POST", "/v1/blur?cell=8", PHOTO, {"Accept": "application/json"})
    assert json.loads(as_json.body)["width"] == 64


@pytest.mark.usefixtures("worker")
def test_a_panoramax_instance_gets_its_jpeg_with_its_metadata(web: Web) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    file = BytesIO()
    photo(64, 48).save(file, "JPEG", exif=exif)
    body, headers = form({"a.jpg": file.getvalue()})
    refused = web.request("POST", "/blur/?keep=1", body.replace(b'name="image"', b'name="picture"'), headers)
    assert "no worker can find faces" in problem(refused, 400)["detail"], "this worker has no detectors"
    # What a worker without detectors can do of it: regions instead of faces.
    query = "/v1/blur?region=0,0,.5,.5&keep_metadata=1&format=jpeg"
    answer = web.request("POST", query, body.replace(b'name="image"', b'name="picture"'), headers)
    with Image.open(BytesIO(answer.body)) as result:
        assert result.getexif()[0x010F] == "Camera"


@pytest.mark.usefixtures("worker")
def test_what_cannot_be_blurred_at_once_is_a_problem_with_its_reason(web: Web) -> None:
    assert problem(web.request("POST", "/v1/blur", b"no image"), 400)["reason"] == "NOT_AN_IMAGE"
    details = problem(web.request("POST", "/v1/blur?sigma=-1", PHOTO), 400)
    assert details["violations"][0]["field"] == "image.spec.gaussian.sigma_px"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("blr=1", "blr"),
        ("sigma=many", "sigma"),
        ("effect=fog", "effect"),
        ("find=cats", "find"),
        ("region=1,2,3", "region"),
        ("format=psd", "format"),
        ("effort=heroic", "effort"),
        ("invert=perhaps", "invert"),
        ("sigma=3&sigma=9", "sigma"),
        ("sigma=3&cell=8", "cell"),
        ("effect=solid&sigma=3", "sigma"),
        ("sigma=3&sigma_relative=0.1", "sigma_relative"),
    ],
)
def test_a_wrong_parameter_is_named(query: str, field: str, web: Web) -> None:
    details = problem(web.request("POST", f"/v1/blur?{query}", PHOTO), 400)
    assert [violation["field"] for violation in details["violations"]] == [field]


def test_what_would_be_ignored_is_refused(web: Web) -> None:
    body, headers = form({"a.jpg": PHOTO}, find="faces")
    assert problem(web.request("POST", "/v1/blur", body, headers), 400)["violations"][0]["field"] == "find"
    body, headers = form({"a.jpg": PHOTO, "b.jpg": PHOTO})
    assert "at most 1" in problem(web.request("POST", "/v1/blur", body, headers), 413)["detail"]
    json_body = {"Content-Type": "application/json"}
    for path in ("/v1/blur", "/v1/find", "/v1/orders"):
        details = problem(web.request("POST", f"{path}?find=faces", b"{}", json_body), 400)
        assert "find" in details["detail"]


def test_an_image_is_required(web: Web) -> None:
    assert problem(web.request("POST", "/v1/blur"), 400)["violations"][0]["field"] == "image"
    body, headers = form({})
    assert problem(web.request("POST", "/v1/blur", body, headers), 400)["violations"][0]["field"] == "image"


def test_an_order_from_placing_to_deleting(web: Web) -> None:
    body, headers = form({"a.jpg": PHOTO, "b.png": encode(photo(8, 8), "PNG")}, email="ann@example.org")
    placed = web.request("POST", "/v1/orders?sigma=3", body, headers)
    assert placed.status == 201, placed.text
    order = json.loads(placed.body)["order"]
    path = f"/v1/orders/{order['order_id']}"
    assert (order["state"], order["counts"]["total"]) == ("ORDER_STATE_QUEUED", 2)
    status = json.loads(web.get(f"{path}?view=full").body)
    assert [image["filename"] for image in status["images"]] == ["a.jpg", "b.png"]
    page = json.loads(web.get(f"{path}/images?page_size=1&state=queued").body)
    assert (len(page["images"]), page["next_page_token"] != "") == (1, True)
    assert problem(web.request("POST", f"{path}/send"), 409)["reason"] == "ORDER_NOT_FINISHED"
    sent = json.loads(web.request("POST", f"{path}/send", b'{"when_ready": true}').body)
    assert sent["delivery"]["state"] == "DELIVERY_STATE_WAITING"
    cancelled = json.loads(web.request("POST", f"{path}/cancel").body)
    assert cancelled["order"]["state"] == "ORDER_STATE_CANCELLED"
    events = web.get(f"{path}/events")
    assert events.headers["content-type"].startswith("text/event-stream")
    lines = events.text.splitlines()
    change = json.loads(next(line for line in lines if line.startswith("data: ")).removeprefix("data: "))
    assert change["order"]["state"] == "ORDER_STATE_CANCELLED"
    assert "event: end" in lines
    image_id = status["images"][0]["image_id"]
    assert problem(web.get(f"{path}/images/{image_id}"), 409)["reason"] == "IMAGE_NOT_SUCCEEDED"
    assert web.request("DELETE", path).status == 200
    assert problem(web.get(path), 404)["reason"]


def test_an_order_without_an_address_gets_one_when_it_is_sent(web: Web) -> None:
    body, headers = form({"a.jpg": PHOTO})
    order = json.loads(web.request("POST", "/v1/orders", body, headers).body)["order"]
    send = f"/v1/orders/{order['order_id']}/send"
    assert order["email_hint"] == ""
    assert problem(web.request("POST", send, b'{"when_ready": true}'), 409)["reason"] == "EMAIL_REQUIRED"
    sent = web.request("POST", send, b'{"when_ready": true, "email": "ann@example.org"}')
    assert json.loads(sent.body)["delivery"]["state"] == "DELIVERY_STATE_WAITING"
    body, headers = form({"a.jpg": PHOTO}, notify="1")
    details = problem(web.request("POST", "/v1/orders", body, headers), 400)
    assert details["violations"][0]["field"] == "order.email"


def test_an_order_as_json(web: Web) -> None:
    order = {
        "order": {"email": "ann@example.org", "spec": {"solid": {"color": "#ff0000"}}, "request_id": str(uuid4())},
        "images": [{"filename": "a.jpg", "data": "aGk="}],
    }
    first, again = (web.request("POST", "/v1/orders", json.dumps(order).encode()) for _ in range(2))
    assert (first.status, again.status) == (201, 201), first.text
    assert json.loads(first.body)["order"]["order_id"] == json.loads(again.body)["order"]["order_id"]
    details = problem(web.request("POST", "/v1/orders", b'{"order": {"e_mail": "x"}}'), 400)
    assert "e_mail" in details["detail"]


def test_subscriptions(web: Web) -> None:
    subscribed = web.request("POST", "/v1/subscriptions", b'{"email": "ann@example.org"}')
    assert json.loads(subscribed.body) == {"confirmation_required": True}
    details = problem(web.request("POST", "/v1/subscriptions/confirm", b'{"token": "rubbish"}'), 400)
    assert details["reason"] == "INVALID_TOKEN"


def test_limits_and_unknown_fields(web: Web) -> None:
    assert json.loads(web.get("/v1/limits").body)["formats"][0] == "IMAGE_FORMAT_JPEG"
    assert "colour" in problem(web.get("/v1/limits?colour=red"), 400)["detail"]


def test_what_is_not_there_is_a_problem_too(web: Web) -> None:
    assert problem(web.get("/v1/nothing", Accept="text/html"), 404)["reason"] == "NOT_FOUND"
    assert problem(web.get("/v1/blur"), 405)["reason"] == "METHOD_NOT_ALLOWED"


def test_the_openapi_document_is_served(web: Web) -> None:
    answer = web.get("/v1/openapi.json")
    assert json.loads(answer.body)["openapi"] == "3.1.0"
    assert web.get("/v1/openapi.json", If_None_Match=answer.headers["etag"]).status == 304


def test_a_wrong_key_is_refused_as_by_grpc(web: Web) -> None:
    details = problem(web.get("/v1/limits", Authorization="Bearer ib_wrong"), 401)
    assert details["reason"] == "API_KEY_INVALID"


def test_the_parts_of_a_panoramax_answer() -> None:
    from imageblur.v1.blur_service_pb2 import BlurImageResponse

    from services.web.api.instant import _with_metadata

    response = _with_metadata(BlurImageResponse(data=PHOTO, media_type="image/jpeg"))
    head = f"Content-Type: {response.media_type}\r\n\r\n".encode()
    form = BytesParser(policy=policy.HTTP).parsebytes(head + bytes(response.body))
    by_name = {part["content-disposition"].params["name"]: part for part in form.iter_parts()}
    assert by_name["image"].get_payload(decode=True) == PHOTO
    assert json.loads(by_name["metadata"].get_content()) == {
        "blurring_id": "",
        "service_name": "ImageBlur",
        "annotations": [],
    }
