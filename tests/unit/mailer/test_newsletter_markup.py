import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.infra.signing.tokens import Tokens
from services.mailer.content.email_content import Newsletter
from services.mailer.content.newsletter import NewsletterDrafter
from services.mailer.content.newsletter_markup import Block, TextSpan, parse, split_subject
from services.mailer.content.render import Renderer
from tests.unit.mailer.samples import URL, newsletter

CONTENT = (
    '{"orders": 12, "images": 1340, "failed": 1, "from": "2026-11-16T09:00:00+00:00", '
    '"to": "2026-11-23T09:00:00+00:00", "text": %s}'
)


def drafted(content: str, locale: str) -> Newsletter:
    drafter = NewsletterDrafter(tokens=Tokens("k" * 40), public_url=None)
    draft = drafter.draft(content, address="ann@example.org", locale=locale, token="T")
    assert isinstance(draft.content, Newsletter)
    return draft.content


def test_headings_paragraphs_items_and_links() -> None:
    blocks = parse("# News\nWe did $images images,\nsee https://a.b/c?d=1.\n\n- one\n- two\nEnd\n", {"images": "7"})
    assert blocks == [
        Block("heading", ((TextSpan("News"),),)),
        Block(
            "paragraph", ((TextSpan("We did 7 images, see "), TextSpan("https://a.b/c?d=1", link=True), TextSpan(".")),)
        ),
        Block("items", ((TextSpan("one"),), (TextSpan("two"),))),
        Block("paragraph", ((TextSpan("End"),),)),
    ]


@pytest.mark.parametrize(
    ("text", "subject", "rest"),
    [
        ("Subject: Hi\n\nYou", "Hi", "\nYou"),
        ("subject:\nYou", None, "You"),
        ("You\nSubject: no", None, "You\nSubject: no"),
    ],
)
def test_the_first_line_may_be_the_subject(text: str, subject: str | None, rest: str) -> None:
    assert split_subject(text) == (subject, rest)


@settings(deadline=None)  # the first example loads templates
@given(st.text())
def test_any_text_is_a_text_and_none_of_it_becomes_markup(text: str) -> None:
    html = Renderer()(newsletter(URL, text=text), "en").html
    assert html.count("<script") == 0
    assert html.count("<a ") == 1 + sum(
        span.link for block in parse(split_subject(text)[1], {}) for line in block.lines for span in line
    )


@pytest.mark.parametrize(
    ("texts", "locale", "expected"),
    [
        ('{"en": "Hello $orders", "ru": "Привет $images"}', "ru", "Привет 1\u00a0340"),
        ('{"en": "Hello $orders", "ru": "Привет $images"}', "en", "Hello 12"),
        ('{"en": "Hello"}', "ru", "Hello"),
        ('{"ru": "Привет"}', "en", "Привет"),
        ('{"en": "$unknown $begin"}', "en", "$unknown 16 November 2026"),
    ],
)
def test_subscribers_get_the_text_in_their_language_or_the_one_there_is(texts: str, locale: str, expected: str) -> None:
    (block,) = drafted(CONTENT % texts, locale).text
    assert block.lines[0][0].text == expected


def test_without_a_text_there_are_the_numbers() -> None:
    content = drafted(CONTENT % "{}", "en")
    assert (content.orders, content.title, content.text) == (12, None, ())


def test_the_emails_of_a_mailing_differ_in_their_token_alone() -> None:
    render = Renderer()
    one, two = (
        render(newsletter(f"https://a.b/u?token={token}", text="Hello", token=token), "en") for token in ("One", "Two")
    )
    for part in ("text", "html"):
        assert getattr(one, part).replace("One", "Two") == getattr(two, part)
        assert "https://a.b/u?token=One" in getattr(one, part)
        assert "--token One" in getattr(one, part)
