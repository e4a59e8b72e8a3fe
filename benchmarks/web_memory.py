"""`python -m benchmarks.web_memory`: memory of the web process while large orders pass through the page.

A real browser (Debian's chromium) uploads 500 photographs, then one file of 100 MB, to a private stack, and downloads
the results. Prints the process' resident megabytes before, at the peak of each, and after.
"""

import argparse
import tempfile
import time
from importlib.resources import files
from itertools import cycle, islice
from pathlib import Path

from imageblur_client import Client
from PIL import Image
from playwright.sync_api import Page, expect

from services.stack.background import private_stack
from tests.support.browser import chromium
from tests.support.memory import peak, web_process

MB = 1e6
PATIENCE_MS = 600_000
PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "hubble_deep_field.jpg", "retina.jpg", "rocket.jpg")


def main() -> None:
    """Send, download, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--megabytes", type=int, default=100, help="of the large file")
    images, megabytes = vars(parser.parse_args()).values()
    with (
        private_stack() as stack,
        Client(stack.gateway_address) as client,
        tempfile.TemporaryDirectory() as folder,
        chromium() as browser,
    ):
        process = web_process(stack)
        page = browser.new_page(base_url=stack.web)
        page.set_default_timeout(PATIENCE_MS)
        many = [_copy(name, Path(folder), number) for number, name in enumerate(islice(cycle(PHOTOGRAPHS), images))]
        large = Path(folder) / "large.bmp"
        Image.effect_noise((6000, megabytes * 1_000_000 // 18_000), 60).convert("RGB").save(large)
        print(f"before: {process.memory_info().rss / MB:.0f} MB")
        for sources in (many, [large]):
            size = sum(path.stat().st_size for path in sources) / MB
            with peak(process) as seen:
                begin = time.monotonic()
                order_id = _send(page, sources)
                sent = time.monotonic() - begin
            print(f"{len(sources)} files, {size:.0f} MB: uploaded in {sent:.1f} s, peak {seen[0] / MB:.0f} MB")
            for _ in client.watch(order_id):
                pass
            with peak(process) as seen, page.expect_download() as download:
                page.locator(".actions a.primary").click()
                size = Path(download.value.path()).stat().st_size / MB
            print(f"  downloaded as an archive of {size:.0f} MB, peak {seen[0] / MB:.0f} MB")
        print(f"after: {process.memory_info().rss / MB:.0f} MB")


def _send(page: Page, sources: list[Path]) -> str:
    page.goto("/")
    page.set_input_files("#files", sources)
    page.click("#submit")
    page.wait_for_url("**/orders/*")
    expect(page.locator("#order-status")).to_be_visible()
    return page.url.rpartition("/")[2]


def _copy(name: str, folder: Path, number: int) -> Path:
    copy = folder / f"{number:04}-{name}"
    copy.write_bytes((files("skimage") / "data" / name).read_bytes())
    return copy


if __name__ == "__main__":
    main()
