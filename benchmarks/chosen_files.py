"""`python -m benchmarks.chosen_files`: how the order form stays usable with ten thousand pictures chosen.

A real browser (Debian's chromium) chooses a folder of JPEGs of 12 megapixels (links to a few) on a private stack.
Prints, for 200 and for 10,000 pictures: the seconds until the first and all thumbnails in view are there, until those
at the end of the strip are there after a jump to it, until a click there shows the picture's preview, the longest time
that the page did not answer meanwhile, and the memory of the page's process.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from PIL import Image
from playwright.sync_api import CDPSession, Page

from services.stack.background import private_stack
from tests.support.browser import chromium

MB = 1e6
PATIENCE_MS = 600_000
SIZE = (4000, 3000)
WATCH = """
    window.longest = 0;
    let last = performance.now();
    setInterval(() => {
        const now = performance.now();
        window.longest = Math.max(window.longest, now - last - 20);
        last = now;
    }, 20);
"""
IN_VIEW = """[...document.querySelectorAll('.strip li')].filter((item) => {
    const box = document.getElementById('strip-box').getBoundingClientRect();
    const own = item.getBoundingClientRect();
    return own.bottom > box.top && own.top < box.bottom;
})"""


def main() -> None:
    """Choose, scroll, click, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[200, 10_000])
    counts = parser.parse_args().counts
    with private_stack() as stack, tempfile.TemporaryDirectory() as folder, chromium() as browser:
        for count in counts:
            context = browser.new_context(base_url=stack.web, viewport={"width": 1280, "height": 800})
            context.set_default_timeout(PATIENCE_MS)
            page = context.new_page()
            page.goto("/")
            page.evaluate(WATCH)
            session = context.new_cdp_session(page)
            before = _memory(page, session)
            print(f"{count:,} pictures of {SIZE[0] * SIZE[1] / 1e6:.0f} megapixels")
            measure(page, _pictures(Path(folder) / str(count), count))
            rss, heap = _memory(page, session)
            print(f"  memory of the page's process: {before[0] / MB:.0f} MB before, {rss / MB:.0f} MB now")
            print(f"  of which JavaScript: {before[1] / MB:.1f} and {heap / MB:.1f} MB")
            print(f"  elements of the page: {page.evaluate('document.querySelectorAll(`*`).length')}")
            print(f"  height of the page: {page.evaluate('document.documentElement.scrollHeight')} px")
            context.close()


def measure(page: Page, folder: Path) -> None:
    """Choose the pictures of a folder, and print how long each step takes."""
    page.set_input_files("#folder", folder)
    begin = time.monotonic()
    _report("chosen: first thumbnail", begin, page, f"{IN_VIEW}.some((item) => item.querySelector('img'))")
    _report("  all thumbnails in view", begin, page, f"{IN_VIEW}.every((item) => item.querySelector('img'))")
    begin = time.monotonic()
    page.evaluate("document.getElementById('strip-box').scrollTop = 1e9")
    _report("end of the strip: thumbnails", begin, page, f"{IN_VIEW}.every((item) => item.querySelector('img'))")
    begin = time.monotonic()
    page.locator(".strip .thumb").last.click()
    shown = "(() => { const c = document.getElementById('preview'); return !c.hidden && c.width > 300; })()"
    _report("clicked on the last: preview", begin, page, shown)
    print(f"  longest time without an answer: {page.evaluate('window.longest') / 1000:.2f} s")


def _report(what: str, begin: float, page: Page, condition: str) -> None:
    _wait(lambda: bool(page.evaluate(condition)))
    print(f"  {what}: {time.monotonic() - begin:.1f} s")


def _wait(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not reached():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.05)


def _memory(page: Page, session: CDPSession) -> tuple[int, int]:
    """Return the bytes of the page's process, and of its JavaScript after a collection."""
    session.send("HeapProfiler.collectGarbage")
    heap = session.send("Runtime.getHeapUsage")["usedSize"]
    children = psutil.Process().children(recursive=True)
    renderers = [process for process in children if "--type=renderer" in " ".join(process.cmdline())]
    del page
    return max((process.memory_info().rss for process in renderers), default=0), int(heap)


def _pictures(folder: Path, count: int) -> Path:
    folder.mkdir()
    originals = []
    for number in range(5):
        picture = Image.effect_noise((SIZE[0] // 8, SIZE[1] // 8), 20 + 15 * number).convert("RGB").resize(SIZE)
        original = folder / f"IMG_{number:05}.jpg"
        picture.save(original, quality=85)
        originals.append(original)
    for number in range(len(originals), count):
        (folder / f"IMG_{number:05}.jpg").hardlink_to(originals[number % len(originals)])
    return folder


if __name__ == "__main__":
    main()
