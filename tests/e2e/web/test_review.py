"""The review of results: what was found is switched off and on, areas are added, the effect is changed for all."""

import io
import re
from datetime import timedelta
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from imageblur.v1.order_pb2 import BlurSpec, CheckState, Find, FindingKind, Image, OrderState, Rect, Region
from imageblur_client import Client
from PIL import Image as Pillow
from playwright.sync_api import Page, expect

from services.stack.background import BackgroundStack
from tests.e2e.conftest import PHOTOGRAPHS
from tests.e2e.mail import wait_for_emails
from tests.e2e.queues import paused_blurring
from tests.support.waiting import eventually

pytestmark = pytest.mark.skipif(find_spec("onnxruntime") is None, reason="no package that finds faces is installed")

FACES = BlurSpec(find=[Find(kind=FindingKind.FINDING_KIND_FACE)])
HOUR = timedelta(hours=1)


@pytest.fixture
def client(client: Client) -> Client:
    """Once the stack can find faces: its workers announce what they can."""
    eventually(lambda: client.limits().find_models, every=0.2)
    return client


def place(client: Client, *names: str, spec: BlurSpec = FACES, keep: timedelta = HOUR, email: str = "") -> str:
    """Place an order and return its ID when it has finished."""
    order = client.order(email, [PHOTOGRAPHS / name for name in names], spec=spec, keep_originals_for=keep)
    for _ in client.watch(order.order_id):
        pass
    return order.order_id


def images(client: Client, order_id: str) -> dict[str, Image]:
    return {image.filename: image for image in client.images(order_id)}


def applied(image: Image) -> list[bool]:
    return [finding.applied for finding in image.findings]


def wait_size(page: Page, selector: str, width: int, height: int) -> None:
    """Wait until a picture is shown and loaded, which may be later, and has so many pixels."""
    picture = page.locator(selector)
    expect(picture).to_be_visible()
    expect(picture).to_have_js_property("naturalWidth", width)
    expect(picture).to_have_js_property("naturalHeight", height)


def wait_applied(page: Page) -> None:
    expect(page.locator("#review-apply")).to_have_text("Nothing changed")


def test_doubts_come_first_and_say_why(page: Page, client: Client) -> None:
    broken = ("broken.png", b"not an image")
    order = client.order("", [PHOTOGRAPHS / "astronaut.png", PHOTOGRAPHS / "rocket.jpg", broken], spec=FACES)
    for _ in client.watch(order.order_id):
        pass
    page.goto(f"/orders/{order.order_id}/review")
    expect(page.locator("#review-list .name")).to_have_text(["broken.png", "rocket.jpg", "astronaut.png"])
    expect(page.locator("#review-list .review-mark")).to_have_text(["Not blurred", "Nothing was found", "No doubts"])
    expect(page.locator(".lead")).to_contain_text("Look at 2 of them first")
    expect(page.locator(".lead")).to_contain_text("originals are no longer kept")
    expect(page.locator("#viewer-name")).to_have_text("broken.png")
    expect(page.locator("#review-apply")).to_be_hidden()


def test_by_keyboard_a_face_is_left_and_an_area_added(page: Page, client: Client) -> None:
    order_id = place(client, "astronaut.png", "coffee.png", "rocket.jpg")
    before = images(client, order_id)
    page.goto(f"/orders/{order_id}")
    page.click("#review-link")
    expect(page.locator("#viewer")).to_be_focused()
    expect(page.locator("#viewer-position")).to_contain_text("1 of 3")
    for _ in range(2):
        page.keyboard.press("n")
    expect(page.locator("#viewer-name")).to_have_text("astronaut.png")
    expect(page.locator("#viewer-before")).to_be_visible()
    page.keyboard.press("1")
    expect(page.locator("#viewer-items input")).not_to_be_checked()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("a")
    expect(page.locator(".viewer .region")).to_be_focused()
    for key in ("ArrowRight", "ArrowRight", "Shift+ArrowDown"):
        page.keyboard.press(key)
    expect(page.locator("#review-apply")).to_have_text("Apply to 2 images")
    page.keyboard.press("Enter")
    wait_applied(page)
    after = images(client, order_id)
    assert applied(before["astronaut.png"]) == [True]
    assert applied(after["astronaut.png"]) == [False]
    assert after["astronaut.png"].check.state == CheckState.CHECK_STATE_CLEAN
    changed = {name for name in before if before[name].output_sha256 != after[name].output_sha256}
    added = next(iter(changed - {"astronaut.png"}))
    assert len(changed) == 2  # only what was corrected ran again
    (region,) = after[added].spec.regions
    assert [region.ellipse.left, region.ellipse.height] == pytest.approx([0.37, 0.31])
    # What was left can be hidden again, and what was added be left.
    page.keyboard.press("n")
    expect(page.locator("#viewer-name")).to_have_text("astronaut.png")
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    wait_applied(page)
    assert images(client, order_id)["astronaut.png"].output_sha256 == before["astronaut.png"].output_sha256


