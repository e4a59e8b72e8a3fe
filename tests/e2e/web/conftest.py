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

    Not for the session: its event loop would prevent other tests from running one.
    """
    with chromium() as browser:
        yield browser


class Visitor:
    """A browser context. Errors of the pages and requests to other sites fail the test at its end.

    also: URL prefixes that are allowed in addition.
    """

    def __init__(self, browser: Browser, stack: BackgroundStack, also: Sequence[str] = (), **options: Any) -> None:
        self.context: BrowserContext = browser.new_context(base_url=stack.web, **({"locale": "en-GB"} | options))
        self.context.set_default_timeout(PATIENCE_MS)
        self.errors: list[str] = []
        self._allowed = (stack.web, *also, "blob:", "data:")
        self.context.on("console", self._on_console)
        self.context.on("weberror", lambda error: self.errors.append(f"{error.error}"))
        self.context.on("response", self._on_response)

    def page(self) -> Page:
        """A new tab."""
        return self.context.new_page()

    def _on_console(self, message: ConsoleMessage) -> None:
        # Chromium logs unsuccessful responses; they are not errors of the page.
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            self.errors.append(message.text)

    def _on_response(self, response: Response) -> None:
        if not response.url.startswith(self._allowed):
            self.errors.append(f"request to another site: {response.url}")


@pytest.fixture
def visit(browser: Browser, stack: BackgroundStack) -> Iterator[Any]:
    """Create visitors with options of a browser context."""
    visitors: list[Visitor] = []

    def make(**options: Any) -> Visitor:
        visitors.append(Visitor(browser, stack, **options))
        return visitors[-1]

    yield make
    for visitor in visitors:
        visitor.context.close()
    assert [error for visitor in visitors for error in visitor.errors] == []


@pytest.fixture
def page(visit: Any) -> Page:
    """A tab with default options."""
    page: Page = visit().page()
    return page
