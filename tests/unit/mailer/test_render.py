import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from services.common.domain.errors import Reason
from services.common.domain.languages import LANGUAGES
from services.mailer.content import render
from services.mailer.content.email_content import Content, FailedImage, Searched
from services.mailer.content.languages import RULES
from services.mailer.content.render import Renderer
from tests.support.email_lint import Page
from tests.unit.mailer.samples import ORDER_ID, URL, confirm, goodbye, newsletter, order_ready, unconfirmed

RENDER = Renderer()
ALL: list[Content] = [
    order_ready(),
    order_ready(parts=3, part=2, first_position=4, last_position=7),
    order_ready(parts=0, first_position=0, last_position=0),
    order_ready(succeeded=0, parts=0),
    order_ready(succeeded=3, failures=[]),
    order_ready(total=1, succeeded=1, failures=[]),
    order_ready(unlisted_failures=4000),
    order_ready(
        parts=0, archive_url="https://blur.example.org/archive?token=T", order_url=f"https://a.b/orders/{ORDER_ID}"
    ),
    order_ready(searched=Searched(images=1, empty=1, hidden=0)),
    order_ready(searched=Searched(images=2, empty=1, hidden=1, remaining=[2])),
    order_ready(searched=Searched(images=900, empty=0, hidden=1234, remaining=[2, 5], unlisted_remaining=300)),
    unconfirmed(),
    unconfirmed(URL, order_url=f"https://a.b/orders/{ORDER_ID}"),
    unconfirmed(succeeded=0, total=1),
    confirm(),
    confirm(URL),
    goodbye(),
    goodbye("https://blur.example.org"),
    newsletter(),
    newsletter(URL),
    newsletter(orders=0, images=0, failed=0),
]


def text_of(html: str) -> str:
    return Page(html).text


@pytest.mark.parametrize("locale", ["en", "ru"])
@pytest.mark.parametrize("content", ALL, ids=lambda content: content.template)
def test_every_email_is_whole_in_every_language(content: Content, locale: str) -> None:
    rendered = RENDER(content, locale)
    assert rendered.subject
    assert "\n" not in rendered.subject
    assert rendered.text.endswith("\n")
    assert "\n\n\n" not in rendered.text
    assert not rendered.text.startswith("\n")
    assert f'<html lang="{locale}">' in rendered.html
    for text in (rendered.subject, rendered.text, text_of(rendered.html)):
        assert not re.search(r"[{}%]|None|Undefined", text)
        # English has no Cyrillic; Russian has more of it than of commands.
        assert bool(re.search("[а-яё]", text)) == (locale == "ru")


@pytest.mark.parametrize("email", ["order_ready", "order_unconfirmed", "confirm_subscription", "newsletter", "goodbye"])
def test_both_languages_have_the_same_templates(email: str) -> None:
    folder = Path(render.__file__).parents[1] / "templates" / email
    assert {path.name for path in folder.iterdir()} == set(LANGUAGES)
    for language in LANGUAGES:
        assert {path.name for path in (folder / language).iterdir()} == {"subject.txt", "body.txt", "body.html"}


def test_an_order_email_tells_what_was_done_what_failed_and_until_when() -> None:
    rendered = RENDER(order_ready(), "en")
    assert rendered.subject == "2 of 3 images blurred · 24 Nov 2026, 09:05 UTC"
    for text in (rendered.text, text_of(rendered.html)):
        assert "2 of 3 images were blurred." in text
        assert "image 3: The PNG file is damaged or incomplete." in text
        assert "1 December 2026, 09:05 UTC" in text
        assert "blur_images.zip" in text


def test_an_order_email_in_russian() -> None:
    rendered = RENDER(order_ready(), "ru")
    assert rendered.subject == "Размыто 2 из 3 изображений · 24.11.2026, 09:05 UTC"
    assert "Размыто изображений: 2 из 3." in rendered.text
    assert "изображение 3: Файл повреждён или неполон." in rendered.text
    assert "1 декабря 2026, 09:05 UTC" in rendered.text


@pytest.mark.parametrize("locale", ["en", "ru"])
@pytest.mark.parametrize("succeeded", [0, 9_998, 10_000])
def test_subjects_tell_orders_apart_and_are_not_cut(locale: str, succeeded: int) -> None:
    """By how many images there are, what became of them, and when they were ordered."""
    values: dict[str, Any] = {"total": 10_000, "succeeded": succeeded}
    later = values | {"ordered_at": datetime(2026, 11, 24, 9, 6, tzinfo=UTC)}
    fewer = values | {"total": 9_999, "succeeded": succeeded - 1 if succeeded else 0}
    for make in (order_ready, unconfirmed):
        subjects = {RENDER(make(**each), locale).subject for each in (values, later, fewer)}
        assert len(subjects) == 3
    assert len(RENDER(order_ready(parts=5, part=5, **values), locale).subject) <= 78
    assert len(RENDER(unconfirmed(**values), locale).subject) <= 78


