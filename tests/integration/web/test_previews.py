"""Previews for the order form: parts over HTTP from a real gateway, broker and blur worker, within limits."""

import http.client
import json
import socket
from collections.abc import Iterator

import dramatiq
import pytest
import redis

from services.blur_worker.child.pool import ChildPool
from services.common.infra.messaging.messages import INSTANT_QUEUE
from services.gateway.settings import GatewaySettings
from services.web.orders import previews
from tests.integration.gateway.conftest import Gateway
from tests.integration.web.conftest import Web
from tests.support.blur_workers import instant_worker
from tests.support.images import encode, opened, oriented, photo
from tests.support.waiting import eventually

PHOTO = encode(photo(), "JPEG", exif=oriented(6))


@pytest.fixture
def settings(settings: GatewaySettings) -> GatewaySettings:
    """Images may be larger than messages."""
    return settings.model_copy(update={"max_image_bytes": 3_000_000, "max_order_bytes": 6_000_000})


@pytest.fixture
def worker(web: Web, gateway: Gateway, instant_children: ChildPool) -> Iterator[dramatiq.Worker]:
    assert web.port
    settings = gateway.settings
    with instant_worker(settings.broker_url, instant_children, settings.blob_url) as worker:
        yield worker


def parts(body: bytes) -> list[tuple[dict[str, object], bytes]]:
    """Return the parts of an answer."""
    found = []
    while body:
        length = int.from_bytes(body[:4])
        head = json.loads(body[4 : 4 + length])
        begin = 4 + length
        found.append((head, body[begin : begin + head["bytes"]]))
        body = body[begin + head["bytes"] :]
    return found


def preview(web: Web, query: str = "", data: bytes = PHOTO, **headers: str) -> list[tuple[dict[str, object], bytes]]:
    answer = web.request("POST", f"/api/preview?{query}", data, headers)
    assert answer.status == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return parts(answer.body)


@pytest.mark.usefixtures("worker")
def test_the_picture_is_the_engine_s(web: Web) -> None:
    ((view, picture),) = preview(web)
    assert (view["part"], view["width"], view["height"], view["type"]) == ("view", 64, 96, "image/jpeg")
    assert opened(picture).size == (64, 96)


@pytest.mark.usefixtures("worker")
def test_what_cannot_be_shown_is_explained_in_the_visitor_s_language(web: Web) -> None:
    ((problem, _),) = preview(web, data=b"no image", **{"Accept-Language": "ru"})
    assert (problem["part"], problem["reason"], problem["retry_after"]) == ("problem", "NOT_AN_IMAGE", None)
    assert str(problem["message"]).startswith("Это не изображение")
    # No worker of this test has detectors: the picture is there all the same.
    (view, _), (problem, _) = preview(web, "find=faces")
    assert (view["part"], problem["part"]) == ("view", "problem")


@pytest.mark.parametrize("query", ["find=cats", "find=faces&find_padding=x", "format=EXE"])
def test_a_query_that_nobody_sends_is_refused(web: Web, query: str) -> None:
    assert web.request("POST", f"/api/preview?{query}", PHOTO).status == 400


@pytest.mark.usefixtures("worker")
def test_a_file_larger_than_a_message_is_shown_and_nothing_of_it_is_kept(web: Web, gateway: Gateway) -> None:
    width = gateway.settings.max_message_bytes // 3000 + 50
    large = encode(photo(width, 1000), "BMP")
    assert len(large) > gateway.settings.max_message_bytes
    ((view, picture),) = preview(web, data=large)
    assert (view["width"], view["height"]) == (width, 1000)
    assert opened(picture).size == (width, 1000)
    eventually(lambda: gateway.files() == [])
    ((problem, _),) = preview(web, data=bytes(len(large)))
    assert problem["reason"] == "NOT_AN_IMAGE"
    eventually(lambda: gateway.files() == [])


def test_a_file_larger_than_an_image_may_be_is_refused(web: Web, gateway: Gateway) -> None:
    answer = web.request("POST", "/api/preview", b"x", {"Content-Length": str(gateway.settings.max_image_bytes + 1)})
    assert answer.status == 413
    assert "too large" in answer.text


def test_a_visitor_who_goes_away_in_a_large_file_leaves_nothing(web: Web, gateway: Gateway) -> None:
    size = gateway.settings.max_message_bytes + 1
    connection = begun(web, size)
    connection.sendall(bytes(size // 2))
    eventually(lambda: len(gateway.files()) > 0)
    connection.close()
    eventually(lambda: gateway.files() == [])


def test_other_sites_cannot_ask(web: Web) -> None:
    assert web.request("POST", "/api/preview", PHOTO, {"Sec-Fetch-Site": "cross-site"}).status == 403


def test_files_in_memory_are_limited_and_given_up_with_their_visitor(web: Web, valkey: redis.Redis) -> None:
    slow = [begun(web) for _ in range(previews.MAX_OF_A_VISITOR)]
    eventually(lambda: web.request("POST", "/api/preview", PHOTO).status == 503)
    for connection in slow:
        connection.close()
    eventually(lambda: web.request("POST", "/api/preview?view=0", PHOTO).status == 200)
    # Without a worker, a call waits: it is withdrawn as soon as nobody wants its answer.
    waiting = connection_of(web, PHOTO)
    eventually(lambda: valkey.llen(f"dramatiq:{INSTANT_QUEUE}") == 1)
    waiting.close()
    eventually(lambda: valkey.llen(f"dramatiq:{INSTANT_QUEUE}") == 0)


def begun(web: Web, size: int = 1000) -> socket.socket:
    """Begin a request whose body does not end."""
    connection = socket.create_connection(("127.0.0.1", web.port), 10)
    connection.sendall(b"POST /api/preview HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\nx" % size)
    return connection


def connection_of(web: Web, data: bytes) -> http.client.HTTPConnection:
    """Send a request without reading its answer."""
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=10)
    connection.request("POST", "/api/preview", data)
    return connection
