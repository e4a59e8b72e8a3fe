"""The pages hand on what comes and goes, and keep none of it in memory."""

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from imageblur_client import Client
from PIL import Image

from services.stack.background import BackgroundStack
from tests.support.memory import peak, web_process

LARGE = 60_000_000
MOST = 40_000_000
"""Growth allowed: a little more than half of the large file, and less than two of its copies would take."""
BOUNDARY = b"x0x"


SMALL = b"no image" * 1000


def manifest(path: Path, count: int) -> bytes:
    """An order of the file, then of many small ones."""
    images = [{"name": path.name, "size": path.stat().st_size, "spec": None}]
    images += [{"name": f"{number}.jpg", "size": len(SMALL), "spec": None} for number in range(count)]
    values = {"email": "large@example.org", "notify": False, "request_id": str(uuid4()), "spec": {}, "images": images}
    return json.dumps(values).encode()


def as_script(path: Path, count: int) -> Iterator[bytes]:
    """The order in one request."""
    head = manifest(path, count)
    yield len(head).to_bytes(4) + head
    yield from content(path)
    yield from [SMALL] * count


def as_upload(path: Path, count: int) -> Iterator[bytes]:
    """The bytes of the order, as the page's script sends them."""
    yield from content(path)
    yield from [SMALL] * count


def as_form(path: Path, count: int) -> Iterator[bytes]:
    """The same without scripts."""
    yield b'--x0x\r\nContent-Disposition: form-data; name="email"\r\n\r\nlarge@example.org\r\n'
    start = b'--x0x\r\nContent-Disposition: form-data; name="images"; filename="%d.bmp"\r\n\r\n'
    yield start % 0
    yield from content(path)
    for number in range(count):
        yield b"\r\n" + start % (number + 1) + b"no image" * 1000
    yield b"\r\n--x0x--\r\n"


def content(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(1 << 16):
            yield chunk


@pytest.mark.parametrize("how", [as_script, as_form, as_upload])
def test_large_orders_come_and_go_in_flat_memory(
    stack: BackgroundStack, client: Client, tmp_path: Path, how: object
) -> None:
    large = tmp_path / "large.bmp"
    Image.new("RGB", (5000, LARGE // 15_000), "teal").save(large)
    process = web_process(stack)
    before = process.memory_info().rss
    connection = http.client.HTTPConnection(urlsplit(stack.web).netloc, timeout=100)
    with peak(process) as seen:
        if how is as_script:
            connection.request("POST", "/api/orders", as_script(large, 300), encode_chunked=True)
            address = json.loads(connection.getresponse().read())["order"]
        elif how is as_upload:
            connection.request("POST", "/api/uploads", manifest(large, 300))
            upload = json.loads(connection.getresponse().read())["upload"]
            headers = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
            connection.request("PATCH", upload, as_upload(large, 300), headers, encode_chunked=True)
            response = connection.getresponse()
            assert (response.status, response.read()) == (204, b"")
            connection.request("POST", f"{upload}/complete")
            address = json.loads(connection.getresponse().read())["order"]
        else:
            headers = {"Content-Type": "multipart/form-data; boundary=x0x"}
            connection.request("POST", "/orders", as_form(large, 300), headers, encode_chunked=True)
            response = connection.getresponse()
            response.read()
            address = response.headers["Location"]
        order_id = address.rpartition("/")[2]
        *_, last = client.watch(order_id)
        assert (last.order.counts.succeeded, last.order.counts.failed) == (1, 300)
        connection.request("GET", f"{address}/archive")
        response = connection.getresponse()
        received = 0
        while piece := response.read(1 << 20):
            received += len(piece)
    connection.close()
    client.delete(order_id)
    assert received > LARGE
    assert seen[0] - before < MOST
