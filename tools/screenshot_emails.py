"""Write every e-mail, as it is rendered, into `docs/emails` as pictures: both languages, light and dark, by Chromium.

`python -m tools.photograph_emails`; needs Chromium (`tools/install_browser.sh`).
"""

import base64
import io
import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from uuid import UUID

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from services.common.domain.errors import Reason
from services.mailer.content import thumbnails
from services.mailer.content.markup import parse, split_subject
from services.mailer.content.models import Confirm, Content, FailedImage, Goodbye, OrderReady, Preview, Weekly
from services.mailer.content.render import Renderer

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "emails"
ORDER = UUID("3f2b8a52-5f4e-4d4b-9f63-8f7d2f1c9a10")
SITE = "https://blur.example.org"
TOKEN = "WyI5ZjJhMWU3YzRkM2I0YThmIiwxXQ.aRrb9Q.vX0cR1yq4M2hK8s"  # noqa: S105 - a picture of one
TEXTS = {
    "en": "# Animations\nGIFs keep every frame and its time now.\n\n"
    "- Regions can be drawn on the page\n- Archives carry a receipt: $images images have one since Monday\n\n"
    "More at https://blur.example.org/news",
    "ru": "# Анимации\nВ GIF теперь сохраняются все кадры и их время.\n\n"
    "- Области можно рисовать прямо на странице\n- В архиве есть сводка: с понедельника её получили $images\n\n"
    "Подробнее: https://blur.example.org/news",
}
PHOTOGRAPHS = ("astronaut.png", "coffee.png", "chelsea.png")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


class Photographs:
    """Stands where results are: photographs in the public domain, made coarse as by pixelation."""

    def get(self, key: str) -> bytes:
        """A picture as PNG."""
        with Image.open(io.BytesIO((files("skimage") / "data" / key).read_bytes())) as picture:
            small = picture.resize((picture.width // 14, picture.height // 14))
            target = io.BytesIO()
            small.resize(picture.size, Image.Resampling.NEAREST).save(target, "PNG")
            return target.getvalue()


def emails(locale: str) -> Iterator[tuple[str, Content]]:
    """Names and contents."""
    previews = [Preview(position, name) for position, name in enumerate(PHOTOGRAPHS, 1)]
    made = thumbnails.Thumbnails(Photographs())(previews, ORDER, "example.org")
    failed = [FailedImage(4, Reason.CORRUPT, "The PNG file is damaged or incomplete")]
    until = datetime(2026, 12, 1, 9, 5, tzinfo=UTC)
    ready = OrderReady(
        str(ORDER), 4, 3, failed, 0, until, 1, 1, 1, 3, order_url=f"{SITE}/orders/{ORDER}", thumbnails=made
    )
    yield "order_ready", ready
    large = OrderReady(
        str(ORDER), 120, 120, [], 0, until, 1, 0, 0, 0, f"{SITE}/orders/{ORDER}", f"{SITE}/archive?token={TOKEN}"
    )
    yield "order_ready_link", large
    yield "confirm_subscription", Confirm(TOKEN, f"{SITE}/confirm?token={TOKEN}")
    title, text = split_subject(TEXTS[locale])
    begin, end = datetime(2026, 11, 16, 9, tzinfo=UTC), datetime(2026, 11, 23, 9, tzinfo=UTC)
    blocks = tuple(parse(text, {"images": "13\u00a0402" if locale == "ru" else "13,402"}))
    yield (
        "weekly_mailing",
        Weekly(1284, 13402, 17, begin, end, TOKEN, f"{SITE}/unsubscribe?token={TOKEN}", SITE, title, blocks),
    )
    yield "goodbye", Goodbye(SITE)


def photograph(browser: Browser, name: str, html: str, scheme: str, width: int) -> None:
    """One picture."""
    page = browser.new_page(
        color_scheme="dark" if scheme == "dark" else "light", viewport={"width": width, "height": 200}
    )
    page.set_content(html)
    page.screenshot(path=FOLDER / f"{name}.png", full_page=True)
    page.close()


def with_pictures(content: Content, html: str) -> str:
    """What a mail program does with pictures that an e-mail carries."""
    for thumbnail in content.thumbnails if isinstance(content, OrderReady) else ():
        data = base64.b64encode(thumbnail.data).decode()
        html = html.replace(f"cid:{thumbnail.cid}", f"data:image/jpeg;base64,{data}")
    return html


def main() -> None:
    """Write the pictures."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("chromium is not installed: tools/install_browser.sh")
    FOLDER.mkdir(exist_ok=True)
    render = Renderer()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for locale in ("en", "ru"):
            for name, content in emails(locale):
                html = with_pictures(content, render(content, locale).html)
                for scheme in ("light", "dark"):
                    photograph(browser, f"{name}.{locale}.{scheme}", html, scheme, 680)
        for name, content in emails("en"):
            if name in {"order_ready", "weekly_mailing"}:
                html = with_pictures(content, render(content, "en").html)
                photograph(browser, f"{name}.en.phone", html, "light", 375)
        browser.close()
    print(f"written to {FOLDER}")


if __name__ == "__main__":
    main()
