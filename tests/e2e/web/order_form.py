"""What a visitor does on the order form: choose files, mark, send; and what comes of it."""

import io
import json
import re
import zipfile
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from imageblur.v1.order_pb2 import Finding
from imageblur_client import Client
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import FilePayload, Page, Request, expect

from tests.e2e.conftest import PHOTOGRAPHS
from tests.support.images import encode
from tests.support.waiting import eventually

FIND_MARK = """() => {
  const canvas = document.getElementById("preview");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const box = [canvas.width, canvas.height, 0, 0];
  for (let y = 0; y < canvas.height; y += 1) for (let x = 0; x < canvas.width; x += 1) {
    const [red, green, blue] = data.subarray((y * canvas.width + x) * 4);
    if (red <= 150 || green >= 90 || blue >= 90) continue;
    box[0] = Math.min(box[0], x); box[1] = Math.min(box[1], y);
    box[2] = Math.max(box[2], x + 1); box[3] = Math.max(box[3], y + 1);
  }
  return [box[0] / canvas.width, box[1] / canvas.height, box[2] / canvas.width, box[3] / canvas.height];
}"""
"""The edges of the mark in what the page shows, as fractions of it."""


def payload(name: str, data: bytes) -> FilePayload:
    return FilePayload(name=name, mimeType="application/octet-stream", buffer=data)


def select(page: Page, files: list[FilePayload]) -> None:
    page.goto("/")
    page.set_input_files("#files", files)
    expect(page.locator("#preview")).to_be_visible()


def show(page: Page, name: str) -> None:
    """Select an image for preview, and wait until it is shown."""
    page.get_by_role("button", name=f"Select {name} for preview", exact=True).click()
    expect(page.locator("#preview")).to_have_attribute("aria-label", f"Preview of {name}")


class Pointer:
    """A mouse over the preview, in fractions of it."""

    def __init__(self, page: Page) -> None:
        page.locator("#overlay").scroll_into_view_if_needed()
        box = page.locator("#overlay").bounding_box()
        assert box
        self._page, self._box = page, box

    def at(self, x: float, y: float) -> tuple[float, float]:
        box = self._box
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    def click(self, x: float, y: float) -> None:
        self._page.mouse.click(*self.at(x, y))

    def drag(self, *points: tuple[float, float]) -> None:
        mouse = self._page.mouse
        mouse.move(*self.at(*points[0]))
        mouse.down()
        for point in points[1:]:
            mouse.move(*self.at(*point), steps=4)
        mouse.up()


def place(page: Page) -> str:
    """Submit the form, wait until the order has finished, and return its id."""
    page.uncheck("[name=notify]")
    page.click("#submit")
    page.wait_for_url("**/orders/*")
    expect(page.locator(".summary.succeeded")).to_be_visible(timeout=120_000)
    return page.url.rpartition("/")[2]


def reload_until(page: Page, selector: str) -> None:
    """Follow the link that reloads an order's page without scripts, until something is there."""

    def there() -> bool:
        if page.locator(selector).count():
            return True
        with page.expect_navigation():
            page.get_by_role("link", name="Reload").click()
        return False

    eventually(there, within=120, every=0.2)


def results(page: Page) -> Mapping[str, bytes]:
    """Return the results of the order on the page, by their names in the archive."""
    with page.expect_download() as download:
        page.locator("a[href*='/archive']").first.click()
    with zipfile.ZipFile(download.value.path()) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name.startswith("blur_")}


def pixels(data: bytes) -> NDArray[np.int64]:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB")).astype(np.int64)


def manifests_of(page: Page) -> list[dict[str, Any]]:
    """Return the list to which the manifests go that the page sends."""
    sent: list[dict[str, Any]] = []

    def look(request: Request) -> None:
        if request.url.endswith("/api/uploads"):
            sent.append(json.loads(request.post_data or ""))

    page.on("request", look)
    return sent


def wait_finds_faces(client: Client) -> None:
    """Wait until the form offers to find faces; skips the test where nobody can. Workers announce what they can."""
    if find_spec("onnxruntime") is None:
        pytest.skip("no package that finds faces is installed")
    eventually(lambda: client.limits().find_models, within=120, every=0.2)


@pytest.fixture
def two_faces(client: Client) -> bytes:
    """A picture with the same face twice, which the form offers to find."""
    wait_finds_faces(client)
    with Image.open(PHOTOGRAPHS / "astronaut.png") as astronaut:
        twice = Image.new("RGB", (1024, 512))
        twice.paste(astronaut, (0, 0))
        twice.paste(astronaut, (512, 0))
    return encode(twice, "JPEG", quality=95)


def findings_of(client: Client, order_id: str) -> list[list[Finding]]:
    return [list(image.findings) for image in client.images(order_id)]


def touch(page: Page, begin: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag a finger."""
    session = page.context.new_cdp_session(page)

    def send(kind: str, *points: tuple[float, float]) -> None:
        touches = [{"x": x, "y": y} for x, y in points]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    send("touchStart", begin)
    for step in range(1, 6):
        send("touchMove", tuple(a + (b - a) * step / 5 for a, b in zip(begin, end, strict=True)))  # type: ignore[arg-type]
    send("touchEnd")


def contains(text: str) -> Any:

    return re.compile(re.escape(text))
