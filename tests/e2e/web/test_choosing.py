"""Choosing what to hide on the order form: what is shown is what is covered, in real results."""

import io
import json
import re
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from imageblur.v1.order_pb2 import Finding
from imageblur_client import Client
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import FilePayload, Page, Request, expect

from tests.e2e.conftest import PHOTOGRAPHS
from tests.support.browser_waiting import wait_until
from tests.support.heif_files import DEPTH, GAIN_MAP, auxiliary, box, coded, grid, heic, heif, irot
from tests.support.images import encode, oriented, photo, photo_16
from tests.support.oriented_files import find_mark, oriented_files

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


def test_what_is_marked_is_covered_however_a_file_says_that_it_is_turned(page: Page) -> None:
    files = list(oriented_files())
    select(page, [payload(file.name, file.data) for file in files])
    page.click("#show-original")
    page.check("[name=effect][value=solid]", force=True)
    shares = []
    for number, file in enumerate(files):
        if number:
            page.locator(".thumb[aria-pressed=true]").press("ArrowRight")
        expect(page.locator("#preview")).to_have_attribute("aria-label", f"Preview of {file.name}")
        left, top, right, bottom = page.evaluate(FIND_MARK)
        assert right - left < 0.7, file.name
        shares.append((right - left) * (bottom - top))
        Pointer(page).drag((max(left - 0.02, 0), max(top - 0.02, 0)), (min(right + 0.02, 1), min(bottom + 0.02, 1)))
        expect(page.locator(".region")).to_have_count(1)
    assert max(shares) < 0.25
    place(page)
    made = results(page)
    assert len(made) == len(files)
    uncovered = [name for name, data in made.items() if find_mark(Image.open(io.BytesIO(data)))]
    assert uncovered == []
    # The rest of each is still there: at least half of it is not black.
    assert [name for name, data in made.items() if (pixels(data).max(axis=2) > 40).mean() < 0.5] == []


def phone_pictures() -> tuple[dict[str, bytes], list[bytes]]:
    """Return a HEIC of turned tiles with a thumbnail, a gain map, a depth map and a video, one of 10 bits, a JPEG with
    a gain map behind it, a screenshot; and the bytes that must not be in a result: of what shows the picture again."""
    picture, tile = photo(128, 128), (64, 64)
    tiles = [coded(picture.crop((x, y, x + 64, y + 64))) for y in (0, 64) for x in (0, 64)]
    thumbnail = coded(picture.resize(tile), references={b"thmb": [1]})
    maps = [auxiliary(picture.resize(tile).convert("L"), kind, of=1) for kind in (DEPTH, GAIN_MAP)]
    whole = grid(2, 2, picture.size, [2, 3, 4, 5], irot(3))
    video = box(b"ftyp", b"mp42", bytes(12)) + box(b"mdat", np.random.default_rng(1).bytes(1024))
    behind = encode(picture.resize(tile), "JPEG")
    pictures = {
        "IMG_0001.HEIC": heif([whole, *tiles, thumbnail, *maps], trailer=video),
        "IMG_0002.HEIC": heic(photo_16(96, 64)),
        "IMG_0003.JPG": encode(photo(96, 64), "JPEG", exif=oriented(6)) + behind,
        "IMG_0004.PNG": encode(photo(96, 64), "PNG"),
    }
    return pictures, [thumbnail.data, *(each.data for each in maps), video, behind]


