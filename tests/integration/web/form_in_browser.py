"""The order form in a browser over a gateway without workers, and files for it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from services.gateway.settings import GatewaySettings
from tests.integration.gateway.conftest import Gateway, running
from tests.integration.web.conftest import Web
from tests.support.browser import PATIENCE_MS, chromium
from tests.support.images import encode, photo

DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}

SMALL = encode(photo(64, 48), "JPEG")


@pytest.fixture
def gateway(settings: GatewaySettings) -> Iterator[Gateway]:
    """One without the small limits of other tests."""
    limits = {"max_image_bytes": 128 << 20, "max_order_bytes": 4 << 30, "max_images": 10_000, "min_free_mb": 0}
    with running(settings.model_copy(update=limits)) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def context(browser: Browser, web: Web) -> Iterator[BrowserContext]:
    context = browser.new_context(base_url=f"http://127.0.0.1:{web.port}", locale="en-GB", viewport=DESKTOP)  # type: ignore[arg-type]
    context.set_default_timeout(3 * PATIENCE_MS)  # hundreds of files, on a machine that may be busy
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    page, errors = context.new_page(), list[str]()
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    assert errors == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two hundred photographs."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number in range(200):
        (folder / f"{number:03}.jpg").write_bytes(SMALL)
    return folder


def photographs(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def large_files(folder: Path, *sizes: int) -> list[Path]:
    """Files with contents of their own; no pictures, which matters to workers only."""
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number}.jpg" for number in range(len(sizes))]
    for number, (path, size) in enumerate(zip(paths, sizes, strict=True)):
        path.write_bytes(os.urandom(1000) * (size // 1000) + bytes([number]) * (size % 1000))
    return paths
