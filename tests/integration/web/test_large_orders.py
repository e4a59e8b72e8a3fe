"""Orders of many files in a browser: a strip of those in view, bad files, and uploads that go on."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, FilePayload, Page, Request, Route, expect

from services.gateway.settings import GatewaySettings
from tests.integration.gateway.conftest import Gateway, running
from tests.integration.web.conftest import Web
from tests.support.browser import PATIENCE_MS, chromium
from tests.support.browser_waiting import wait_until
from tests.support.images import encode, photo
from tests.support.waiting import eventually

DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
SMALL = encode(photo(64, 48), "JPEG")


@pytest.fixture
def gateway(settings: GatewaySettings) -> Iterator[Gateway]:
    """One without the small limits of other tests."""
    limits = {"max_image_bytes": 128 << 20, "max_order_bytes": 4 << 30, "max_images": 10_000, "min_free_mb": 0}
    with running(settings.model_copy(update=limits)) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def context(browser: Browser, web: Web) -> Iterator[BrowserContext]:
    context = browser.new_context(base_url=f"http://127.0.0.1:{web.port}", locale="en-GB", viewport=DESKTOP)  # type: ignore[arg-type]
    context.set_default_timeout(3 * PATIENCE_MS)  # hundreds of files, on a machine that may be busy
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    page, errors = context.new_page(), list[str]()
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    assert errors == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two hundred photographs."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number in range(200):
        (folder / f"{number:03}.jpg").write_bytes(SMALL)
    return folder


def photographs(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def large_files(folder: Path, *sizes: int) -> list[Path]:
    """Files with contents of their own; no pictures, which matters to workers only."""
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number}.jpg" for number in range(len(sizes))]
    for number, (path, size) in enumerate(zip(paths, sizes, strict=True)):
        path.write_bytes(os.urandom(1000) * (size // 1000) + bytes([number]) * (size % 1000))
    return paths


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
    assert len(gateway.files()) == 4


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


def is_patch(request: Request) -> bool:
    return request.method == "PATCH"


def small_pieces(page: Page, size: int) -> None:
    """Have the page send requests of so many bytes, so that small files take several."""

    def change(route: Route) -> None:
        script = route.fetch().text()
        assert "const PIECE = 16 << 20;" in script
        route.fulfill(
            body=script.replace("const PIECE = 16 << 20;", f"const PIECE = {size};"), content_type="text/javascript"
        )

    page.context.route("**/order_form/upload.js", change)


def test_an_upload_goes_on_after_a_cut_line(page: Page, gateway: Gateway, tmp_path: Path) -> None:
    files = large_files(tmp_path / "large", 700_000, 900_000, 300_000)
    small_pieces(page, 500_000)
    page.goto("/")
    failed = 0

    def cut(route: Route) -> None:
        nonlocal failed
        if is_patch(route.request) and failed < 2 and route.request.headers["upload-offset"] != "0":
            failed += 1
            route.abort("connectionreset")
        else:
            route.fallback()

    page.route("**/api/uploads/*", cut)
    page.set_input_files("#files", files)
    page.click("#submit")
    expect(page.locator("#upload-text")).to_contain_text("Connection lost. The upload continues")
    page.wait_for_url("**/orders/*")
    assert failed == 2
    assert sorted(path.read_bytes() for path in gateway.files()) == sorted(path.read_bytes() for path in files)


def test_a_reloaded_page_goes_on_where_it_was(context: BrowserContext, gateway: Gateway, tmp_path: Path) -> None:
    files = large_files(tmp_path / "large", 700_000, 900_000, 300_000)
    page = context.new_page()
    small_pieces(page, 500_000)
    page.goto("/")
    offsets: list[int] = []

    def note(request: Request) -> None:
        if is_patch(request):
            offsets.append(int(request.headers["upload-offset"]))

    context.on("request", note)
    held: list[Route] = []

    def hold(route: Route) -> None:
        if is_patch(route.request) and int(route.request.headers["upload-offset"]) >= 1_000_000:
            held.append(route)
        else:
            route.fallback()

    page.route("**/api/uploads/*", hold)
    page.set_input_files("#files", files)
    page.click("#submit")
    eventually(lambda: page.evaluate("0") == 0 and held)
    assert page.title().startswith("52% · ")
    # Leaving warns.
    questions: list[str] = []

    def accept(dialog: Dialog) -> None:
        questions.append(dialog.type)
        dialog.accept()

    page.on("dialog", accept)
    page.reload()
    assert questions == ["beforeunload"]
    page.unroute("**/api/uploads/*", hold)
    card = page.locator("#unfinished")
    expect(card).to_contain_text("1 MB of 1.9 MB (3 images) were sent.")
    page.set_input_files("#unfinished-files", files[:1])
    expect(card).to_contain_text("2 images are not among these, or have changed: 1.jpg, 2.jpg.")
    page.set_input_files("#unfinished-files", files[1:])
    page.wait_for_url("**/orders/*")
    assert offsets == [0, 500_000, 1_000_000, 1_000_000, 1_500_000]
    assert sorted(path.read_bytes() for path in gateway.files()) == sorted(path.read_bytes() for path in files)
    page.goto("/")
    expect(page.locator("#order")).to_be_visible()
    expect(card).to_be_hidden()


def test_handles_of_a_folder_find_the_files_again(page: Page, gateway: Gateway) -> None:
    small_pieces(page, 500_000)
    page.goto("/")
    held: list[Route] = []

    def hold(route: Route) -> None:
        if is_patch(route.request) and int(route.request.headers["upload-offset"]) >= 500_000:
            held.append(route)
        else:
            route.fallback()

    page.route("**/api/uploads/*", hold)
    page.evaluate(
        "async ([count, size]) => {" + MAKE_FOLDER + "window.showDirectoryPicker = async () => folder; }", [3, 600_000]
    )
    page.click("#choose-folder")
    expect(page.locator("#selected-title")).to_contain_text("3 images")
    page.click("#submit")
    eventually(lambda: page.evaluate("0") == 0 and held)
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    page.unroute("**/api/uploads/*", hold)
    page.click("#unfinished-go-on")
    page.wait_for_url("**/orders/*")
    assert sorted(len(path.read_bytes()) for path in gateway.files()) == [1_000, 600_000, 600_000]


def test_an_unfinished_upload_can_be_deleted(page: Page, gateway: Gateway, tmp_path: Path) -> None:
    page.goto("/")
    page.route("**/api/uploads/*", lambda route: None if is_patch(route.request) else route.fallback())
    page.set_input_files("#files", large_files(tmp_path / "large", 400_000))
    page.click("#submit")
    expect(page.locator("#upload-text")).to_contain_text("Uploading: 0%")
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    page.click("#unfinished-delete")
    expect(page.locator("#unfinished")).to_be_hidden()
    assert gateway.files() == []


def test_cancelling_asks_and_deletes_what_was_sent(page: Page, gateway: Gateway, tmp_path: Path) -> None:
    small_pieces(page, 500_000)
    page.goto("/")
    held: list[Route] = []

    def hold(route: Route) -> None:
        if is_patch(route.request) and int(route.request.headers["upload-offset"]) >= 500_000:
            held.append(route)
        else:
            route.fallback()

    page.route("**/api/uploads/*", hold)
    page.set_input_files("#files", large_files(tmp_path / "large", 1_000_000))
    title = page.title()
    page.click("#submit")
    eventually(lambda: page.evaluate("0") == 0 and held)
    assert len(gateway.files()) > 0
    page.click("#cancel-upload")
    expect(page.locator("#keep-uploading")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#cancel-question")).to_be_hidden()
    expect(page.locator("#cancel-upload")).to_be_focused()
    page.click("#cancel-upload")
    page.click("#confirm-cancel")
    expect(page.locator("#form-error")).to_have_text("Upload cancelled. Nothing was saved.")
    assert gateway.files() == []
    assert page.title() == title
    # What was chosen is still there.
    page.unroute("**/api/uploads/*", hold)
    page.click("#submit")
    page.wait_for_url("**/orders/*")
    assert len(gateway.files()) == 1


def test_a_proxy_that_takes_small_requests_only_gets_small_ones(page: Page, gateway: Gateway, tmp_path: Path) -> None:
    sizes: list[int] = []

    def proxy(route: Route) -> None:
        if not is_patch(route.request):
            route.fallback()
            return
        size = int(route.request.headers.get("content-length") or 0) or len(route.request.post_data_buffer or b"")
        sizes.append(size)
        if size > 1 << 20:
            route.fulfill(status=413, content_type="text/html", body="<h1>nginx</h1>")
        else:
            route.fallback()

    page.route("**/api/uploads/*", proxy)
    page.goto("/")
    page.set_input_files("#files", large_files(tmp_path / "large", 3_000_000))
    page.click("#submit")
    page.wait_for_url("**/orders/*")
    assert len(gateway.files()) == 1


def test_errors_of_the_manifest_are_shown_before_anything_is_sent(page: Page, gateway: Gateway, folder: Path) -> None:
    page.goto("/")
    page.set_input_files("#files", photographs(folder)[:1])
    page.check("#notify")
    expect(page.locator("#email")).to_be_focused()
    page.click("#submit")
    expect(page.locator("#email-error")).to_have_text("Enter a valid e-mail address, for example name@example.com.")
    page.fill("#email", "nobody@nowhere")  # valid for the browser, not for the gateway
    page.click("#submit")
    expect(page.locator("#email-error")).to_be_visible()
    expect(page.locator("#email")).to_be_focused()
    assert gateway.files() == []
    page.uncheck("#notify")
    page.click("#submit")
    page.wait_for_url(re.compile("/orders/.+"))


def test_an_order_is_sent_again_under_its_id_unless_it_was_changed(page: Page, folder: Path, gateway: Gateway) -> None:
    sent: list[str] = []
    lost = [True, True]

    def lose_answer(route: Route) -> None:
        sent.append(json.loads(route.request.post_data or "")["request_id"])
        answer = route.fetch()
        if lost and lost.pop():
            route.abort("connectionreset")  # the upload was created, which the page does not learn
        else:
            route.fulfill(response=answer)

    page.route("**/api/uploads", lose_answer)
    page.goto("/")
    page.set_input_files("#files", photographs(folder)[:2])
    page.click("#submit")
    expect(page.locator("#form-error")).to_contain_text("Connection lost")
    page.click("#submit")
    expect(page.locator("#form-error")).to_contain_text("Connection lost")
    wait_until(page, "!document.getElementById('submit').hidden")
    page.locator(".choice", has_text="Pixelate").click()
    page.click("#submit")
    page.wait_for_url("**/orders/*")
    assert sent[0] == sent[1] != sent[2]
    assert len({path.relative_to(gateway.folder).parts[1] for path in gateway.files()}) == 2
