"""Write screenshots of every e-mail into `docs/emails`: both languages, light and dark.

`python -m tools.screenshot_emails`; requires Chromium (`tools/install_browser.sh`).
"""

import base64
import io
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from uuid import UUID

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from services.common.domain.errors import Reason
from services.mailer.content import thumbnails
from services.mailer.content.email_content import (
    ConfirmSubscription,
    Content,
    FailedImage,
    Goodbye,
    Newsletter,
    OrderReady,
    OrderUnconfirmed,
    PreviewedImage,
)
from services.mailer.content.newsletter_markup import parse, split_subject
from services.mailer.content.render import Renderer

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "emails"
ORDER = UUID("3f2b8a52-5f4e-4d4b-9f63-8f7d2f1c9a10")
SITE = "https://blur.example.org"
TOKEN = "WyI5ZjJhMWU3YzRkM2I0YThmIiwxXQ.aRrb9Q.vX0cR1yq4M2hK8s"  # noqa: S105 - an example
TEXTS = {
    "en": "# Animations\nGIFs keep every frame and its time now.\n\n"
    "- Regions can be drawn on the page\n- Archives contain a summary: $images images have one since Monday\n\n"
    "More at https://blur.example.org/news",
    "ru": "# Анимации\nВ GIF теперь сохраняются все кадры и их время.\n\n"
    "- Области можно рисовать прямо на странице\n- В архиве есть сводка: с понедельника её получили $images\n\n"
    "Подробнее: https://blur.example.org/news",
}
EXAMPLE_IMAGES = ("astronaut.png", "coffee.png", "chelsea.png")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


class ExampleResults:
    """In place of the blob store: photographs in the public domain, pixelated."""

    def get(self, key: str) -> bytes:
        """Return a result as PNG."""
        with Image.open(io.BytesIO((files("skimage") / "data" / key).read_bytes())) as picture:
            small = picture.resize((picture.width // 14, picture.height // 14))
            target = io.BytesIO()
            small.resize(picture.size, Image.Resampling.NEAREST).save(target, "PNG")
            return target.getvalue()

    def stream(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield a picture, or a part of it."""
        data = self.get(key)[offset:]
        yield data if length is None else data[:length]


def emails(locale: str) -> Iterator[tuple[str, Content]]:
    """Yield names and contents."""
    previews = [PreviewedImage(position=position, key=name) for position, name in enumerate(EXAMPLE_IMAGES, 1)]
    made = thumbnails.Thumbnails(ExampleResults())(previews, ORDER, "example.org")
    failed = [FailedImage(position=4, reason=Reason.CORRUPT, message="The PNG file is damaged or incomplete")]
    until = datetime(2026, 12, 1, 9, 5, tzinfo=UTC)
    order_url = f"{SITE}/orders/{ORDER}"
    ready = OrderReady(
        order_id=str(ORDER),
        total=4,
        succeeded=3,
        ordered_at=datetime(2026, 11, 24, 9, 5, tzinfo=UTC),
        failures=failed,
        unlisted_failures=0,
        expires_at=until,
        part=1,
        parts=1,
        first_position=1,
        last_position=3,
        order_url=order_url,
        thumbnails=made,
    )
    yield "order_ready", ready
    archive_url = f"{SITE}/archive?token={TOKEN}"
    large = replace(ready, total=120, succeeded=120, failures=[], parts=0, archive_url=archive_url, thumbnails=())
    yield "order_ready_link", large
    yield (
        "order_unconfirmed",
        OrderUnconfirmed(
            order_id=str(ORDER),
            total=ready.total,
            succeeded=ready.succeeded,
            ordered_at=ready.ordered_at,
            expires_at=ready.expires_at,
            token=TOKEN,
            url=f"{SITE}/receive?token={TOKEN}",
            order_url=order_url,
        ),
    )
    yield "confirm_subscription", ConfirmSubscription(token=TOKEN, url=f"{SITE}/confirm?token={TOKEN}")
    title, text = split_subject(TEXTS[locale])
    begin, end = datetime(2026, 11, 16, 9, tzinfo=UTC), datetime(2026, 11, 23, 9, tzinfo=UTC)
    blocks = tuple(parse(text, {"images": "13\u00a0402" if locale == "ru" else "13,402"}))
    newsletter = Newsletter(
        orders=1284,
        images=13402,
        failed=17,
        begin=begin,
        end=end,
        token=TOKEN,
        url=f"{SITE}/unsubscribe?token={TOKEN}",
        home_url=SITE,
        title=title,
        text=blocks,
    )
    yield "newsletter", newsletter
    yield "goodbye", Goodbye(home_url=SITE)


def screenshot(browser: Browser, name: str, html: str, scheme: str, width: int) -> None:
    """Write one screenshot."""
    page = browser.new_page(
        color_scheme="dark" if scheme == "dark" else "light", viewport={"width": width, "height": 200}
    )
    page.set_content(html)
    page.screenshot(path=FOLDER / f"{name}.png", full_page=True)
    page.close()


def with_thumbnails(content: Content, html: str) -> str:
    """Insert the attached thumbnails, as a mail program does."""
    for thumbnail in content.thumbnails if isinstance(content, OrderReady) else ():
        data = base64.b64encode(thumbnail.data).decode()
        html = html.replace(f"cid:{thumbnail.cid}", f"data:image/jpeg;base64,{data}")
    return html


def main() -> None:
    """Write the screenshots."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("chromium is missing: run tools/install_browser.sh")
    FOLDER.mkdir(exist_ok=True)
    render = Renderer()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for locale in ("en", "ru"):
            for name, content in emails(locale):
                html = with_thumbnails(content, render(content, locale).html)
                for scheme in ("light", "dark"):
                    screenshot(browser, f"{name}.{locale}.{scheme}", html, scheme, 680)
        for name, content in emails("en"):
            if name in {"order_ready", "newsletter"}:
                html = with_thumbnails(content, render(content, "en").html)
                screenshot(browser, f"{name}.en.phone", html, "light", 375)
        browser.close()
    print(f"written to {FOLDER}")


if __name__ == "__main__":
    main()
