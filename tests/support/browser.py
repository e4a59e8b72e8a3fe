"""A real Chromium, Debian's: `tools/install_browser.sh` installs it."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Shared memory is small in containers.
    "--disable-dev-shm-usage",
]

PATIENCE_MS = 45_000
"""How long something is waited for: a machine may be busy with other things."""


@contextmanager
def chromium(**options: Any) -> Iterator[Browser]:
    """The browser, until the block ends; skips the test where there is none, unless CI says that there has to be."""
    path = shutil.which("chromium")
    if path is None:
        if os.environ.get("CI") == "true":
            raise RuntimeError("chromium is not installed: tools/install_browser.sh")
        pytest.skip("chromium is not installed: tools/install_browser.sh")
    with sync_playwright() as playwright:
        expect.set_options(timeout=PATIENCE_MS)
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS, timeout=60_000, **options)
        try:
            yield browser
        finally:
            browser.close()


def mail_to(page: Page, address: str) -> None:
    """Have the results of the form's order mailed to an address: only then is one asked for."""
    page.check("[name=notify]")
    page.fill("#email", address)


def choose_effect(page: Page, effect: str) -> None:
    """Choose an effect in the form, by the card around its button."""
    chosen = page.locator(f"[name=effect][value={effect}]")
    page.locator(".choice", has=chosen).click()
    expect(chosen).to_be_checked()


def hold_uploads(page: Page, held: list[Route]) -> None:
    """Hold the bytes of uploads; without the route, the browser would send them on at once."""

    def hold(route: Route) -> None:
        if route.request.method == "PATCH":
            held.append(route)
        else:
            route.fallback()

    page.route("**/api/uploads/*", hold)
