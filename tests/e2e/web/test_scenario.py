"""The main scenario in a browser: with a mouse, without scripts, with a keyboard only."""

import io
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
from imageblur_client import Client
from PIL import Image, ImageChops
from playwright.sync_api import Page, expect

from services.stack.background import BackgroundStack
from tests.e2e.conftest import PHOTOGRAPHS
from tests.e2e.mail import emails_to, run_mailing, wait_for_emails
from tests.e2e.web.order_form import reload_until
from tests.support.browser import choose_effect, mail_to

FILES = [PHOTOGRAPHS / name for name in ("astronaut.png", "coffee.png", "rocket.jpg")]


def open_email(page: Page, stack: BackgroundStack, address: str, count: int = 1) -> Any:
    """The newest of so many e-mails to an address, in the mailbox; the frame with its HTML."""
    wait_for_emails(stack, address, count)
    page.goto("/mailbox")
    page.get_by_role("link", name=address).first.click()
    frame = page.frame_locator("iframe")
    expect(frame.locator("body")).to_be_visible()
    return frame


def changed_box(before: Path, after: bytes) -> tuple[int, int, int, int] | None:
    with Image.open(before) as original, Image.open(io.BytesIO(after)) as blurred:
        return ImageChops.difference(original.convert("RGB"), blurred.convert("RGB")).getbbox()


def test_with_a_mouse(page: Page, stack: BackgroundStack) -> None:
    # An order, with a region drawn on the first image.
    page.goto("/")
    page.set_input_files("#files", FILES)
    expect(page.locator(".strip img")).to_have_count(3)
    expect(page.locator("#submit")).to_have_text("Blur 3 images")
    expect(page.locator("#preview")).to_be_visible()
    box = page.locator("#overlay").bounding_box()
    assert box
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 0.25 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"], steps=4)
    page.mouse.up()
    expect(page.locator(".region")).to_have_count(1)
    mail_to(page, "walker@example.org")
    page.click("#submit")

    # Its page, live; before and after.
    page.wait_for_url("**/orders/*")
    expect(page.locator(".summary.succeeded")).to_be_visible()
    expect(page.locator(".result.succeeded")).to_have_count(3)
    page.get_by_role("link", name="Compare astronaut.png before and after").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    expect(page.locator("#compare-before")).to_be_visible()
    page.get_by_role("button", name="Close").click()

    # Downloads: one image, changed where the region is and nowhere else; all.
    with page.expect_download() as download:
        page.get_by_role("link", name="Download astronaut.png").click()
    assert download.value.suggested_filename == "blur_astronaut.png"
    found = changed_box(FILES[0], Path(download.value.path()).read_bytes())
    assert found
    assert all(abs(side - expected) <= 3 for side, expected in zip(found, (128, 128, 256, 256), strict=True)), found
    with page.expect_download() as download:
        page.get_by_role("link", name="Download all 3").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.testzip() is None
        assert sum(name.startswith("blur_") for name in archive.namelist()) == 3

    # The delivery, which the page shows without a reload; the e-mail in the mailbox.
    expect(page.locator(".delivery.sent")).to_be_visible()
    open_email(page, stack, "walker@example.org")
    with page.expect_download() as download:
        page.get_by_role("link", name="blur_images.zip").click()
    assert zipfile.is_zipfile(download.value.path())


def test_subscribe_confirm_newsletter_unsubscribe(page: Page, stack: BackgroundStack, client: Client) -> None:
    page.goto("/newsletter")
    page.get_by_role("region").or_(page.locator("form[action='/newsletter/subscribe']")).get_by_label("E-mail").fill(
        "reader@example.org"
    )
    page.get_by_role("button", name="Subscribe", exact=True).click()
    expect(page.get_by_role("heading", name="Check your e-mail")).to_be_visible()
    email = open_email(page, stack, "reader@example.org")
    email.locator("a[href*='/confirm?']").first.click()
    expect(page.get_by_role("heading", name="Confirm your subscription")).to_be_visible()
    # Opening that page has not subscribed anybody; a later e-mail to another address shows that the mailing is over.
    run_mailing(stack)
    client.subscribe("later@example.org")
    wait_for_emails(stack, "later@example.org")
    assert len(emails_to(stack, "reader@example.org")) == 1
    page.get_by_role("button", name="Confirm subscription").click()
    expect(page.get_by_role("heading", name="Subscription confirmed")).to_be_visible()
    run_mailing(stack)
    email = open_email(page, stack, "reader@example.org", 2)
    email.locator("a[href*='/unsubscribe?']").first.click()
    page.get_by_role("button", name="Unsubscribe", exact=True).click()
    expect(page.get_by_role("heading", name="You are unsubscribed")).to_be_visible()


