"""`make screenshots`: every page of a stack of its own, light and dark, on a desktop and on a phone.

PAGES=operator: those of the operator alone; PAGES=people: the others.
"""

import argparse
import io
from collections.abc import Iterator
from pathlib import Path

from imageblur_client import Client
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize

from services.stack.background import BackgroundStack, private_stack
from tests.e2e.conftest import PHOTOGRAPHS
from tests.e2e.web.operator_tour import OperatorTour
from tests.e2e.web.tour import Tour
from tests.support.browser import chromium

DEVICES = {"desktop": ViewportSize(width=1280, height=860), "phone": ViewportSize(width=390, height=844)}
MOST_BYTES = 150_000
TALLEST = 2400
"""Pixels of a page that are kept."""


def main() -> None:
    """Take them all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--language", default="en")
    parser.add_argument("--pages", choices=["all", "people", "operator"], default="all")
    folder, language, pages = vars(parser.parse_args()).values()
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    for device, size in DEVICES.items():
        # A fresh one for each, whose mailbox is empty at first.
        with private_stack() as stack, Client(stack.gateway_address) as client, chromium() as browser:
            context = _context(browser, stack.web, size, language)
            page = context.new_page()
            context.set_default_timeout(60_000)
            for name, extent in _stops(page, stack, client, pages):
                for scheme in ("light", "dark"):
                    page.emulate_media(color_scheme=scheme)
                    shot = page.screenshot(full_page=extent == "page", animations="disabled")
                    _keep(shot, folder / f"{name}-{device}-{scheme}.png")
            context.close()
        print(f"{device}: done")


def _stops(page: Page, stack: BackgroundStack, client: Client, pages: str) -> Iterator[tuple[str, str]]:
    if pages != "operator":
        yield from Tour(page, stack, client, PHOTOGRAPHS).stops()
    if pages != "people":
        for name in OperatorTour(page, stack, client, PHOTOGRAPHS).stops():
            yield name, "page"


def _context(browser: Browser, web: str, size: ViewportSize, language: str) -> BrowserContext:
    touch = size["width"] < 600
    return browser.new_context(base_url=web, viewport=size, locale=language, has_touch=touch, is_mobile=touch)


def _keep(shot: bytes, path: Path) -> None:
    with Image.open(io.BytesIO(shot)) as image:
        picture = image.convert("RGB").crop((0, 0, image.width, min(image.height, TALLEST)))
    for colours in (256, 128, 64):
        picture.quantize(colours, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size < MOST_BYTES:
            return


if __name__ == "__main__":
    main()