def test_the_picture_before_is_the_servers_own_view(page: Page, client: Client) -> None:
    """Browsers show no CMYK TIFF; this one lies on its side, too."""
    lying = Pillow.open(PHOTOGRAPHS / "astronaut.png").convert("CMYK").crop((0, 0, 400, 300))
    exif = Pillow.Exif()
    exif[0x0112] = 6
    target = io.BytesIO()
    lying.save(target, "TIFF", exif=exif)
    order = client.order("", [("lying.tif", target.getvalue())], spec=FACES, keep_originals_for=HOUR)
    for _ in client.watch(order.order_id):
        pass
    page.goto(f"/orders/{order.order_id}/review")
    wait_size(page, "#viewer-before", 300, 400)
    page.keyboard.press("b")
    wait_size(page, "#viewer-after", 300, 400)
    page.keyboard.press("b")
    expect(page.locator("#viewer-divider")).to_be_visible()


def test_zoom_shows_all_pixels(page: Page, client: Client) -> None:
    large = Pillow.open(PHOTOGRAPHS / "astronaut.png").resize((2600, 2600))
    target = io.BytesIO()
    large.save(target, "JPEG", quality=90)
    order = client.order("", [("large.jpg", target.getvalue())], spec=FACES, keep_originals_for=HOUR)
    for _ in client.watch(order.order_id):
        pass
    page.goto(f"/orders/{order.order_id}/review")
    wait_size(page, "#viewer-before", 1600, 1600)
    expect(page.locator("#zoom-fit")).to_have_text("1×")  # as soon as the stage has its size
    shown = page.locator("#viewer-stage").bounding_box()
    for _ in range(3):
        page.keyboard.press("Equal")
    expect(page.locator("#zoom-fit")).to_have_text("3×")
    wait_size(page, "#viewer-before", 2600, 2600)
    zoomed = page.locator("#viewer-stage").bounding_box()
    assert shown
    assert zoomed
    assert zoomed["width"] == pytest.approx(3 * shown["width"], rel=0.02)
    page.keyboard.press("0")
    expect(page.locator("#zoom-fit")).to_have_text("1×")


def test_done_deletes_the_originals(page: Page, client: Client) -> None:
    order_id = place(client, "astronaut.png")
    assert client.preview_image(order_id, images(client, order_id)["astronaut.png"].image_id).width == 512
    page.goto(f"/orders/{order_id}/review")
    expect(page.locator("#viewer")).to_be_focused()
    page.keyboard.press("d")
    expect(page.get_by_role("button", name="Delete the originals")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).to_be_focused()
    page.keyboard.press("d")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(rf"/orders/{order_id}$"))
    expect(page.locator("#review-link")).to_have_count(0)
    assert not client.status(order_id).order.HasField("originals_expire_time")
    with pytest.raises(Exception, match="original"):
        client.preview_image(order_id, images(client, order_id)["astronaut.png"].image_id)


def test_the_effect_is_changed_for_all_without_sending_images_again(page: Page, client: Client) -> None:
    order_id = place(client, "astronaut.png", "rocket.jpg", spec=BlurSpec())
    sent: list[int] = []
    page.on("request", lambda request: sent.append(len(request.post_data_buffer or b"")))
    page.goto(f"/orders/{order_id}")
    page.locator("#image-1 img").scroll_into_view_if_needed()
    former = page.locator("#image-1 img").get_attribute("src")
    page.click("#ask-effect > summary")
    page.check("#revise-pixelate")
    page.locator("#revise-strength").fill("9")
    page.get_by_role("button", name="Blur 2 images again").click()
    expect(page.locator("#image-1 img")).not_to_have_attribute("src", former or "")
    expect(page.locator(".summary.succeeded")).to_be_visible()
    assert sum(sent) < 1000
    for image in images(client, order_id).values():
        assert image.spec.pixelate.cell_relative == pytest.approx(0.09)
    # What was corrected in an image stays when the effect of all is changed.
    page.reload()
    page.click("#ask-effect > summary")
    expect(page.locator("#revise-pixelate")).not_to_be_checked()  # the order's own spec is as it was