def test_pictures_of_a_phone(page: Page) -> None:
    pictures, hidden = phone_pictures()
    select(page, [payload(name, data) for name, data in pictures.items()])
    page.check("[name=effect][value=solid]", force=True)
    place(page)
    made = results(page)
    assert {name.removeprefix("blur_").partition(".")[0] for name in made} == {name[:8] for name in pictures}
    sizes = [pixels(data).shape[1::-1] for _, data in sorted(made.items())]
    assert sizes == [(128, 128), (96, 64), (64, 96), (96, 64)]
    assert max(int(pixels(data).max()) for data in made.values()) < 8, "all of each is black"
    assert not [part for part in hidden for data in made.values() if part[len(part) // 2 :][:20] in data]


@pytest.fixture
def two_faces() -> bytes:
    """A picture with the same face twice."""
    with Image.open(PHOTOGRAPHS / "astronaut.png") as astronaut:
        twice = Image.new("RGB", (1024, 512))
        twice.paste(astronaut, (0, 0))
        twice.paste(astronaut, (512, 0))
    return encode(twice, "JPEG", quality=95)


def findings_of(client: Client, order_id: str) -> list[list[Finding]]:
    return [list(image.findings) for image in client.images(order_id)]


def test_a_face_that_is_left_out_stays_and_the_other_is_hidden(page: Page, client: Client, two_faces: bytes) -> None:
    pytest.importorskip("onnxruntime", reason="no package that finds faces is installed")
    select(page, [payload("two.jpg", two_faces), payload("all.jpg", two_faces), payload("none.jpg", two_faces)])
    page.get_by_label("Faces").check()
    expect(page.locator(".finding")).to_have_count(2)
    box = page.locator(".finding").first.bounding_box()
    whole = page.locator("#overlay").bounding_box()
    assert box
    assert whole
    left_one = (box["x"] - whole["x"]) / whole["width"] < 0.5
    page.locator(".finding").first.click()
    expect(page.locator("#found-status")).to_have_text("2 found, 1 left visible.")
    show(page, "none.jpg")
    expect(page.locator(".finding")).to_have_count(2)
    page.get_by_role("button", name="Leave all visible").click()
    expect(page.locator("#found-status")).to_have_text("2 found, 2 left visible.")
    order_id = place(page)
    one, both, none = findings_of(client, order_id)
    assert sorted(finding.applied for finding in one) == [False, True]
    assert [finding.applied for finding in both] == [True, True]
    assert [finding.applied for finding in none] == [False, False]
    before, made = pixels(two_faces), results(page)
    changed = np.abs(pixels(made["blur_two.jpg"]) - before).max(axis=2) > 30
    assert changed[:, 512:].any() == left_one
    assert changed[:, :512].any() != left_one
    assert not (np.abs(pixels(made["blur_none.jpg"]) - before) > 30).any()


def test_polygons_and_strokes_hide_what_they_cover(page: Page) -> None:
    white = encode(Image.new("RGB", (600, 400), "white"), "PNG")
    select(page, [payload("white.png", white)])
    page.check("[name=effect][value=solid]", force=True)
    page.click("#shape-polygon")
    pointer = Pointer(page)
    # By its corners, then around.
    for corner in ((0.1, 0.1), (0.3, 0.1), (0.1, 0.4)):
        pointer.click(*corner)
    pointer.click(0.1, 0.1)
    expect(page.locator(".region.polygon")).to_have_count(1)
    pointer.drag((0.7, 0.1), (0.9, 0.1), (0.9, 0.4), (0.7, 0.4), (0.7, 0.12))
    expect(page.locator(".region.polygon")).to_have_count(2)
    page.click("#shape-brush")
    pointer = Pointer(page)
    pointer.drag((0.2, 0.8), (0.8, 0.8))
    pointer.drag((0.5, 0.65), (0.5, 0.95))
    expect(page.locator(".region.brush")).to_have_count(1)
    page.click("#show-original")
    place(page)
    (data,) = results(page).values()
    hidden = pixels(data).max(axis=2) < 128

    def is_hidden(x: float, y: float) -> bool:
        return bool(hidden[round(y * 400), round(x * 600)])

    inside = [(0.15, 0.15), (0.12, 0.3), (0.8, 0.25), (0.3, 0.8), (0.7, 0.81), (0.5, 0.7), (0.5, 0.9)]
    outside = [
        (0.28, 0.35),
        (0.5, 0.25),
        (0.65, 0.25),
        (0.95, 0.25),
        (0.3, 0.7),
        (0.7, 0.92),
        (0.95, 0.8),
        (0.05, 0.05),
    ]
    assert [point for point in inside if not is_hidden(*point)] == []
    assert [point for point in outside if is_hidden(*point)] == []


def test_regions_and_effects_can_be_those_of_all_images(page: Page) -> None:
    sent = manifests_of(page)
    names = ["a.png", "b.png", "c.png"]
    select(page, [payload(name, encode(photo(), "PNG")) for name in names])
    page.locator("#scope label").last.click()
    page.check("[name=effect][value=solid]", force=True)
    page.click("#add-region")
    page.get_by_role("button", name="Same regions on all images").click()
    expect(page.locator("#copied-text")).to_have_text("Copied to 2 other images.")
    page.get_by_role("button", name="Undo").click()
    show(page, "b.png")
    expect(page.locator(".region")).to_have_count(0)
    show(page, "a.png")
    page.get_by_role("button", name="Same regions on all images").click()
    page.get_by_role("button", name="Same effect on all images").click()
    show(page, "c.png")
    expect(page.locator(".region")).to_have_count(1)
    # A copy of its own: what is changed here stays as it is there.
    page.locator(".region").press("ArrowLeft")
    place(page)
    (manifest,) = sent
    assert manifest["spec"]["effect"] == "solid"
    lefts = [image["spec"]["regions"][0]["left"] for image in manifest["images"]]
    assert lefts == pytest.approx([0.35, 0.35, 0.34])
    assert {image["spec"]["effect"] for image in manifest["images"]} == {"solid"}


def test_more_options_have_values_in_words_and_reach_the_engine(page: Page) -> None:
    sent = manifests_of(page)
    select(page, [payload("white.png", encode(Image.new("RGB", (600, 400), "white"), "PNG"))])
    page.check("[name=effect][value=solid]", force=True)
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
    pytest.importorskip("onnxruntime", reason="no package that finds faces is installed")
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


def test_every_action_has_keys(page: Page, two_faces: bytes) -> None:
    pytest.importorskip("onnxruntime", reason="no package that finds faces is installed")
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
    page.check("[name=effect][value=solid]", force=True)
    page.get_by_text("More options").click()
    for side, value in {"left": "12,5", "top": "25", "width": "50", "height": "50"}.items():
        page.fill(f"[name=region_1_{side}]", value)
    page.uncheck("[name=notify]")
    page.click("#submit")
    page.wait_for_url("**/orders/*")
    for _ in range(60):
        if page.locator(".summary.succeeded").count():
            break
        with page.expect_navigation():
            page.get_by_role("link", name="Reload").click()
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


def _contains(text: str) -> Any:
    import re

    return re.compile(re.escape(text))


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
