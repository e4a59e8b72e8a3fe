"""The page of the HTTP interface in a browser: every operation is there, can be tried, and is accessible."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from services.web.api.page import markup
from tests.e2e.web.test_accessibility import findings
from tests.integration.web.conftest import Web
from tests.integration.web.test_browser import browser, page
from tests.support.images import encode, photo

__all__ = ["browser", "page"]


@pytest.fixture
def api(page: Page) -> Iterator[Page]:
    """The page, on which nothing may fail or break the content security policy."""
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if "Content Security" in message.text else None)
    page.goto("/v1/")
    yield page
    assert errors == []


def test_every_operation_is_shown_and_linked(api: Page) -> None:
    document = json.loads(Path("services/web/api/openapi.json").read_text(encoding="utf-8"))
    wanted = {operation["operationId"] for path in document["paths"].values() for operation in path.values()}
    assert set(api.eval_on_selector_all(".operation", "all => all.map(one => one.id)")) == wanted
    api.goto("/newsletter")
    api.click("footer a[href='/v1']")
    expect(api.locator("h1")).to_have_text("HTTP interface")


def test_an_order_is_placed_and_looked_at(api: Page) -> None:
    place = api.locator("#PlaceOrder")
    place.locator("summary").click()
    place.locator("input[type=file]").set_input_files(
        {"name": "a.png", "mimeType": "image/png", "buffer": encode(photo(8, 8), "PNG")}
    )
    place.locator("[data-name=sigma]").fill("3")
    place.locator("[data-name=region]").fill("0,0,.5,.5\n.5,.5,.5,.5")
    expect(place.locator(".curl")).to_contain_text("-F image=@a.png")
    expect(place.locator(".curl")).to_contain_text("/v1/orders?sigma=3&region=0%2C0%2C.5%2C.5&region=")
    place.locator("button").click()
    expect(place.locator(".answer-status")).to_have_text("201 Created")
    order_id = json.loads(place.locator(".answer-text").inner_text())["order"]["order_id"]
    cancel = api.locator("#CancelOrder")
    cancel.locator("summary").click()
    cancel.locator("[data-name=order_id]").fill(order_id)
    cancel.locator("button").click()
    expect(cancel.locator(".answer-text")).to_contain_text("ORDER_STATE_CANCELLED")
    watch = api.locator("#WatchStatus")
    watch.locator("summary").click()
    watch.locator("[data-name=order_id]").fill(order_id)
    watch.locator("button").click()
    expect(watch.locator(".answer-text")).to_contain_text("event: end")


def test_a_problem_is_shown_and_a_key_is_sent(api: Page) -> None:
    limits = api.locator("#GetLimits")
    limits.locator("summary").click()
    limits.locator("button").click()
    expect(limits.locator(".answer-text")).to_contain_text("IMAGE_FORMAT_JPEG")
    api.fill("#api-key", "ib_wrong")
    expect(limits.locator(".curl")).to_contain_text("Authorization: Bearer KEY")
    limits.locator("button").click()
    expect(limits.locator(".answer-text")).to_contain_text("API_KEY_INVALID")


def test_it_is_accessible_and_fits_a_phone(api: Page) -> None:
    def opened() -> Iterator[str]:
        yield "closed"
        api.eval_on_selector_all("details", "all => all.forEach(one => { one.open = true; })")
        yield "open"

    assert findings(api, opened()) == []


def test_it_can_be_read_without_scripts(browser: Browser, web: Web) -> None:
    context = browser.new_context(base_url=f"http://127.0.0.1:{web.port}", java_script_enabled=False, locale="ru")
    page = context.new_page()
    page.goto("/v1")
    page.locator("#SendImages summary").click()
    expect(page.locator("#SendImages .api-text")).to_contain_text("EMAIL_REQUIRED")
    expect(page.locator("#SendImages button")).to_be_hidden()
    expect(page.locator("h1")).to_have_text("Интерфейс HTTP")
    context.close()


def test_comments_are_escaped() -> None:
    assert markup("a < `b <c>`\n\n- `X`: y\n- z") == (
        "<p>a &lt; <code>b &lt;c&gt;</code></p><ul><li><code>X</code>: y</li><li>z</li></ul>"
    )
