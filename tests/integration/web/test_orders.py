"""Orders from the script and from plain forms; refused orders leave nothing behind."""

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from imageblur.v1 import blur_service_pb2 as pb
from pydantic import SecretStr

from services.gateway.settings import GatewaySettings
from services.web.orders import manifest as manifests
from services.web.settings import WebSettings
from tests.integration.gateway.conftest import Gateway, running
from tests.integration.web.conftest import HttpResponse, Web, serving
from tests.support.waiting import eventually

FILES = [b"first" * 1000, b"second" * 50_000]


def manifest(**changes: Any) -> dict[str, Any]:
    return {
        "email": "ann@example.org",
        "notify": False,
        "request_id": str(uuid4()),
        "spec": {"effect": "gaussian", "strength": 2},
        "images": [{"name": f"{number}.jpg", "size": len(data), "spec": None} for number, data in enumerate(FILES)],
    } | changes


def framed(content: dict[str, Any], *files: bytes) -> bytes:
    head = json.dumps(content).encode()
    return len(head).to_bytes(4) + head + b"".join(files)


def upload(web: Web, body: bytes, **headers: str) -> HttpResponse:
    return web.request("POST", "/api/orders", body, headers)


def form(*files: tuple[str, bytes], **fields: str) -> tuple[bytes, dict[str, str]]:
    parts = [f'form-data; name="{name}"\r\n\r\n{value}'.encode() for name, value in fields.items()]
    parts += [f'form-data; name="images"; filename="{name}"\r\n\r\n'.encode() + data for name, data in files]
    body = b"".join(b"--x0x\r\nContent-Disposition: " + part + b"\r\n" for part in parts) + b"--x0x--\r\n"
    return body, {"Content-Type": "multipart/form-data; boundary=x0x"}


def test_an_order_is_stored_as_it_was_sent(web: Web, gateway: Gateway) -> None:
    region = {"shape": "box", "left": 0.1, "top": 0.1, "width": 0.2, "height": 0.2}
    order = manifest()
    order["images"][1]["spec"] = {"effect": "solid", "color": "#ff0000", "regions": [region]}
    answer = upload(web, framed(order, *FILES))
    assert answer.status == 201, answer.text
    address = json.loads(answer.body)["order"]
    images = gateway.blur.ListImages(pb.ListImagesRequest(order_id=address.removeprefix("/orders/"))).images
    assert [(image.filename, image.input_bytes) for image in images] == [("0.jpg", 5000), ("1.jpg", 300_000)]
    assert sorted(path.read_bytes() for path in gateway.files()) == sorted(FILES)
    page = web.get(address)
    assert "0.jpg" in page.text
    assert "Queued" in page.text
    again = upload(web, framed(order, *FILES))
    assert json.loads(again.body)["order"] == address, "the same request twice is one order"


def test_violations_name_the_file_and_are_in_the_visitors_language(web: Web, gateway: Gateway) -> None:
    order = manifest(email="nobody")
    order["images"][1]["name"] = "n" * 256
    body = json.dumps(order).encode()
    answer = web.request("POST", "/api/orders/check", body, {"Accept-Language": "ru"})
    assert answer.status == 400
    messages = {(v["image"], v["field"]): v["message"] for v in json.loads(answer.body)["violations"]}
    assert messages == {
        (None, "email"): "Введите адрес электронной почты, например name@example.com.",
        (1, "filename"): "Имя файла слишком длинное. Переименуйте файл и добавьте его снова.",
    }
    assert web.request("POST", "/api/orders/check", json.dumps(manifest()).encode()).status == 200
    assert not gateway.files()


def test_a_refusal_in_the_middle_of_a_large_upload_can_be_read(web: Web, gateway: Gateway) -> None:
    large = b"x" * 30_000_000  # more than the gateway of this test takes of an image, and than sockets hold
    order = manifest(images=[{"name": "a.jpg", "size": len(large)}, {"name": "b.jpg", "size": 1}])
    answer = upload(web, framed(order, large, b"x"))
    assert answer.status == 400
    (violation,) = json.loads(answer.body)["violations"]
    assert (violation["image"], violation["field"]) == (0, "data")
    eventually(lambda: not gateway.files())