def test_a_part_says_which_it_is() -> None:
    rendered = RENDER(order_ready(parts=3, part=2, first_position=4, last_position=7), "en")
    assert rendered.subject == "2 of 3 images blurred (part 2 of 3) · 24 Nov 2026, 09:05 UTC"
    assert "part 2 of 3" in rendered.text
    assert "images 4 to 7" in rendered.text


def test_what_is_too_large_for_emails_can_be_downloaded() -> None:
    rendered = RENDER(order_ready(parts=0, first_position=0, last_position=0), "en")
    for text in (rendered.text, text_of(rendered.html)):
        assert f"imageblur download {ORDER_ID} -o DIR" in text
        assert "DownloadImages" in text
        assert "zip" not in text


def test_an_order_without_results_has_no_word_of_an_archive() -> None:
    rendered = RENDER(order_ready(total=1, succeeded=0, parts=0), "en")
    assert rendered.subject == "1 image could not be blurred · 24 Nov 2026, 09:05 UTC"
    assert "The image in your order could not be blurred." in rendered.text
    assert "zip" not in rendered.text
    assert "will be deleted" not in rendered.text
    assert "download" not in rendered.text


def test_more_failures_than_one_can_read_are_counted() -> None:
    assert "and 4,000 more" in RENDER(order_ready(unlisted_failures=4000), "en").text


def test_html_is_escaped() -> None:
    failure = FailedImage(position=1, reason=Reason.CORRUPT, message="<b>bold</b>")
    rendered = RENDER(order_ready(failures=[failure]), "en")
    assert "&lt;b&gt;bold" in rendered.html
    assert "<b>bold</b>" in rendered.text


@pytest.mark.parametrize("message", ["", "line\x00feed", "\u202ereversed"])
def test_a_message_that_is_not_fit_for_an_email_is_replaced(message: str) -> None:
    failure = FailedImage(position=1, reason=Reason.CORRUPT, message=message)
    assert "image 1: The file is damaged or incomplete." in RENDER(order_ready(failures=[failure]), "en").text


@pytest.mark.parametrize("reason", [r for r in Reason if not r.startswith(("MAIL_", "WEBHOOK_"))])
@pytest.mark.parametrize("locale", list(LANGUAGES))
def test_every_reason_has_a_sentence(reason: Reason, locale: str) -> None:
    assert len(RULES[locale].explain(FailedImage(position=1, reason=reason, message=""))) > 10


def test_a_confirmation_names_the_command_and_the_link() -> None:
    without, with_link = RENDER(confirm(), "en"), RENDER(confirm("https://blur.example.org/confirm?token=T"), "en")
    assert without.subject == "Confirm your subscription"
    assert "imageblur confirm T.o-k_en" in without.text
    assert "http" not in without.text
    assert "https://blur.example.org/confirm?token=T\n" in with_link.text
    assert 'href="https://blur.example.org/confirm?token=T"' in with_link.html
    assert "If it was not you, ignore" in without.text


def test_a_newsletter_tells_the_numbers_and_how_to_end_it() -> None:
    rendered = RENDER(newsletter(), "en")
    assert rendered.subject == "ImageBlur this week: 12 orders, 1,340 images"
    assert "From 16 November 2026 to 23 November 2026" in rendered.text
    assert "1 image could not be blurred" in rendered.text
    assert "imageblur unsubscribe --token T.o-k_en" in rendered.text
    assert "http" not in rendered.text
    assert URL in RENDER(newsletter(URL), "en").text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        *[(0, "0 заказов"), (1, "1 заказ"), (2, "2 заказа"), (5, "5 заказов"), (11, "11 заказов"), (21, "21 заказ")],
        *[(22, "22 заказа"), (112, "112 заказов"), (1000, "1\u00a0000 заказов")],
    ],
)
def test_russian_plurals(number: int, text: str) -> None:
    assert RULES["ru"].count(number, "заказ", "заказа", "заказов") == text


def test_an_unknown_language_is_english() -> None:
    assert RENDER(confirm(), "tlh") == RENDER(confirm(), "en")


@pytest.mark.parametrize(
    ("locale", "found", "remaining"),
    [
        (
            "en",
            "5 findings were hidden in 3 images that were searched. In 1 of them nothing was found.",
            "Something that was to be hidden is still found in images 2, 7. Look at them before you pass them on.",
        ),
        (
            "ru",
            "Скрыто находок: 5, просмотрено изображений: 3. Изображений, где ничего не найдено: 1.",
            "То, что нужно было скрыть, по-прежнему обнаруживается на изображениях 2, 7. Посмотрите на них,",
        ),
    ],
)
def test_an_order_email_tells_what_was_found_and_what_remains(locale: str, found: str, remaining: str) -> None:
    rendered = RENDER(order_ready(searched=Searched(images=3, empty=1, hidden=5, remaining=[2, 7])), locale)
    clean = RENDER(order_ready(searched=Searched(images=3, empty=1, hidden=5)), locale)
    for text, without in ((rendered.text, clean.text), (text_of(rendered.html), text_of(clean.html))):
        assert found in text
        assert remaining in text
        assert found in without
        assert remaining[:20] not in without
