"""Choosing what to hide on the order form: what is shown is what is covered, in real results."""

import io

import numpy as np
import pytest
from imageblur_client import Client
from PIL import Image
from playwright.sync_api import Page, expect

from tests.e2e.web.order_form import (
    FIND_MARK,
    Pointer,
    findings_of,
    manifests_of,
    payload,
    pixels,
    place,
    results,
    select,
    show,
    two_faces,
)
from tests.support.browser import choose_effect
from tests.support.heif_files import DEPTH, GAIN_MAP, auxiliary, box, coded, grid, heic, heif, irot
from tests.support.images import encode, oriented, photo, photo_16
from tests.support.oriented_files import find_mark, oriented_files

__all__ = ["two_faces"]


def test_what_is_marked_is_covered_however_a_file_says_that_it_is_turned(page: Page) -> None:
    files = list(oriented_files())
    select(page, [payload(file.name, file.data) for file in files])
    page.click("#show-original")
    choose_effect(page, "solid")
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
    choose_effect(page, "solid")
    place(page)
    made = results(page)
    assert {name.removeprefix("blur_").partition(".")[0] for name in made} == {name[:8] for name in pictures}
    sizes = [pixels(data).shape[1::-1] for _, data in sorted(made.items())]
    assert sizes == [(128, 128), (96, 64), (64, 96), (96, 64)]
    assert max(int(pixels(data).max()) for data in made.values()) < 8, "all of each is black"
    assert not [part for part in hidden for data in made.values() if part[len(part) // 2 :][:20] in data]


def test_a_face_that_is_left_out_stays_and_the_other_is_hidden(page: Page, client: Client, two_faces: bytes) -> None:
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
    # The check may find a face again in what was redacted, and hide it more strongly: one finding more.
    assert sorted({finding.applied for finding in one}) == [False, True]
    assert sum(not finding.applied for finding in one) == 1
    assert {finding.applied for finding in both} == {True}
    assert len(both) >= 2
    assert [finding.applied for finding in none] == [False, False]
    before, made = pixels(two_faces), results(page)
    changed = np.abs(pixels(made["blur_two.jpg"]) - before).max(axis=2) > 30
    assert changed[:, 512:].any() == left_one
    assert changed[:, :512].any() != left_one
    assert not (np.abs(pixels(made["blur_none.jpg"]) - before) > 30).any()


def test_polygons_and_strokes_hide_what_they_cover(page: Page) -> None:
    white = encode(Image.new("RGB", (600, 400), "white"), "PNG")
    select(page, [payload("white.png", white)])
    choose_effect(page, "solid")
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
    choose_effect(page, "solid")
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