def test_corrections_stay_when_the_effect_is_changed_for_all(page: Page, client: Client) -> None:
    order_id = place(client, "astronaut.png", "rocket.jpg")
    page.goto(f"/orders/{order_id}/review")
    expect(page.locator("#viewer-name")).to_have_text("rocket.jpg")
    page.keyboard.press("n")
    page.keyboard.press("x")
    page.keyboard.press("Enter")
    wait_applied(page)
    page.goto(f"/orders/{order_id}")
    page.click("#ask-effect > summary")
    page.check("#revise-solid")
    page.get_by_role("button", name="Blur 2 images again").click()
    eventually(lambda: images(client, order_id)["astronaut.png"].spec.HasField("solid"), within=60)
    assert applied(images(client, order_id)["astronaut.png"]) == [False]


def test_results_are_asked_for_later_by_e_mail(page: Page, client: Client, stack: BackgroundStack) -> None:
    order_id = place(client, "astronaut.png")
    page.goto(f"/orders/{order_id}")
    page.click("#send")
    page.fill("#send-email", "nobody@nowhere")
    page.locator("#ask-email button").click()
    expect(page.locator("#action-error")).to_contain_text("The e-mail address is not valid")
    page.fill("#send-email", "later@example.org")
    page.locator("#ask-email button").click()
    expect(page.locator(".delivery.sent")).to_be_visible()
    assert wait_for_emails(stack, "later@example.org", 1)


def test_without_scripts_an_image_is_corrected_by_a_form(visit: Any, client: Client) -> None:
    order_id = place(client, "astronaut.png", "rocket.jpg")
    page: Page = visit(java_script_enabled=False).page()
    page.goto(f"/orders/{order_id}")
    page.click("#review-link")
    page.wait_for_url("**/review")
    page.locator("#review-list a", has_text="astronaut.png").click()
    page.wait_for_url("**/review/*")
    expect(page.locator("svg.marked rect")).to_have_count(1)
    page.uncheck("[name=hide]")
    page.locator("[name=region_1_left]").fill("10,5")
    page.click("text=Apply")
    expect(page.get_by_role("alert")).to_contain_text("An area is not valid")
    page.uncheck("[name=hide]")
    for side, value in (("left", "10,5"), ("top", "20"), ("width", "30"), ("height", "40")):
        page.locator(f"[name=region_1_{side}]").fill(value)
    page.click("text=Apply")
    page.wait_for_url("**/review")
    for _ in client.watch(order_id):
        pass
    astronaut = images(client, order_id)["astronaut.png"]
    assert applied(astronaut) == [False]
    (region,) = astronaut.spec.regions
    assert region.box.left == pytest.approx(0.105)
    page.reload()
    page.get_by_role("button", name="Done").click()
    page.wait_for_url(re.compile(rf"/orders/{order_id}$"))
    assert not client.status(order_id).order.HasField("originals_expire_time")


def test_a_correction_of_something_else_than_was_seen_is_refused(page: Page, visit: Any, client: Client) -> None:
    order_id = place(client, "astronaut.png")
    page.goto(f"/orders/{order_id}/review")
    expect(page.locator("#viewer-items input")).to_be_checked()
    other: Page = visit().page()
    other.goto(f"/orders/{order_id}/review")
    other.keyboard.press("1")
    other.keyboard.press("Enter")
    wait_applied(other)
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    expect(page.locator("#review-error")).to_contain_text("This action is not possible now")
    page.once("dialog", lambda dialog: dialog.accept())
    page.reload()
    expect(page.locator("#viewer-items input")).not_to_be_checked()


def test_where_the_whole_image_is_blurred_there_is_nothing_to_choose(page: Page, client: Client) -> None:
    order_id = place(client, "rocket.jpg", spec=BlurSpec())
    page.goto(f"/orders/{order_id}/review")
    expect(page.locator("#viewer-nothing")).to_contain_text("The whole image is blurred")
    expect(page.locator("#add-region")).to_be_disabled()
    page.keyboard.press("a")
    expect(page.locator(".viewer .region")).to_have_count(0)


