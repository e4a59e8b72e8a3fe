"""Uploads of the order form: they go on after a cut line and a reload, and are deleted when asked."""

import json
import re
from pathlib import Path

from playwright.sync_api import BrowserContext, Dialog, Page, Request, Route, expect

from tests.integration.gateway.conftest import Gateway
from tests.integration.web.form_in_browser import browser, context, folder, gateway, large_files, page, photographs
from tests.integration.web.test_chosen_files import MAKE_FOLDER
from tests.support.browser_waiting import wait_until
from tests.support.waiting import eventually

__all__ = ["browser", "context", "folder", "gateway", "page"]

IS_BEING_SENT = """async () => {
  const form = [...document.scripts].find((script) => script.src.includes("/order_form/"));
  const { isBeingSent, remembered } = await import(new URL("unfinished_uploads.js", form.src));
  const [record] = await remembered();
  return isBeingSent(record.upload);
}"""


def stored(gateway: Gateway) -> list[bytes]:
    """Originals that the gateway has; none while one is being removed.

    For a moment these may be of more than the order: of what the page has found regions in, whose call it has cut.
    """
    try:
        return [path.read_bytes() for path in gateway.files()]
    except FileNotFoundError:
        return []


def is_patch(request: Request) -> bool:
    return request.method == "PATCH"


def hold_after(page: Page, offset: int) -> list[Route]:
    """Hold the pieces from an offset on, until `unroute`; return those that are held."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        if is_patch(route.request) and int(route.request.headers["upload-offset"]) >= offset:
            held.append(route)
        else:
            route.fallback()

    page.route("**/api/uploads/*", hold)
    return held


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
    failed, is_cut = 0, True

    def cut(route: Route) -> None:
        nonlocal failed
        if is_patch(route.request) and is_cut and route.request.headers["upload-offset"] != "0":
            failed += 1
            route.abort("connectionreset")
        else:
            route.fallback()

    page.route("**/api/uploads/*", cut)
    page.set_input_files("#files", files)
    page.click("#submit")
    expect(page.locator("#upload-text")).to_contain_text("Connection lost. The upload continues")
    eventually(lambda: page.evaluate("0") == 0 and failed >= 2)
    is_cut = False
    page.wait_for_url("**/orders/*")
    eventually(lambda: sorted(stored(gateway)) == sorted(path.read_bytes() for path in files))


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
    held = hold_after(page, 1_000_000)
    page.set_input_files("#files", files)
    page.click("#submit")
    eventually(lambda: page.evaluate("0") == 0 and held)
    assert page.title().startswith("52% · ")
    other = context.new_page()
    other.goto("/")
    assert other.evaluate(IS_BEING_SENT), "another window does not offer to go on with it"
    other.close()
    # Leaving warns.
    questions: list[str] = []

    def accept(dialog: Dialog) -> None:
        questions.append(dialog.type)
        dialog.accept()

    page.on("dialog", accept)
    page.reload()
    assert questions == ["beforeunload"]
    page.unroute("**/api/uploads/*")
    card = page.locator("#unfinished")
    expect(card).to_contain_text("1 MB of 1.9 MB (3 images) were sent.")
    page.set_input_files("#unfinished-files", files[:1])
    expect(card).to_contain_text("2 images are not among these, or have changed: 1.jpg, 2.jpg.")
    page.set_input_files("#unfinished-files", files[1:])
    page.wait_for_url("**/orders/*")
    assert offsets == [0, 500_000, 1_000_000, 1_000_000, 1_500_000]
    eventually(lambda: sorted(stored(gateway)) == sorted(path.read_bytes() for path in files))
    page.goto("/")
    expect(page.locator("#order")).to_be_visible()
    expect(card).to_be_hidden()


def test_handles_of_a_folder_find_the_files_again(page: Page, gateway: Gateway) -> None:
    small_pieces(page, 500_000)
    page.goto("/")
    held = hold_after(page, 500_000)
    page.evaluate(
        "async ([count, size]) => {" + MAKE_FOLDER + "window.showDirectoryPicker = async () => folder; }", [3, 600_000]
    )
    page.click("#choose-folder")
    expect(page.locator("#selected-title")).to_contain_text("3 images")
    page.click("#submit")
    eventually(lambda: page.evaluate("0") == 0 and held)
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    page.unroute("**/api/uploads/*")
    page.click("#unfinished-go-on")
    page.wait_for_url("**/orders/*")
    eventually(lambda: sorted(map(len, stored(gateway))) == [1_000, 600_000, 600_000])


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
    eventually(lambda: gateway.files() == [])


def test_cancelling_asks_and_deletes_what_was_sent(page: Page, gateway: Gateway, tmp_path: Path) -> None:
    small_pieces(page, 500_000)
    page.goto("/")
    held = hold_after(page, 500_000)
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
    eventually(lambda: gateway.files() == [])
    assert page.title() == title
    # What was chosen is still there.
    page.unroute("**/api/uploads/*")
    page.click("#submit")
    page.wait_for_url("**/orders/*")
    eventually(lambda: len(gateway.files()) == 1)


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
    eventually(lambda: len(gateway.files()) == 1)


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
    eventually(lambda: gateway.files() == [])
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
    eventually(lambda: len({path.relative_to(gateway.folder).parts[1] for path in gateway.files()}) == 2)
