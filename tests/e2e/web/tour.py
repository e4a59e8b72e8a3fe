"""All pages of visitors in turn."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

from imageblur.v1.order_pb2 import BlurSpec, Find, FindingKind
from imageblur_client import Client, InputFile
from playwright.sync_api import FilePayload, Page, Route, expect

from services.stack.background import BackgroundStack
from services.web.settings import WebSettings
from tests.e2e.mail import link_of, run_mailing, wait_for_emails
from tests.e2e.web.web_process import pages_without_gateway
from tests.support.browser import choose_effect, hold_uploads, mail_to
from tests.support.browser_waiting import wait_until
from tests.support.ports import free_port

READER = "anna@example.org"


class Tour:
    """Opens one page after the other."""

    def __init__(self, page: Page, stack: BackgroundStack, client: Client, photographs: Path) -> None:
        self.page = page
        self._stack = stack
        self._client = client
        names = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "hubble_deep_field.jpg")
        self._photographs = [photographs / name for name in names]
        self._subscriber = f"reader-{uuid4().hex[:6]}@example.org"
        self._held: list[Route] = []
        self._running_order = ""

    def stops(self) -> Iterator[tuple[str, str]]:
        """Yield the name of each page when it is loaded, and the extent of its screenshot: `page` or `screen`."""
        for visit in (
            self._empty_mailbox,
            self._empty_order,
            self._order,
            self._error,
            self._uploading,
            self._running,
            self._done,
            self._compare,
            self._deleting,
            self._reviewed,
            self._changing_effect,
            self._review,
            self._review_area,
            self._review_compared,
            self._review_form,
            self._newsletter,
            self._subscribed,
            self._confirm,
            self._unsubscribe,
            self._mailbox,
            self._email,
            self._not_found,
            self._expired,
        ):
            visit()
            name = visit.__name__.strip("_").replace("_", "-")
            yield name, "screen" if name in {"compare", "running"} else "page"
        with pages_without_gateway(WebSettings(web_address=f"127.0.0.1:{free_port()}")) as address:
            self.page.goto(address)
            yield "unavailable", "page"

    def _empty_mailbox(self) -> None:
        self.page.goto("/mailbox")

    def _empty_order(self) -> None:
        self.page.goto("/")

    def _order(self) -> None:
        page = self.page
        page.goto("/")
        page.set_input_files("#files", self._photographs)
        expect(page.locator(".strip img")).to_have_count(len(self._photographs))
        page.click("#shape-ellipse")
        self._draw((0.1, 0.5), (0.28, 0.7))
        if page.locator("[name=find_faces]").count():
            page.check("[name=find_faces]")
            expect(page.locator(".finding")).to_have_count(1)
        page.locator("#scope label").last.click()
        choose_effect(page, "pixelate")
        page.locator("#strength").fill("3")
        mail_to(page, READER)
        page.mouse.move(5, 5)

    def _error(self) -> None:
        page = self.page
        page.goto("/")
        page.set_input_files("#files", [self._photographs[1]])
        page.set_input_files("#files", FilePayload(name="notes.txt", mimeType="text/plain", buffer=b"x"))
        expect(page.locator(".strip img")).to_have_count(1)
        mail_to(page, READER)
        page.click("#submit")
        expect(page.locator("#leave-out")).to_be_focused()

    def _uploading(self) -> None:
        page = self.page
        page.goto("/")
        page.set_input_files("#files", self._photographs[:3])
        expect(page.locator(".strip img")).to_have_count(3)
        mail_to(page, READER)
        hold_uploads(page, self._held)
        page.click("#submit")
        expect(page.locator("#upload-text")).to_contain_text("Uploading")

    def _running(self) -> None:
        self.page.click("#cancel-upload")
        self.page.click("#confirm-cancel")
        expect(self.page.locator("#form-error")).to_contain_text("Upload cancelled")
        self.page.unroute_all()
        order = self._client.order(READER, self._photographs * 30)
        self.page.goto(f"/orders/{order.order_id}")
        expect(self.page.locator(".result.succeeded").first).to_be_visible()
        self._running_order = order.order_id

    def _done(self) -> None:
        self._client.delete(self._running_order)
        page = self.page
        page.goto("/")
        page.set_input_files("#files", self._photographs[:4])
        page.set_input_files("#files", FilePayload(name="broken.jpg", mimeType="image/jpeg", buffer=b"no image"))
        expect(page.locator(".strip img")).to_have_count(4)
        page.click("#shape-ellipse")
        self._draw((0.335, 0.04), (0.55, 0.4))
        mail_to(page, READER)
        page.click("#submit")
        page.wait_for_url("**/orders/*")
        expect(page.locator(".summary.partially_failed .delivery.sent")).to_be_visible()
        wait_until(page, "[...document.querySelectorAll('.thumb img')].every(image => image.complete)")

    def _compare(self) -> None:
        self.page.locator("a.compare-link").first.click()
        expect(self.page.locator("#compare-before")).to_be_visible()
        wait_until(self.page, "document.getElementById('compare-before').complete")

    def _deleting(self) -> None:
        self.page.keyboard.press("Escape")
        self.page.click("#delete")

    def _reviewed(self) -> None:
        """An order without an address, in which something was found, and whose originals are kept."""
        files: list[Path | tuple[str, bytes]] = [*self._photographs[:3], ("broken.jpg", b"no image")]
        kinds = {model.kind for model in self._client.limits().find_models}
        spec = BlurSpec(find=[Find(kind=kind) for kind in kinds & {FindingKind.FINDING_KIND_FACE}])
        order = self._client.order(files, spec=spec, keep_originals_for=timedelta(hours=1))
        for _ in self._client.watch(order.order_id):
            pass
        self.page.goto(f"/orders/{order.order_id}")
        expect(self.page.locator("#review-link")).to_be_visible()
        wait_until(self.page, "[...document.querySelectorAll('.thumb img')].every(image => image.complete)")

    def _changing_effect(self) -> None:
        self.page.click("#ask-effect > summary")

    def _review(self) -> None:
        self.page.click("#review-link")
        self.page.wait_for_url("**/review*")
        self.page.locator("#review-list a", has_text="astronaut.png").click()
        expect(self.page.locator("#viewer-before")).to_be_visible()

    def _review_area(self) -> None:
        self.page.keyboard.press("a")
        self.page.locator("#viewer-keys > summary").click()

    def _review_compared(self) -> None:
        self.page.get_by_role("button", name="Undo changes").click()
        self.page.keyboard.press("b")
        self.page.keyboard.press("b")
        expect(self.page.locator("#viewer-divider")).to_be_visible()

    def _review_form(self) -> None:
        # What is there without scripts; it works with them as well.
        address = self.page.locator("#review-list a", has_text="astronaut.png").get_attribute("href")
        self.page.goto(address or "")
        wait_until(self.page, "[...document.querySelectorAll('figure img')].every(image => image.complete)")

    def _newsletter(self) -> None:
        self.page.goto("/newsletter")

    def _subscribed(self) -> None:
        self.page.locator("form[action='/newsletter/subscribe'] [type=email]").fill(self._subscriber)
        self.page.locator("form[action='/newsletter/subscribe'] button").click()
        expect(self.page.locator(".mark.good")).to_be_visible()

    def _confirm(self) -> None:
        (email,) = wait_for_emails(self._stack, self._subscriber)
        self.page.goto(link_of(email, "confirm"))

    def _unsubscribe(self) -> None:
        self.page.locator("main button").click()
        expect(self.page.locator(".mark.good")).to_be_visible()
        run_mailing(self._stack)
        _, newsletter = wait_for_emails(self._stack, self._subscriber, 2)
        self.page.goto(link_of(newsletter, "unsubscribe"))

    def _mailbox(self) -> None:
        self.page.goto("/mailbox")

    def _email(self) -> None:
        self.page.locator(".email-list a", has_text=READER).first.click()
        email = self.page.frame_locator("iframe")
        expect(email.locator("body")).to_be_visible()
        for picture in email.locator("img").all():
            expect(picture).to_have_js_property("complete", value=True)

    def _not_found(self) -> None:
        self.page.goto("/orders/00000000-0000-4000-8000-000000000000")

    def _expired(self) -> None:
        order = self._client.order(READER, [InputFile(b"no image", name="x.jpg")])
        for _ in self._client.watch(order.order_id):
            pass
        with closing(sqlite3.connect(self._stack.data_folder.database, timeout=60)) as database, database:
            # As the scheduler does a week later.
            change = "UPDATE orders SET state = 'EXPIRED', email = NULL WHERE id = ?"
            database.execute(change, (UUID(order.order_id).hex,))
        self.page.goto(f"/orders/{order.order_id}")

    def _draw(self, begin: tuple[float, float], end: tuple[float, float]) -> None:
        page = self.page
        if page.locator("#draw").get_attribute("aria-pressed") == "false":
            page.click("#draw")
        expect(page.locator("#preview")).to_be_visible()
        page.locator("#overlay").scroll_into_view_if_needed()
        box = page.locator("#overlay").bounding_box()
        assert box
        x, y, width, height = box["x"], box["y"], box["width"], box["height"]
        page.mouse.move(x + begin[0] * width, y + begin[1] * height)
        page.mouse.down()
        page.mouse.move(x + end[0] * width, y + end[1] * height, steps=4)
        page.mouse.up()
        expect(page.locator(".region")).to_have_count(1)
