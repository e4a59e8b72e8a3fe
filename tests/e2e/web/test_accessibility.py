"""Every page, in light and in dark, before axe-core: WCAG 2.2 AA as far as a program can tell."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from imageblur_client import Client
from playwright.sync_api import ViewportSize

from services.stack.background import BackgroundStack
from tests.e2e.conftest import PHOTOGRAPHS
from tests.e2e.web.tour import Tour

RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
}
NARROW = 320
"""WCAG 2.2, 1.4.10: without scrolling in two directions."""
DESKTOP = ViewportSize(width=1280, height=800)


@pytest.mark.timeout(300)
def test_axe_finds_nothing_on_any_page_and_all_of_them_fit_a_phone(
    visit: Any, stack: BackgroundStack, client: Client
) -> None:
    # The pages without a gateway are another site.
    page = visit(also=["http://127.0.0.1:"]).page()
    axe = Axe()
    found = []
    for name, _ in Tour(page, stack, client, PHOTOGRAPHS).stops():
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            results = axe.run(page, options=RULES)
            found += [f"{name} ({scheme}): {violation['id']}: {node['html']}: {node['failureSummary']}"
                      for violation in results.response["violations"] for node in violation["nodes"]]  # fmt: skip
        page.set_viewport_size({"width": NARROW, "height": 700})
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > NARROW:
            found.append(f"{name}: is {wide} pixels wide")
        page.set_viewport_size(DESKTOP)
    assert found == []
