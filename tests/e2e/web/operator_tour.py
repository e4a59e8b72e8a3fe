"""All operator pages in turn, each with data on it."""

from collections.abc import Iterator
from pathlib import Path

import grpc
from imageblur.v1 import operator_pb2, order_pb2
from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1.operator_service_pb2_grpc import OperatorServiceStub
from imageblur_client import Client, InputFile
from playwright.sync_api import Page, expect

from services.stack.background import BackgroundStack
from tests.e2e.mail import run_mailing, wait_for_emails
from tests.e2e.web.failing_images import crash_image
from tests.support.waiting import eventually

OWNER = "anna@example.org"
FACES = order_pb2.Find(kind=order_pb2.FINDING_KIND_FACE)


class OperatorTour:
    """Opens one page after the other."""

    def __init__(self, page: Page, stack: BackgroundStack, client: Client, photographs: Path) -> None:
        self.page = page
        self._stack = stack
        self._client = client
        self._photographs = [photographs / name for name in ("astronaut.png", "chelsea.png", "coffee.png")]
        self._order = ""

    def stops(self) -> Iterator[str]:
        """Yield the name of each page when it is loaded."""
        with grpc.insecure_channel(self._stack.gateway_address) as channel:
            self._fill(OperatorServiceStub(channel))
            viewer = OperatorServiceStub(channel).CreateApiKey(
                pb.CreateApiKeyRequest(name="wall display", role=operator_pb2.API_KEY_ROLE_VIEWER)
            )
        for visit in (
            self._overview,
            self._purging,
            self._orders,
            self._dry_run,
            self._order_page,
            self._failures,
            self._webhooks,
            self._mailings,
            self._preview,
            self._mail_check,
            self._newsletter_text,
            self._email_texts,
            self._email_text,
            self._import_result,
            self._subscribers,
            self._keys,
            self._new_key,
            self._key,
            self._audit,
            self._sign_in,
        ):
            visit()
            yield f"operator-{visit.__name__.strip('_').replace('_', '-')}"
        eventually(lambda: try_sign_in(self.page, viewer.key))
        yield "operator-viewer"
        self.page.goto("/operator/keys")
        yield "operator-forbidden"

    def _fill(self, operator: OperatorServiceStub) -> None:
        """Place orders (one completed and e-mailed, one with invalid files, one crashed), and run a mailing."""
        self._client.subscribe("reader@example.org")
        broken = [InputFile(b"no image", name=f"{number}.jpg") for number in range(3)]
        orders: list[list[Path | InputFile]] = [
            [*self._photographs * 4],
            [self._photographs[0], *broken],
            [*self._photographs],
        ]
        for files in orders:
            finds = files is orders[-1]
            spec = order_pb2.BlurSpec(find=[FACES]) if finds else None
            order = self._client.order(OWNER, files, spec=spec, notify=True)
            for _ in self._client.watch(order.order_id):
                pass
        self._order = order.order_id
        crash_image(self._stack, self._client, operator, "bert@example.org")
        wait_for_emails(self._stack, OWNER, 3)
        run_mailing(self._stack)

    def _overview(self) -> None:
        self.page.goto("/operator")
        expect(self.page.locator(".queue")).to_have_count(7)

    def _purging(self) -> None:
        self.page.locator("#queue-blur summary").click()
        expect(self.page.locator("#queue-blur .popover")).to_be_visible()

    def _orders(self) -> None:
        self.page.goto("/operator/orders")

    def _dry_run(self) -> None:
        self.page.check("input[name=scope][value=all]")
        self.page.select_option("#action", "extend")
        self.page.get_by_role("button", name="Check").click()
        expect(self.page.locator(".dry-run-count")).to_be_visible()

    def _order_page(self) -> None:
        self.page.goto(f"/operator/orders/{self._order}")
        expect(self.page.locator(".images tbody tr").first).to_be_visible()

    def _failures(self) -> None:
        self.page.goto("/operator/failures")

    def _webhooks(self) -> None:
        order = self._client.order(self._photographs[:1], webhook_url="https://hooks.invalid/imageblur")
        for _ in self._client.watch(order.order_id):
            pass

        def is_tried() -> bool:
            self.page.goto("/operator/webhooks")
            return "cannot be resolved" in self.page.locator("main").inner_text()

        eventually(is_tried)

    def _mailings(self) -> None:
        self.page.goto("/operator/mailings")

    def _preview(self) -> None:
        self.page.get_by_role("link", name="Preview").click()
        expect(self.page.frame_locator("iframe").locator("body")).not_to_be_empty()

    def _mail_check(self) -> None:
        self.page.goto("/operator/mailings")
        self.page.fill("#email", OWNER)
        self.page.get_by_role("button", name="Check mail server").click()
        expect(self.page.locator("main pre")).to_be_visible()

    def _newsletter_text(self) -> None:
        self.page.goto("/operator/newsletter")
        self.page.get_by_role("textbox", name="English").fill(
            "Subject: News\n\n# Polygons\n\n- $images images were blurred"
        )
        self.page.locator("form.text-editor").get_by_role("button", name="Dark").first.click()
        expect(self.page.frame_locator("iframe[name=preview]").get_by_text("Polygons")).to_be_visible()
        expect(self.page.frame_locator("iframe[name=preview-phone]").locator("body")).not_to_be_empty()

    def _email_texts(self) -> None:
        self.page.goto("/operator/texts")

    def _email_text(self) -> None:
        self.page.locator("a[href='/operator/texts/goodbye/en']").click()
        expect(self.page.frame_locator("iframe[name=preview]").locator("body")).not_to_be_empty()

    def _subscribers(self) -> None:
        self.page.goto("/operator/subscribers")
        expect(self.page.locator("main .rows tbody tr")).not_to_have_count(0)

    def _import_result(self) -> None:
        self.page.goto("/operator/subscribers")
        text = "email,language,time_zone\n" + "".join(
            f"reader{number}@example.org,{'ru' if number % 3 else 'en'},Europe/Moscow\n" for number in range(30)
        )
        self.page.set_input_files(
            "#file", {"name": "fair.csv", "mimeType": "text/csv", "buffer": (text + "nobody,en,\n").encode()}
        )
        self.page.fill("#source", "fair 2026")
        self.page.select_option("#consent", "attested")
        self.page.fill("#consent_date", "2026-05-31")
        self.page.get_by_role("button", name="Import", exact=True).click()
        expect(self.page.get_by_role("heading", name="Import finished")).to_be_visible()

    def _keys(self) -> None:
        self.page.goto("/operator/keys")

    def _new_key(self) -> None:
        self.page.fill("#name", "batch import")
        self.page.get_by_role("button", name="Create key").click()
        expect(self.page.locator("#new-key")).to_be_visible()

    def _key(self) -> None:
        self.page.goto("/operator/keys")
        self.page.get_by_role("link", name="Restrict: batch import").click()
        self.page.get_by_label("Orders: place").check()
        self.page.fill("#images_per_day", "5000")

    def _audit(self) -> None:
        self.page.goto("/operator/audit")

    def _sign_in(self) -> None:
        self.page.goto("/operator/sign-in")


def sign_in(page: Page, key: str, address: str = "/") -> None:
    """Sign in with a key."""
    page.goto(f"{address}operator/sign-in")
    page.fill("#key", key)
    page.locator("main button").click()


def try_sign_in(page: Page, key: str, address: str = "/") -> bool:
    """Sign in; False if the gateway does not know the new key yet."""
    sign_in(page, key, address)
    page.wait_for_load_state()
    return not page.url.endswith("/sign-in")
