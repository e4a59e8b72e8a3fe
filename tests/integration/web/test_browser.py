"""The order form and an order's page in a browser, where no worker is needed."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FilePayload, Page, Route, expect

from tests.e2e.conftest import PHOTOGRAPHS
from tests.integration.web.conftest import Web
from tests.integration.web.form_in_browser import browser
from tests.support.browser import PATIENCE_MS
from tests.support.browser_waiting import wait_until
from tests.support.images import encode, photo

__all__ = ["browser"]


@pytest.fixture
def page(browser: Browser, web: Web) -> Iterator[Page]:
    context = browser.new_context(base_url=f"http://127.0.0.1:{web.port}", locale="en-GB")
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()


def start_order(page: Page, *files: Path) -> None:
    page.goto("/")
    page.set_input_files("#files", files)
    page.click("#submit")


def test_back_and_forward_show_what_their_address_says(page: Page) -> None:
    start_order(page, PHOTOGRAPHS / "rocket.jpg")
    page.wait_for_url("**/orders/*")
    expect(page.locator("#order-status")).to_be_visible()
    page.go_back()
    expect(page.locator("#order")).to_be_visible()
    page.wait_for_load_state()  # what is visible may have no scripts yet
    page.go_forward()
    expect(page.locator("#order-status")).to_be_visible()
    expect(page.locator("#order")).to_have_count(0)


@pytest.mark.parametrize(
    ("path", "status", "sentence"),
    [
        ("**/api/uploads/*", 413, "does not accept uploads this large"),
        ("**/api/uploads", 403, "did not accept the upload (error 403)"),
        ("**/api/uploads", 502, "Connection lost"),
    ],
)
def test_what_a_proxy_refuses_is_not_a_lost_connection(page: Page, path: str, status: int, sentence: str) -> None:
    page.route(path, lambda route: route.fulfill(status=status, content_type="text/html", body="<h1>nginx</h1>"))
    start_order(page, PHOTOGRAPHS / "rocket.jpg")
    expect(page.locator("#form-error")).to_contain_text(sentence)


def test_regions_belong_to_the_chosen_image_while_its_picture_is_on_its_way(page: Page) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/api/preview*", hold)
    page.goto("/")
    picture = encode(photo(), "PNG")
    names = ["a.png", "b.png"]
    page.set_input_files("#files", [FilePayload(name=name, mimeType="image/png", buffer=picture) for name in names])
    expect(page.locator(".strip img")).to_have_count(2)
    page.click("#add-region")
    numbers = page.locator("#region-list li")
    expect(numbers).to_have_count(1)
    page.get_by_role("button", name="Select b.png").click()
    expect(numbers).to_have_count(0)
    page.click("#add-region")
    left, top = page.get_by_label("Left %"), page.get_by_label("Top %")
    left.fill("10")
    left.press("Enter")
    top.fill("2")
    # The picture arrives while somebody writes.
    head = {"part": "view", "width": 96, "height": 64, "type": "image/png", "bytes": len(picture)}
    text = json.dumps(head).encode()
    assert len(held) == 2
    held[1].fulfill(body=len(text).to_bytes(4) + text + picture)
    expect(page.locator("#preview")).to_be_visible()
    expect(page.locator(".region")).to_be_visible()
    expect(top).to_be_focused()
    expect(top).to_have_value("2")
    top.press("Enter")
    expect(page.locator(".region")).to_have_attribute("aria-label", re.compile("left 10%, top 2%,"))
    page.get_by_role("button", name="Select a.png").click()
    expect(numbers).to_have_count(1)
    expect(left).to_have_value("35")


@pytest.mark.parametrize("change", ["changed", "deleted"])
def test_a_file_that_changed_after_it_was_selected_is_named(page: Page, tmp_path: Path, change: str) -> None:
    photograph = tmp_path / "holiday.jpg"
    photograph.write_bytes((PHOTOGRAPHS / "rocket.jpg").read_bytes())
    page.goto("/")
    page.set_input_files("#files", [PHOTOGRAPHS / "rocket.jpg", photograph])
    expect(page.locator(".strip li")).to_have_count(2)
    if change == "deleted":
        photograph.unlink()
    else:
        photograph.write_bytes(b"another image")
        os.utime(photograph, (1, 1))
    page.click("#submit")
    expect(page.locator("#bad-files")).to_contain_text("holiday.jpg: This file was changed, moved or deleted")
    expect(page.locator(".strip li.bad")).to_have_count(1)


def test_hidden_tabs_close_their_event_streams(page: Page) -> None:
    page.add_init_script(
        """
        const streams = (window.streams = []);
        window.EventSource = class extends EventSource {
          constructor(...args) { super(...args); streams.push(this); }
        };
        window.hide = (value) => {
          Object.defineProperty(document, "hidden", { value, configurable: true });
          document.dispatchEvent(new Event("visibilitychange"));
        };
        """
    )
    page.goto("/")
    page.route("**/events?*", lambda _route: None)  # they are open as long as the tab
    page.set_input_files("#files", [PHOTOGRAPHS / "rocket.jpg"])
    page.click("#submit")
    page.wait_for_url("**/orders/*")
    states = "window.streams.map((stream) => stream.readyState)"
    wait_until(page, "window.streams.length === 1")
    assert page.evaluate(states) == [0]
    page.evaluate("window.hide(true)")
    assert page.evaluate(states) == [2]
    page.evaluate("window.hide(false)")
    assert page.evaluate(states) == [2, 0]
