"""Wait in a page whose policy forbids to evaluate strings, as `Page.wait_for_function` does each time."""

from playwright.sync_api import Page

from tests.support.waiting import eventually


def wait_until(page: Page, expression: str, argument: object = None) -> None:
    """Wait until an expression, or a function of the argument, is true in the page."""
    eventually(lambda: page.evaluate(expression, argument), within=30)
