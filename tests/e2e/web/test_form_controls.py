"""The order form by keyboard, by touch, by numbers without scripts, and the pictures that it shows."""

import re
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect

from tests.e2e.web.order_form import (
    Pointer,
    manifests_of,
    payload,
    pixels,
    place,
    reload_until,
    results,
    select,
    show,
    touch,
    two_faces,
)
from tests.support.browser import choose_effect
from tests.support.browser_waiting import wait_until
from tests.support.images import encode, photo

__all__ = ["two_faces"]


def test_more_options_have_values_in_words_and_reach_the_engine(page: Page) -> None:
    sent = manifests_of(page)
    select(page, [payload("white.png", encode(Image.new("RGB", (600, 400), "white"), "PNG"))])
    choose_effect(page, "solid")
    page.click("#add-region")
    page.get_by_text("More options").click()
    page.locator("#padding").fill("0.05")
    page.locator("#feather").fill("0.1")
    page.locator("#quality").fill("60")
    expect(page.locator("#padding-shown")).to_have_text("5% ≈ 20 px")
    expect(page.locator("#quality-shown")).to_have_text("60")
    place(page)
    (manifest,) = sent
    assert manifest["spec"]["quality"] == 60
    (region,) = manifest["images"][0]["spec"]["regions"]
    assert (region["padding"], region["feather"]) == (0.05, 0.1)
    (data,) = results(page).values()
    row = pixels(data)[200, :, 0]
    # The region begins at 35 %, its margin is 20 pixels, the soft edge 40 more.
    assert row[190] <= 2
    assert 20 < row[170] < 235
    assert row[148] == 255


def test_a_finger_taps_what_is_found_and_draws_when_drawing_is_on(visit: Any, two_faces: bytes) -> None:
    page: Page = visit(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True).page()
    select(page, [payload("two.jpg", two_faces)])
    page.get_by_label("Faces").check()
    expect(page.locator(".finding")).to_have_count(2)
    page.locator(".finding").first.tap()
    expect(page.locator("#found-status")).to_contain_text("1 left visible")
    expect(page.locator("#draw")).to_have_attribute("aria-pressed", "false")
    page.locator("#draw").tap()
    pointer = Pointer(page)
    touch(page, pointer.at(0.1, 0.7), pointer.at(0.3, 0.95))
    expect(page.locator(".region")).to_have_count(1)
    # A drag over what is found draws too, and leaves nothing out.
    box = page.locator(".finding").nth(1).bounding_box()
    assert box
    touch(page, (box["x"] + 3, box["y"] + box["height"] / 2), (box["x"] + 60, box["y"] + box["height"] + 20))
    expect(page.locator(".region")).to_have_count(2)
    expect(page.locator("#found-status")).to_contain_text("1 left visible")


def test_every_action_has_keys(page: Page, two_faces: bytes) -> None:
    select(page, [payload("two.jpg", two_faces)])
    page.get_by_label("Faces").check()
    expect(page.locator(".finding")).to_have_count(2)
    page.locator(".finding").nth(1).focus()
    page.keyboard.press("Space")
    expect(page.locator(".finding").nth(1)).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("Enter")
    expect(page.locator(".finding").nth(1)).to_have_attribute("aria-pressed", "true")
    for shape in ("polygon", "brush"):
        page.locator(f"#shape-{shape}").press("Enter")
        page.locator("#add-region").press("Enter")
        region = page.locator(f".region.{shape}")
        expect(region).to_be_focused()
        before = region.bounding_box()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Shift+ArrowRight")
        page.keyboard.press("Shift+ArrowRight")
        after = region.bounding_box()
        assert before
        assert after
        assert after["x"] > before["x"]
        assert after["width"] > before["width"]
        page.keyboard.press("Delete")
        expect(region).to_have_count(0)


def test_regions_by_number_without_scripts(visit: Any) -> None:
    page: Page = visit(java_script_enabled=False).page()
    page.goto("/")
    page.set_input_files("#files", [payload("white.png", encode(Image.new("RGB", (600, 400), "white"), "PNG"))])
    choose_effect(page, "solid")
    page.get_by_text("More options").click()
    for side, value in {"left": "12,5", "top": "25", "width": "50", "height": "50"}.items():
        page.fill(f"[name=region_1_{side}]", value)
    page.uncheck("[name=notify]")
    page.click("#submit")
    page.wait_for_url("**/orders/*")
    reload_until(page, ".summary.succeeded")
    (data,) = results(page).values()
    black = np.argwhere(pixels(data).max(axis=2) < 10)
    assert [*black.min(axis=0), *black.max(axis=0)] == [100, 75, 299, 374]


def test_a_wrong_number_without_scripts_is_named(visit: Any) -> None:
    page: Page = visit(java_script_enabled=False).page()
    page.goto("/")
    page.set_input_files("#files", [payload("a.png", encode(photo(), "PNG"))])
    page.get_by_text("More options").click()
    page.fill("[name=region_2_left]", "ten")
    page.uncheck("[name=notify]")
    page.click("#submit")
    expect(page.get_by_role("alert")).to_contain_text("Region 2")
    expect(page.locator("[name=region_2_left]")).to_have_value("ten")


def test_numbers_are_written_as_the_language_does(visit: Any) -> None:
    page: Page = visit(locale="ru-RU").page()
    select(page, [payload("a.png", encode(photo(), "PNG"))])
    page.click("#add-region")
    field = page.get_by_label("Слева %")
    field.fill("12,5")
    field.press("Enter")
    expect(page.locator(".region")).to_have_attribute("aria-label", re.compile("слева 12,5 %"))
    page.locator("#strength").fill("2.5")
    expect(page.locator("#strength-shown")).to_contain_text("2,5 %")


def test_a_file_that_is_no_image_is_named_at_once(page: Page) -> None:
    page.goto("/")
    page.set_input_files("#files", [payload("broken.jpg", b"no image")])
    expect(page.locator("#no-preview")).to_have_text("Not an image. Check the file and upload it again.")


def test_without_an_answer_the_browser_shows_the_image_and_says_so(page: Page) -> None:
    page.route(
        "**/api/preview*", lambda route: route.fulfill(status=503, json={"message": "busy", "retry_after": 0.05})
    )
    select(page, [payload("a.png", encode(photo(), "PNG"))])
    expect(page.locator("#preview-note")).to_contain_text("This picture is your browser's")
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#preview-note")).to_be_hidden()
    expect(page.locator("#preview")).to_be_visible()


def test_only_what_is_shown_and_what_comes_next_is_asked_for(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/api/preview" in request.url else None)
    select(page, [payload(f"{name}.png", encode(photo(), "PNG")) for name in "abcdef"])
    wait_until(page, "true")
    page.wait_for_load_state("networkidle")
    assert len(asked) == 2
    show(page, "e.png")
    page.wait_for_load_state("networkidle")
    assert len(asked) == 4


def test_formats_that_browsers_do_not_show_have_thumbnails_too(page: Page) -> None:
    select(page, [payload("a.tif", encode(photo(), "TIFF")), payload("b.png", encode(photo(), "PNG"))])
    expect(page.locator(".strip img")).to_have_count(2)