def test_the_form_keeps_the_originals_for_an_hour_unless_told_otherwise(page: Page, client: Client) -> None:
    for keep in (True, False):
        page.goto("/")
        page.set_input_files("#files", [PHOTOGRAPHS / "rocket.jpg"])
        expect(page.locator("[name=keep_originals]")).to_be_checked()
        page.set_checked("[name=keep_originals]", keep)
        page.click("#submit")
        page.wait_for_url("**/orders/*")
        expect(page.locator(".summary.succeeded")).to_be_visible()
        order_id = page.url.rpartition("/")[2]
        order = client.status(order_id).order
        assert order.HasField("originals_expire_time") == keep
        if keep:
            kept = order.originals_expire_time.ToSeconds() - order.finish_time.ToSeconds()
            assert kept == pytest.approx(3600, abs=2)
        expect(page.locator("#review-link")).to_have_count(int(keep))


def test_the_title_tells_the_progress_and_cancelling_asks(page: Page, client: Client, stack: BackgroundStack) -> None:
    noise = np.random.default_rng(7).integers(0, 256, (1500, 1500, 3), dtype=np.uint8)
    target = io.BytesIO()
    Pillow.fromarray(noise).save(target, "PNG")
    files = [(f"{number}.png", target.getvalue()) for number in range(40)]
    with paused_blurring(stack):
        order = client.order("", files, spec=FACES)
        page.goto(f"/orders/{order.order_id}")
        expect(page).to_have_title("0% · Order · ImageBlur")
    expect(page).to_have_title(re.compile(r"^[1-9]\d?% · Order · ImageBlur$"))
    page.click("#cancel")
    expect(page.locator("#ask-cancel p")).to_contain_text("Results so far are kept")
    page.keyboard.press("Escape")
    expect(page.locator("#ask-cancel p")).to_be_hidden()
    page.click("#cancel")
    page.locator("#ask-cancel button").click()
    expect(page.locator(".summary.cancelled")).to_be_visible()
    expect(page).to_have_title("Cancelled · Order · ImageBlur")
    counts = client.status(order.order_id).order.counts
    assert client.status(order.order_id).order.state == OrderState.ORDER_STATE_CANCELLED
    expected = f"Cancelled. {counts.succeeded} of 40 images completed. {counts.cancelled} cancelled."
    expect(page.locator("#announce")).to_have_text(expected)


def test_a_review_waits_until_the_images_are_blurred(page: Page, client: Client, stack: BackgroundStack) -> None:
    files = [PHOTOGRAPHS / name for name in ("astronaut.png", "coffee.png", "rocket.jpg")]
    with paused_blurring(stack):
        order = client.order("", files, spec=FACES, keep_originals_for=HOUR)
        page.goto(f"/orders/{order.order_id}/review")
        expect(page.locator("#review-apply")).to_have_text("Applying…")
    expect(page.locator("#review-apply")).to_have_text("Nothing changed")
    page.locator("#review-list a", has_text="astronaut.png").click()
    expect(page.locator("#viewer-items input")).to_be_checked()
    assert client.status(order.order_id).order.counts.succeeded == 3


def test_large_orders_have_pages_and_a_held_key_is_followed(page: Page, client: Client) -> None:
    target = io.BytesIO()
    Pillow.new("RGB", (40, 40), "red").save(target, "PNG")
    spec = BlurSpec(regions=[Region(box=Rect(left=0.2, top=0.2, width=0.5, height=0.5))])
    files = [(f"{number:03d}.png", target.getvalue()) for number in range(1, 231)]
    order = client.order("", files, spec=spec, keep_originals_for=HOUR)
    for _ in client.watch(order.order_id):
        pass
    page.goto(f"/orders/{order.order_id}/review")
    expect(page.locator("#review-list li")).to_have_count(200)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    # At once, as a held key repeats: sent one by one, a busy machine would take long enough to draw each.
    page.evaluate(
        """() => {
          for (let count = 0; count < 60; count += 1) {
            const held = { key: "n", code: "KeyN", repeat: count > 0, bubbles: true, cancelable: true };
            document.activeElement.dispatchEvent(new KeyboardEvent("keydown", held));
          }
        }"""
    )
    expect(page.locator("#viewer-name")).to_have_text("061.png")
    wait_size(page, "#viewer-before", 40, 40)
    assert len([url for url in asked if "/preview" in url]) < 60  # those that were passed are not drawn
    page.get_by_role("link", name="Next page").click()
    expect(page.locator("#review-list .name").first).to_have_text("201.png")
    expect(page.locator("#review-list li")).to_have_count(30)
    expect(page.locator("#viewer-position")).to_contain_text("1 of 30")
