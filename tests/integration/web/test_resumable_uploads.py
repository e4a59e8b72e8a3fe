"""Uploads over HTTP as in tus, of programs and of the order form's script; lines that are cut in a body."""

import base64
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from imageblur.v1 import blur_service_pb2 as pb

from tests.integration.gateway.conftest import Gateway
from tests.integration.web.conftest import HttpResponse, Web
from tests.support.ports import free_port
from tests.support.waiting import eventually

FILES = {"a.jpg": b"a" * 300_000, "b.jpg": b"b" * 500_000}
WHOLE = b"".join(FILES.values())
UNKNOWN = "00000000-0000-4000-8000-000000000000"


def create(web: Web, path: str = "/v1/uploads", request_id: str = "") -> str:
    """Create an upload with the API, or with the page's manifest; return its path."""
    if path == "/v1/uploads":
        images = [{"filename": name, "size_bytes": len(data)} for name, data in FILES.items()]
        body: Any = {"order": {"email": "a@example.org", "request_id": request_id}, "images": images}
    else:
        images = [{"name": name, "size": len(data), "spec": None} for name, data in FILES.items()]
        body = {"email": "a@example.org", "notify": False, "request_id": request_id, "spec": {}, "images": images}
    response = web.request("POST", path, json.dumps(body).encode())
    assert response.status == 201, response.text
    return response.headers.get("location") or str(json.loads(response.body)["upload"])


def patch(web: Web, path: str, offset: int, data: bytes, **more: str) -> HttpResponse:
    headers = {
        "Content-Type": "application/offset+octet-stream",
        "Upload-Offset": str(offset),
        "Tus-Resumable": "1.0.0",
    }
    return web.request("PATCH", path, data, headers | more)


def head(web: Web, path: str) -> int:
    method = "HEAD" if path.startswith("/v1/") else "GET"
    response = web.request(method, path)
    assert response.status == 200
    assert response.headers["cache-control"] == "no-store"
    return int(response.headers["upload-offset"])


@pytest.mark.parametrize("api", ["/v1/uploads", "/api/uploads"])
def test_an_order_in_several_requests(web: Web, gateway: Gateway, api: str) -> None:
    request_id = str(uuid4())
    path = create(web, api, request_id)
    assert head(web, path) == 0
    response = patch(web, path, 0, WHOLE[:350_000])
    assert (response.status, response.headers["upload-offset"]) == (204, "350000"), response.text
    assert response.headers["upload-expires"].endswith(" GMT")
    assert create(web, api, request_id) == path
    assert head(web, path) == 350_000
    assert patch(web, path, 0, WHOLE).status == 409
    early = web.request("POST", f"{path}/complete")
    assert early.status == 409
    assert patch(web, path, 350_000, WHOLE[350_000:]).status == 204
    for _ in range(2):
        done = web.request("POST", f"{path}/complete")
        assert done.status == 201, done.text
    order_id = path.rpartition("/")[2]
    assert order_id in done.text
    assert web.get(f"/orders/{order_id}").status == 200
    if api == "/v1/uploads":
        assert json.loads(web.get(path).body)["upload"]["completed"]
    else:
        assert json.loads(web.get(path).body)["order"] == f"/orders/{order_id}"
    assert sorted(path.read_bytes() for path in gateway.files()) == list(FILES.values())


@pytest.mark.parametrize("api", ["/v1/uploads", "/api/uploads"])
def test_a_line_that_is_cut_costs_nothing_that_arrived(web: Web, api: str) -> None:
    path = create(web, api)
    with socket.create_connection(("127.0.0.1", web.port)) as line:
        line.sendall(begin_of_patch(path) + WHOLE[:700_000])
    eventually(lambda: head(web, path) == 700_000)
    assert patch(web, path, 700_000, WHOLE[700_000:]).headers["upload-offset"] == str(len(WHOLE))


