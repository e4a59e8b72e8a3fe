"""`python -m benchmarks.operator_tasks`: clicks and seconds of frequent tasks of operators, in a real browser.

On a stack of its own with a thousand orders. Prints the rows of the table in docs/operators.md. Seconds are those of
the service and the browser, without the time that a person needs to read and to type.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from imageblur_client import Client
from playwright.sync_api import Page, expect
from sqlalchemy import select, update

from services.common.db.clock import SECOND
from services.common.db.engine import Database
from services.common.db.models import Delivery, Email, Image, Order
from services.stack.background import BackgroundStack, private_stack
from tests.e2e.conftest import PHOTOGRAPHS
from tests.support.browser import chromium
from tests.support.seed import Seed, seed_orders
from tests.support.waiting import eventually

ORDERS = 1000
HOUR = timedelta(hours=1)
REPLY = "550 5.1.1 <gone@somewhere.example>: user unknown"


@dataclass
class Operator:
    """A browser whose clicks are counted."""

    page: Page
    clicks: int = 0
    fields: int = 0

    def click(self, role: str, name: str, *, inside: str = "main", nth: int = 0) -> None:
        """Click a link, a button or a row's summary."""
        self.clicks += 1
        scope = self.page.locator(inside)
        found = scope.locator("summary", has_text=name) if role == "summary" else scope.get_by_role(role, name=name)  # type: ignore[arg-type]
        found.nth(nth).click()

    def navigate(self, name: str) -> None:
        """Click a page's name in the navigation."""
        self.clicks += 1
        self.page.get_by_role("navigation", name="Operator pages").get_by_role("link", name=name, exact=True).click()

    def fill(self, selector: str, text: str) -> None:
        """Type into a field."""
        self.fields += 1
        self.page.fill(selector, text)

    def choose(self, selector: str, value: str) -> None:
        """Choose from a list."""
        self.fields += 1
        self.page.select_option(selector, value)


def main() -> None:
    """Do the tasks, and print the rows."""
    with private_stack() as stack, Client(stack.gateway_address) as client, chromium() as browser:
        page = browser.new_context(base_url=stack.web, locale="en-GB", timezone_id="Europe/Berlin").new_page()
        tasks = _prepare(stack, client)
        for name, task in tasks.items():
            page.goto("/operator")
            operator, begin = Operator(page), time.perf_counter()
            task(operator)
            seconds = time.perf_counter() - begin
            print(f"| {name} | {operator.clicks} clicks, {operator.fields} fields, {seconds:.1f} s |")


def _prepare(stack: BackgroundStack, client: Client) -> dict[str, Callable[[Operator], None]]:
    database = Database(f"sqlite:///{stack.data_folder.database}")
    seed_orders(database, Seed(orders=ORDERS, days=7))
    wanted = _finished(client, "anna.schmidt@somewhere.example")
    bounced = _finished(client, "gone@somewhere.example", notify=True)
    timed_out = _finished(client, "late@somewhere.example", images=3)
    yesterday = int((datetime.now().astimezone() - timedelta(days=1)).timestamp()) * SECOND
    with database.write() as session:
        session.execute(
            update(Image)
            .where(Image.order_id == UUID(timed_out))
            .values(state="FAILED", reason="TIMED_OUT", message="the image took longer than 60 seconds")
            .values(finished_at=yesterday)
        )
        counts = {"state": "FAILED", "succeeded": 0, "failed": 3}
        session.execute(update(Order).where(Order.id == UUID(timed_out)).values(**counts))
        eventually(lambda: session.scalar(select(Email.id)) is not None)
        delivery = select(Delivery.id).where(Delivery.order_id == UUID(bounced))
        session.execute(update(Email).where(Email.delivery_id.in_(delivery)).values(state="FAILED", smtp_reply=REPLY))
        session.execute(
            update(Delivery)
            .where(Delivery.order_id == UUID(bounced))
            .values(state="FAILED", reason="MAIL_REFUSED", message=REPLY)
        )
    database.close()

    def find(operator: Operator) -> None:
        operator.navigate("Orders")
        operator.fill("#search", "schmidt@some")
        operator.click("button", "Search")
        expect(operator.page.locator(".rows tbody th")).to_contain_text(wanted[:8])

    def retry(operator: Operator) -> None:
        operator.navigate("Failures")
        operator.choose("#period", "yesterday")
        operator.click("button", "Filter")
        operator.click("summary", "Retry all", inside=".group:has-text('timed out')")
        operator.click("button", "Retry all", inside=".group:has-text('timed out')")
        expect(operator.page.get_by_role("status")).to_have_text("3 failures queued for retry.")

    def explain(operator: Operator) -> None:
        operator.navigate("Orders")
        operator.fill("#search", "gone@")
        operator.click("button", "Search")
        operator.click("link", bounced[:8])
        expect(operator.page.locator(".trace")).to_contain_text("550 5.1.1 <g***@somewhere.example>: user unknown")

    def schedule(operator: Operator) -> None:
        today = datetime.now().astimezone()
        monday = (today + timedelta(days=7 - today.weekday())).replace(hour=9, minute=0, tzinfo=None)
        operator.navigate("Mailings")
        operator.clicks += 1
        operator.page.locator("details.send > summary").click()
        operator.choose("#when", "local")
        operator.fill("#time", monday.isoformat(timespec="minutes"))
        operator.clicks += 1
        operator.page.locator("details.send button.primary").click()
        expect(operator.page.get_by_role("status")).to_be_visible()

    return {
        "find an order by a part of an address": find,
        "retry all images that timed out yesterday": retry,
        "send the newsletter on Monday, 9:00 by each reader's clock": schedule,
        "see why an e-mail did not arrive": explain,
    }


def _finished(client: Client, email: str, *, images: int = 1, notify: bool = False) -> str:
    order = client.order([PHOTOGRAPHS / "rocket.jpg"] * images, email=email, notify=notify, keep_originals_for=HOUR)
    for _ in client.watch(order.order_id):
        pass
    if notify:
        eventually(lambda: client.status(order.order_id).order.deliveries[0].HasField("send_time"))
    return order.order_id


if __name__ == "__main__":
    main()
