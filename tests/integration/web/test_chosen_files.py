"""Hundreds of files in the order form: in reach, in view, named when they are bad, from folders."""

from pathlib import Path

import pytest
from playwright.sync_api import FilePayload, Page, expect

from tests.integration.gateway.conftest import Gateway
from tests.integration.web.form_in_browser import (
    DESKTOP,
    PHONE,
    SMALL,
    browser,
    context,
    folder,
    gateway,
    page,
    photographs,
)
from tests.support.browser_waiting import wait_until
from tests.support.waiting import eventually

__all__ = ["browser", "context", "folder", "gateway", "page"]


def is_in_view(page: Page, selector: str) -> bool:
    return bool(
        page.evaluate(
            """selector => {
                const box = document.querySelector(selector).getBoundingClientRect();
                return box.height > 0 && box.top >= -1 && box.bottom <= innerHeight + 1;
            }""",
            selector,
        )
    )


@pytest.mark.parametrize("device", ["desktop", "phone"])
def test_button_and_settings_are_in_reach_of_two_hundred_images(page: Page, folder: Path, device: str) -> None:
    page.set_viewport_size(DESKTOP if device == "desktop" else PHONE)  # type: ignore[arg-type]
    page.goto("/")
    page.set_input_files("#files", photographs(folder))
    expect(page.locator("#selected-title")).to_contain_text("200 images")
    expect(page.locator(".strip img").first).to_be_visible()
    assert page.locator(".strip li").count() < 60
    # Wherever the page is scrolled to.
    height = page.evaluate("document.documentElement.scrollHeight")
    assert height < (1600 if device == "desktop" else 4000)
    for top in (0, 500, height):
        page.evaluate("top => scrollTo(0, top)", top)
        assert is_in_view(page, "#submit"), top
    if device == "phone":
        page.evaluate("scrollTo(0, 0)")
        page.click("#to-panel")
        wait_until(page, "document.getElementById('panel').getBoundingClientRect().top < innerHeight / 2")
    else:
        page.evaluate("scrollTo(0, 0)")
        assert is_in_view(page, ".panel .choices")


def test_thumbnails_are_made_of_what_is_in_view(page: Page, folder: Path) -> None:
    page.goto("/")
    page.set_input_files("#files", photographs(folder))
    expect(page.locator(".strip img").first).to_be_visible()
    page.evaluate("document.getElementById('strip-box').scrollTop = 1e9")
    last = page.get_by_role("button", name="Select 199.jpg")
    expect(last.locator("img")).to_be_visible()
    expect(page.get_by_role("button", name="Select 050.jpg")).to_have_count(0)
    assert page.locator(".strip li").count() < 60
    last.click()
    assert is_in_view(page, "#stage")
    expect(last).to_have_attribute("aria-pressed", "true")
    expect(last.locator("xpath=..")).to_have_attribute("aria-posinset", "200")


def test_arrow_keys_select_and_delete_removes(page: Page, folder: Path) -> None:
    page.goto("/")
    page.set_input_files("#files", photographs(folder))
    page.get_by_role("button", name="Select 000.jpg").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("button", name="Select 001.jpg")).to_be_focused()
    page.keyboard.press("End")
    expect(page.get_by_role("button", name="Select 199.jpg")).to_be_focused()
    expect(page.get_by_role("button", name="Select 199.jpg")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Delete")
    expect(page.locator("#selected-title")).to_contain_text("199 images")
    expect(page.get_by_role("button", name="Remove 198.jpg")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#selected-title")).to_contain_text("198 images")


def test_bad_files_are_named_and_left_out_with_one_button(page: Page, folder: Path, gateway: Gateway) -> None:
    page.goto("/")
    page.set_input_files("#files", photographs(folder)[:4])
    page.set_input_files("#files", [FilePayload(name="notes.txt", mimeType="text/plain", buffer=b"x")])
    page.set_input_files("#files", [FilePayload(name="empty.jpg", mimeType="image/jpeg", buffer=b"")])
    page.set_input_files("#files", [FilePayload(name=f"{'n' * 256}.png", mimeType="image/png", buffer=b"x")])
    bad = page.locator("#bad-files")
    expect(bad).to_contain_text("2 files cannot be used:")
    expect(bad).to_contain_text("notes.txt: Unsupported format.")
    expect(bad).to_contain_text("empty.jpg: Empty file.")
    page.click("#submit")
    expect(page.locator("#leave-out")).to_be_focused()
    expect(page.locator("#leave-out")).to_have_text("Leave out, and blur 5 images")
    page.click("#leave-out")
    # The gateway finds one more.
    expect(bad).to_contain_text("1 file cannot be used:")
    expect(bad).to_contain_text("The file name is too long")
    page.get_by_role("button", name="Leave out, and blur 4 images").click()
    page.wait_for_url("**/orders/*")
    eventually(lambda: len(gateway.files()) == 4)


def test_folders_are_chosen_and_dropped(page: Page, folder: Path) -> None:
    (folder / "Thumbs.db").write_bytes(b"x")
    (folder / ".hidden.jpg").write_bytes(SMALL)
    (folder / "more").mkdir()
    (folder / "more" / "deep.png").write_bytes(SMALL)
    page.add_init_script("delete window.showDirectoryPicker;")
    page.goto("/")
    page.set_input_files("#folder", folder)
    expect(page.locator("#selected-title")).to_contain_text("201 images")
    expect(page.locator("#announce")).to_contain_text("1 other file in the folder was left out.")
    expect(page.locator("#bad-files")).to_be_hidden()
    page.click("#remove-all")
    # A drop, of a folder of the browser's own file system: what getAsFileSystemHandle returns is the real thing.
    page.evaluate(DROP_FOLDER, 12)
    expect(page.locator("#selected-title")).to_contain_text("12 images")


MAKE_FOLDER = """
    const root = await navigator.storage.getDirectory();
    const folder = await root.getDirectoryHandle('holiday', { create: true });
    for (let n = 0; n < count; n += 1) {
        const handle = await folder.getFileHandle(`${n}.jpg`, { create: true });
        const writer = await handle.createWritable();
        await writer.write(new Uint8Array(n < 2 ? size : 1000).fill(n + 1));
        await writer.close();
    }
"""

DROP_FOLDER = (
    "async (count) => { const size = 1000;"
    + MAKE_FOLDER
    + """
    const transfer = new DataTransfer();
    transfer.items.add(new File(['x'], 'holiday'));
    const event = new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true });
    DataTransferItem.prototype.getAsFileSystemHandle = async () => folder;
    document.body.dispatchEvent(event);
}"""
)