def test_another_web_process_goes_on_when_one_is_killed_in_a_body(gateway: Gateway) -> None:
    address = f"127.0.0.1:{free_port()}"
    environment = os.environ | {
        "IMAGEBLUR_WEB_ADDRESS": address,
        "IMAGEBLUR_WEB_METRICS_PORT": "0",
        "IMAGEBLUR_GATEWAY_URL": f"http://127.0.0.1:{gateway.port}",
        "IMAGEBLUR_MAILBOX_DIR": "",
    }
    web, path = Web(int(address.rpartition(":")[2])), ""

    @contextmanager
    def running_web() -> Iterator[subprocess.Popen[bytes]]:
        process = subprocess.Popen([sys.executable, "-m", "services.web"], env=environment)
        try:
            eventually(lambda: answers(web), within=60)
            yield process
        finally:
            process.kill()
            process.wait()

    with running_web() as process:
        path = create(web, "/api/uploads")
        with socket.create_connection(("127.0.0.1", web.port)) as line:
            line.sendall(begin_of_patch(path) + WHOLE[:700_000])
            eventually(lambda: len(gateway.files()) > 1)  # the first image
            process.kill()
    # The gateway records what it has as soon as it notices.
    request = pb.GetUploadRequest(upload_id=path.rpartition("/")[2])
    eventually(lambda: gateway.blur.GetUpload(request).upload.received_bytes >= len(FILES["a.jpg"]))
    with running_web():
        offset = head(web, path)
        assert offset >= len(FILES["a.jpg"])
        assert patch(web, path, offset, WHOLE[offset:]).status == 204
        assert web.request("POST", f"{path}/complete").status == 201
    assert sorted(path.read_bytes() for path in gateway.files()) == list(FILES.values())


def answers(web: Web) -> bool:
    try:
        return web.get("/health").status == 200
    except OSError:
        return False


def begin_of_patch(path: str) -> bytes:
    return (
        f"PATCH {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/offset+octet-stream\r\n"
        f"Upload-Offset: 0\r\nContent-Length: {len(WHOLE)}\r\n\r\n"
    ).encode()


def test_an_upload_as_tus_creates_it(web: Web) -> None:
    options = web.request("OPTIONS", "/v1/uploads")
    assert options.status == 204
    assert options.headers["tus-version"] == "1.0.0"
    assert options.headers["tus-extension"] == "creation,expiration,termination"
    assert options.headers["tus-max-size"] == "2000000"
    name, address = (base64.b64encode(text.encode()).decode() for text in ("фото.jpg", "a@example.org"))
    headers = {
        "Tus-Resumable": "1.0.0",
        "Upload-Length": "5",
        "Upload-Metadata": f"filename {name},email {address}, notify",
    }
    created = web.request("POST", "/v1/uploads?sigma=3", b"", headers)
    assert created.status == 201, created.text
    path = created.headers["location"]
    assert patch(web, path, 0, b"12345").headers["upload-offset"] == "5"
    assert web.request("POST", f"{path}/complete").status == 201
    images = json.loads(web.get(f"/v1/orders/{path.rpartition('/')[2]}/images").body)["images"]
    assert [image["filename"] for image in images] == ["фото.jpg"]


def test_a_deleted_upload_is_gone(web: Web, gateway: Gateway) -> None:
    for api in ("/v1/uploads", "/api/uploads"):
        path = create(web, api)
        patch(web, path, 0, WHOLE[:400_000])
        assert web.request("DELETE", path).status == 204
        assert web.get(path).status == 404
        assert patch(web, path, 400_000, b"x").status == 404
    assert gateway.files() == []


def test_wrong_requests_are_refused_by_name(web: Web) -> None:
    path = create(web)
    assert patch(web, path, 0, b"x", **{"Tus-Resumable": "0.2.2"}).status == 412
    assert patch(web, path, 0, b"x", **{"Content-Type": "text/plain"}).status == 415
    assert patch(web, path, 0, b"x", **{"Upload-Offset": "-1"}).status == 400
    for body, field in (
        ({"order": {"email": "?"}, "images": [{"size_bytes": 1}]}, "order.email"),
        ({"order": {}, "images": [{"filename": "a.jpg"}]}, "images[0].size_bytes"),
        ({"order": {}, "images": []}, "images"),
    ):
        refused = web.request("POST", "/v1/uploads", json.dumps(body).encode())
        assert refused.status == 400
        assert field in [violation["field"] for violation in json.loads(refused.body)["violations"]]
    for metadata, length in (("filename ?", "5"), ("", "x")):
        headers = {"Upload-Length": length, "Upload-Metadata": metadata}
        assert web.request("POST", "/v1/uploads", b"", headers).status == 400
    page = {
        "email": "a@example.org",
        "notify": False,
        "request_id": "",
        "spec": {},
        "images": [{"name": "a", "size": 0}],
    }
    refused = web.request("POST", "/api/uploads", json.dumps(page).encode(), {"Accept-Language": "en"})
    assert refused.status == 400
    assert json.loads(refused.body)["violations"][0]["image"] == 0
    assert "empty" in json.loads(refused.body)["violations"][0]["message"]
    assert web.request("POST", "/api/uploads", b"[]").status == 400
    missing = web.request("POST", f"/api/uploads/{UNKNOWN}/complete", headers={"Accept-Language": "en"})
    assert (missing.status, "Upload not found" in missing.text) == (404, True)
