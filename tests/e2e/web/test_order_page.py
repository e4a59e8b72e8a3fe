"""The order form with scripts: file inputs, errors, own effects of an image, languages."""

import json
import re
from typing import Any

import pytest
from imageblur_client import Client
from playwright.sync_api import FilePayload, Page, Request, Route, expect

from tests.e2e.conftest import PHOTOGRAPHS
from tests.e2e.web.order_form import wait_finds_faces
from tests.support.browser import choose_effect, hold_uploads, mail_to
from tests.support.browser_waiting import wait_until

# A file made in the page, handed over as a browser does when one is dropped or pasted.
HAND_OVER = """
async ([kind, name]) => {
  const canvas = document.createElement("canvas");
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  const data = new DataTransfer();
  data.items.add(new File([blob], name, { type: "image/png" }));
  const event = kind === "paste"
    ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true })
    : new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
  document.body.dispatchEvent(event);
}
"""


@pytest.mark.parametrize(
    "script",
    ["onmessage = ({ data: { id } }) => postMessage({ id, blob: null })", "onmessage = () => {}", "broken("],
    ids=["fails", "never answers", "does not load"],
)
def test_the_page_draws_what_the_worker_of_thumbnails_does_not(page: Page, script: str) -> None:
    page.route("**/thumbnail_worker.js*", lambda route: route.fulfill(content_type="text/javascript", body=script))
    page.goto("/")
    page.set_input_files("#files", [PHOTOGRAPHS / "astronaut.png", PHOTOGRAPHS / "rocket.jpg"])
    expect(page.locator(".strip img")).to_have_count(2)


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_images_can_be_dropped_and_pasted(page: Page, kind: str) -> None:
    page.goto("/")
    page.evaluate(HAND_OVER, [kind, "given.png"])
    expect(page.locator(".strip .name")).to_have_text(["given.png"])
    expect(page.locator("#preview")).to_be_visible()


def test_errors_are_beside_their_files_and_the_other_files_stay(page: Page) -> None:
    page.goto("/")
    page.set_input_files("#files", [PHOTOGRAPHS / "rocket.jpg"])
    page.set_input_files("#files", FilePayload(name="notes.txt", mimeType="text/plain", buffer=b"x"))
    page.set_input_files("#files", FilePayload(name=f"{'n' * 256}.png", mimeType="image/png", buffer=b"x"))
    mail_to(page, "nobody@nowhere")  # valid for the browser, not for the gateway
    page.click("#submit")
    expect(page.locator("#bad-files")).to_contain_text("notes.txt: Unsupported format")
    page.get_by_role("button", name="Remove notes.txt").click()
    page.click("#submit")
    # The gateway validates the rest.
    expect(page.locator(".strip li.bad .field-error")).to_have_text(
        "The file name is too long. Rename the file and add it again."
    )
    expect(page.locator("#email-error")).to_have_text("Enter a valid e-mail address, for example name@example.com.")
    expect(page.locator("#email")).to_be_focused()
    expect(page.locator(".strip li")).to_have_count(2)
    page.locator(".strip li.bad .remove").click()
    mail_to(page, "somebody@example.org")
    page.click("#submit")
    page.wait_for_url("**/orders/*")
    expect(page.locator(".summary.succeeded")).to_be_visible()


def test_limits_are_checked_before_the_upload(page: Page) -> None:
    def lower(route: Route) -> None:
        answer = route.fetch()
        body = re.sub(r'"max_image_bytes": \d+', '"max_image_bytes": 200000', answer.text())
        route.fulfill(response=answer, body=body)

    page.route("**/", lower)
    page.goto("/")
    page.set_input_files("#files", [PHOTOGRAPHS / "rocket.jpg", PHOTOGRAPHS / "coffee.png"])
    expect(page.locator(".strip li.bad .name")).to_have_text(["coffee.png"])
    expect(page.locator(".strip li.bad .field-error")).to_have_text("Larger than the limit of 200 kB.")