def test_without_scripts(visit: Any, stack: BackgroundStack) -> None:
    page: Page = visit(java_script_enabled=False).page()
    page.goto("/")
    expect(page.locator("#editor")).not_to_be_visible()
    page.set_input_files("#files", FILES)
    choose_effect(page, "pixelate")
    mail_to(page, "plain@example.org")
    page.click("#submit")
    page.wait_for_url("**/orders/*")
    reload_until(page, ".summary.succeeded .delivery.sent")
    expect(page.locator(".result.succeeded")).to_have_count(3)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download all 3").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert sorted(name for name in archive.namelist() if name.startswith("blur_")) == [
            "blur_astronaut.png",
            "blur_coffee.png",
            "blur_rocket.jpg",
        ]
    open_email(page, stack, "plain@example.org")
    page.go_back()
    page.go_back()
    page.get_by_text("Delete order").click()
    page.get_by_role("button", name="Delete permanently").click()
    expect(page.get_by_role("heading", name="Order deleted")).to_be_visible()
    page.goto("/newsletter")
    page.locator("form[action='/newsletter/subscribe'] [type=email]").fill("plain@example.org")
    page.get_by_role("button", name="Subscribe", exact=True).click()
    email = open_email(page, stack, "plain@example.org", 2)
    email.locator("a[href*='/confirm?']").first.click()
    page.get_by_role("button", name="Confirm subscription").click()
    expect(page.get_by_role("heading", name="Subscription confirmed")).to_be_visible()


def test_an_invalid_form_without_scripts_keeps_its_values(visit: Any) -> None:
    page: Page = visit(java_script_enabled=False).page()
    page.goto("/")
    choose_effect(page, "solid")
    expect(page.locator("#email")).not_to_be_visible()
    mail_to(page, "ann@example.org")
    page.click("#submit")
    expect(page.get_by_role("alert")).to_contain_text("Add at least one image")
    expect(page.locator("#email")).to_have_value("ann@example.org")
    expect(page.locator("[name=effect][value=solid]")).to_be_checked()
    expect(page.locator("[name=notify]")).to_be_checked()
    page.uncheck("[name=notify]")
    page.click("#submit")
    expect(page.locator("[name=notify]")).not_to_be_checked()
    expect(page.locator("#email")).not_to_be_visible()


class Keyboard:
    """Nothing but keys."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def tab_to(self, selector: str) -> None:
        """Press Tab until that has the focus, which then has to be visible."""
        for _ in range(60):
            self.page.keyboard.press("Tab")
            if self.page.evaluate("selector => document.activeElement?.matches(selector)", selector):
                return
        pytest.fail(f"{selector} cannot be reached with Tab")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)


def test_with_a_keyboard_only(page: Page) -> None:
    keys = Keyboard(page)
    page.goto("/")
    keys.tab_to(".skip")
    keys.tab_to("#files")
    with page.expect_file_chooser() as chooser:
        page.evaluate("0")  # The browser takes keys by another way, on which Enter may overtake the interception.
        keys.press("Enter")
    chooser.value.set_files(FILES[:1])
    expect(page.locator("#preview")).to_be_visible()
    keys.tab_to("#shape-ellipse")
    keys.press("Enter")
    keys.tab_to("#add-region")
    keys.press("Enter")
    region = page.locator(".region")
    expect(region).to_be_focused()
    keys.press(*["ArrowLeft"] * 10, *["ArrowUp"] * 5, *["Shift+ArrowRight"] * 10)
    expect(region).to_have_attribute("aria-label", re.compile("Ellipse 1: left 25%, top 30%, width 40%, height 30%"))
    keys.press("Delete")
    expect(region).to_have_count(0)
    expect(page.locator("#add-region")).to_be_focused()
    keys.press("Enter")
    keys.tab_to("[name=effect]")
    keys.press("ArrowRight", "ArrowRight")
    expect(page.locator("[name=effect][value=solid]")).to_be_checked()
    keys.tab_to("#notify")
    keys.press("Space")
    keys.tab_to("#email")
    page.keyboard.type("keys@example.org")
    keys.press("Enter")
    page.wait_for_url("**/orders/*")
    # The page changes until the e-mail is sent: what has the focus might be replaced before it gets the next key.
    expect(page.locator(".summary.succeeded .delivery.sent")).to_be_visible()
    keys.tab_to("a.compare-link")
    keys.press("Enter")
    expect(page.locator("#compare-slider")).to_be_focused()
    keys.press("Home", "Escape")
    expect(page.get_by_role("dialog")).not_to_be_visible()
    page.evaluate("document.getElementById('content').focus()")
    keys.tab_to("#delete")
    keys.press("Enter")
    keys.tab_to(".destructive")
    keys.press("Enter")
    expect(page.get_by_role("heading", name="Order deleted")).to_be_visible()
