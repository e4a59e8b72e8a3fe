"""All pages in light and dark mode, checked by axe-core for WCAG 2.2 AA."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe
from imageblur_client import Client
from playwright.sync_api import Page, ViewportSize, expect

from services.stack.background import BackgroundStack
from tests.e2e.conftest import PHOTOGRAPHS
from tests.e2e.web.operator_tour import OperatorTour
from tests.e2e.web.tour import Tour

RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
}
RULES_BY_SCHEME: Mapping[Literal["light", "dark"], Any] = {
    "light": RULES,
    # What depends on colours; the rest is the same, and takes axe seconds a page.
    "dark": {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}},
}
NARROW = 320
"""Pixels. WCAG 2.2, 1.4.10: no scrolling in two directions."""
WIDTH = """async () => {
  for (let frame = 0; frame < 2; frame += 1) await new Promise(requestAnimationFrame);
  return document.documentElement.scrollWidth;
}"""
"""The page's width once its scripts have heard of the window's new size, which they do before the next frame."""
DESKTOP = ViewportSize(width=1280, height=800)


def test_pages_are_accessible_and_fit_a_phone(visit: Any, stack: BackgroundStack, client: Client) -> None:
    # The pages without a gateway have an address of their own.
    page = visit(also=["http://127.0.0.1:"]).page()
    assert findings(page, (name for name, _ in Tour(page, stack, client, PHOTOGRAPHS).stops())) == []


def test_operator_pages_are_accessible_and_fit_a_phone(visit: Any, stack: BackgroundStack, client: Client) -> None:
    page, urls = visit().page(), set[str]()

    def stops() -> Iterator[str]:
        for name in OperatorTour(page, stack, client, PHOTOGRAPHS).stops():
            yield name
            urls.add(page.url)

    assert findings(page, stops()) == []
    russian = visit(locale="ru-RU", viewport={"width": NARROW, "height": 700}).page()
    assert [(url, width) for url in sorted(urls) if (width := width_of(russian, url)) > NARROW] == []
    russian.goto("/operator")
    expect(russian.locator("h1")).to_have_text("Обзор")


def width_of(page: Page, url: str) -> int:
    """Open a page, and return how many pixels it is wide."""
    page.goto(url)
    width: int = page.evaluate(WIDTH)
    return width


def findings(page: Page, stops: Iterable[str]) -> list[str]:
    """Return the violations on each page of a tour."""
    axe, found = Axe(), []
    for name in stops:
        for scheme, rules in RULES_BY_SCHEME.items():
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            # Frames with e-mails run no scripts: messages of axe to them would be errors of the page.
            results = axe.run(page, options={**rules, "iframes": False})
            found += [f"{name} ({scheme}): {violation['id']}: {node['html']}: {node['failureSummary']}"
                      for violation in results.response["violations"] for node in violation["nodes"]]  # fmt: skip
        page.set_viewport_size({"width": NARROW, "height": 700})
        wide = page.evaluate(WIDTH)
        if wide > NARROW:
            found.append(f"{name}: is {wide} pixels wide")
        page.set_viewport_size(DESKTOP)
    return found