def test_an_image_can_have_an_effect_and_regions_of_its_own(page: Page) -> None:
    sent: list[dict[str, Any]] = []

    def look(request: Request) -> None:
        if request.url.endswith("/api/uploads"):
            sent.append(json.loads(request.post_data or ""))

    page.on("request", look)
    page.goto("/")
    page.set_input_files("#files", [PHOTOGRAPHS / "rocket.jpg", PHOTOGRAPHS / "coffee.png"])
    expect(page.locator(".strip img")).to_have_count(2)
    before = page.evaluate("document.getElementById('preview').toDataURL()")
    page.locator("#strength").fill("9")
    wait_until(page, "before => document.getElementById('preview').toDataURL() !== before", before)
    page.get_by_role("button", name="Select coffee.png").click()
    page.locator("#scope label").last.click()
    choose_effect(page, "solid")
    page.click("#add-region")
    page.get_by_label("Left %").fill("10")
    page.get_by_label("Left %").press("Enter")
    page.check("#blur-outside")
    page.get_by_role("button", name="Select rocket.jpg").click()
    expect(page.locator("[name=effect][value=gaussian]")).to_be_checked()
    mail_to(page, "own@example.org")
    page.click("#submit")
    page.wait_for_url("**/orders/*")
    (manifest,) = sent
    assert (manifest["spec"]["effect"], manifest["spec"]["strength"]) == ("gaussian", 9)
    first, second = (image["spec"] for image in manifest["images"])
    assert first is None
    assert (second["effect"], second["outside"]) == ("solid", True)
    assert second["regions"][0]["left"] == pytest.approx(0.1)
    expect(page.locator(".summary.succeeded")).to_be_visible()


def test_faces_are_found_and_redacted_unless_an_effect_was_chosen(page: Page, client: Client) -> None:
    wait_finds_faces(client)
    page.goto("/")
    page.set_input_files("#files", [PHOTOGRAPHS / "astronaut.png", PHOTOGRAPHS / "coffee.png"])
    expect(page.locator(".strip img")).to_have_count(2)
    expect(page.locator("#preview")).to_be_visible()
    shown = "document.getElementById('preview').toDataURL()"
    frame = f"async () => {{ await new Promise(requestAnimationFrame); return {shown}; }}"
    blurred = page.evaluate(frame)
    page.get_by_label("Faces").check()
    expect(page.locator("[name=effect][value=redact]")).to_be_checked()
    expect(page.locator(".finding")).to_have_count(1)
    found = page.evaluate(frame)
    assert found != blurred
    page.click("#show-original")
    original = page.evaluate(frame)
    assert original not in {blurred, found}
    page.click("#show-original")
    assert page.evaluate(frame) == found
    # Left out, the face is seen; hidden again, it is not.
    page.locator(".finding").click()
    expect(page.locator("#found-status")).to_have_text("1 found, 1 left visible.")
    assert page.evaluate(frame) == original
    page.locator(".finding").press("Enter")
    assert page.evaluate(frame) == found
    page.get_by_label("Faces").uncheck()
    expect(page.locator(".finding")).to_have_count(0)
    expect(page.locator("[name=effect][value=gaussian]")).to_be_checked()
    choose_effect(page, "solid")
    page.get_by_label("Faces").check()
    expect(page.locator("[name=effect][value=solid]")).to_be_checked()
    mail_to(page, "faces@example.org")
    page.click("#submit")
    page.wait_for_url("**/orders/*")
    expect(page.locator(".summary.succeeded")).to_be_visible()
    expect(page.locator("#image-1 .check-state")).to_have_text(
        re.compile(r"\d findings? hidden\. Checked: nothing left\.")
    )
    expect(page.locator("#image-2 .check-state")).to_contain_text("Nothing found.")


def test_an_upload_can_be_cancelled_and_restarted(page: Page) -> None:
    held: list[Route] = []
    hold_uploads(page, held)
    page.goto("/")
    page.set_input_files("#files", [PHOTOGRAPHS / "rocket.jpg"])
    mail_to(page, "patient@example.org")
    page.click("#submit")
    expect(page.locator("#upload-text")).to_contain_text("Uploading")
    page.click("#cancel-upload")
    page.click("#confirm-cancel")
    expect(page.locator("#form-error")).to_contain_text("Upload cancelled")
    page.click("#submit")
    expect(page.locator("#cancel-upload")).to_be_focused()
    page.click("#cancel-upload")
    page.click("#confirm-cancel")
    expect(page.locator("#form-error")).to_contain_text("Upload cancelled")
    page.unroute_all()
    page.click("#submit")
    page.wait_for_url("**/orders/*")


def test_in_russian_until_the_visitor_chooses_another_language(visit: Any) -> None:
    page: Page = visit(locale="ru-RU").page()
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Размыть изображения")
    page.set_input_files("#files", [PHOTOGRAPHS / name for name in ("rocket.jpg", "coffee.png")])
    expect(page.locator("#submit")).to_have_text("Размыть 2 изображения")
    page.goto("/newsletter")
    page.get_by_role("button", name="English").click()
    page.wait_for_url("**/newsletter")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.goto("/orders/00000000-0000-4000-8000-000000000000")
    expect(page.get_by_role("heading", level=1)).to_have_text("Order not found")