def test_a_check_with_many_regions_delays_nobody(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    parse, parsing, answered = manifests.parse, threading.Event(), threading.Event()

    def parse_slowly(text: bytes, language: str) -> manifests.Manifest:
        parsing.set()
        assert answered.wait(20)
        return parse(text, language)

    monkeypatch.setattr(manifests, "parse", parse_slowly)
    region = {"shape": "box", "left": 0.1, "top": 0.1, "width": 0.2, "height": 0.2}
    image = {"name": "a.jpg", "size": 1, "spec": {"effect": "solid", "color": "#ff0000", "regions": [region] * 100}}
    with ThreadPoolExecutor(1) as pool:
        body = json.dumps(manifest(images=[image] * 201)).encode()
        check = pool.submit(web.request, "POST", "/api/orders/check", body)
        assert parsing.wait(20)
        assert web.get("/newsletter").status == 200
        answered.set()
        answer = check.result(20)
    assert answer.status == 413, answer.text
    assert "too large" in json.loads(answer.body)["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0\0",
        b"\xff\xff\xff\xff",
        framed({"no": "manifest"}),
        framed(manifest(), FILES[0]),
        framed(manifest(images=[]), b""),
    ],
)
def test_broken_uploads_leave_nothing(web: Web, gateway: Gateway, body: bytes) -> None:
    assert upload(web, body).status == 400
    eventually(lambda: not gateway.files())


def test_a_disconnected_browser_leaves_nothing(web: Web, gateway: Gateway) -> None:
    body = framed(manifest(), *FILES)
    with socket.create_connection(("127.0.0.1", web.port)) as connection:
        head = f"POST /api/orders HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body[:200_000])
        eventually(gateway.files)
    eventually(lambda: not gateway.files())


def test_a_plain_form_places_an_order(web: Web, gateway: Gateway) -> None:
    body, headers = form(("a b.jpg", FILES[0]), ("c.jpg", FILES[1]), email="ann@example.org", effect="pixelate")
    answer = web.request("POST", "/orders", body, headers)
    assert answer.status == 303
    order_id = answer.headers["location"].removeprefix("/orders/")
    images = gateway.blur.ListImages(pb.ListImagesRequest(order_id=order_id)).images
    assert [(image.filename, image.input_bytes) for image in images] == [("a b.jpg", 5000), ("c.jpg", 300_000)]


@pytest.mark.parametrize(
    ("files", "fields", "status", "text"),
    [
        ([], {"email": "ann@example.org"}, 400, "Add at least one image"),
        ([("a.jpg", b"x")], {"email": "nobody", "notify": "on"}, 400, "Enter a valid e-mail address"),
        ([("a.jpg", b"x"), ("empty.jpg", b"")], {"email": "ann@example.org"}, 400, "<strong>empty.jpg</strong>"),
        ([("a.jpg", b"x")] * 6, {"email": "ann@example.org"}, 413, "The upload is too large"),
        ([("a.jpg", b"x")], {"email": "ann@example.org", "effect": "melt"}, 400, "Invalid request"),
    ],
)
def test_an_invalid_plain_form_explains_why(
    web: Web, files: list[tuple[str, bytes]], fields: dict[str, str], status: int, text: str
) -> None:
    body, headers = form(*files, **fields)
    answer = web.request("POST", "/orders", body, headers)
    assert answer.status == status
    assert text in answer.text


def test_the_number_of_forms_on_disk_is_limited(web: Web, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    body, headers = form(("a.jpg", b"x"), email="ann@example.org")
    monkeypatch.setattr("services.web.orders.form.MAX_FORMS", 0)
    assert web.request("POST", "/orders", body, headers | {"Accept": "text/html"}).status == 503
    monkeypatch.undo()
    assert web.request("POST", "/orders", body, headers).status == 303
    assert gateway.files()


def test_a_stalled_upload_times_out(web: Web, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.web.orders.body_reader.STALL_SECONDS", 0.2)
    body = framed(manifest(), *FILES)
    with socket.create_connection(("127.0.0.1", web.port), timeout=20) as connection:
        head = f"POST /api/orders HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body[:1000])
        assert b" 400 " in connection.recv(1000).splitlines()[0]
    eventually(lambda: not gateway.files())


def test_a_visitor_over_the_limit_does_not_block_others(settings: GatewaySettings) -> None:
    secret = SecretStr("s" * 32)
    limited = settings.model_copy(update={"max_orders_per_minute": 2, "visitor_secret": secret})
    body = json.dumps(manifest()).encode()
    with running(limited) as gateway:
        web_settings = WebSettings(
            web_address="127.0.0.1:0",
            gateway_url=f"http://127.0.0.1:{gateway.port}",
            visitor_secret=secret,
            trusted_proxies="127.0.0.0/8",
        )
        with serving(web_settings) as web:
            one, two = {"X-Forwarded-For": "192.0.2.1"}, {"X-Forwarded-For": "192.0.2.2"}
            codes = [web.request("POST", "/api/orders/check", body, one).status for _ in range(4)]
            assert codes == [200, 200, 503, 503]
            assert web.request("POST", "/api/orders/check", body, two).status == 200
