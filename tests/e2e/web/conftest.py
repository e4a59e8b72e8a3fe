"""The pages of a whole stack in a real browser."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Response

from services.stack.background import BackgroundStack
from tests.support.browser import PATIENCE_MS, chromium


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One browser; each test has a context of its own.

    Not for the whole session: while it is there, an event loop runs here, and no other test could run one.
    """
    with chromium() as browser:
        yield browser


class Visitor:
    """A person at a browser. Whatever the pages print_error about, or fetch from elsewhere, fails the test at its end.

    also: beginnings of addresses that are not elsewhere.
    """

    def __init__(self, browser: Browser, stack: BackgroundStack, also: Sequence[str] = (), **options: Any) -> None:
        self.context: BrowserContext = browser.new_context(base_url=stack.web, **({"locale": "en-GB"} | options))
        self.context.set_default_timeout(PATIENCE_MS)
        self.complaints: list[str] = []
        self._expected = (stack.web, *also, "blob:", "data:")
        self.context.on("console", self._heard)
        self.context.on("weberror", lambda error: self.complaints.append(f"{error.error}"))
        self.context.on("response", self._fetched)

    def page(self) -> Page:
        """A new tab."""
        return self.context.new_page()

    def _heard(self, message: ConsoleMessage) -> None:
        # Chromium's own note of an answer that is no success is not a complaint of the page.
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def _fetched(self, response: Response) -> None:
        if not response.url.startswith(self._expected):
            self.complaints.append(f"from elsewhere: {response.url}")


@pytest.fixture
def visit(browser: Browser, stack: BackgroundStack) -> Iterator[Any]:
    """Makes visitors with options of a browser's context."""
    visitors: list[Visitor] = []

    def make(**options: Any) -> Visitor:
        visitors.append(Visitor(browser, stack, **options))
        return visitors[-1]

    yield make
    for visitor in visitors:
        visitor.context.close()
    assert [complaint for visitor in visitors for complaint in visitor.complaints] == []


@pytest.fixture
def page(visit: Any) -> Page:
    """A tab of a browser as most have it."""
    page: Page = visit().page()
    return page
