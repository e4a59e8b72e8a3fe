"""Texts: the same keys in all languages, and plural forms."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from starlette.requests import Request

from services.common.domain.languages import LANGUAGES, plural_form
from services.web.http.languages import load_texts, texts_for

WEB = Path(__file__).parents[3] / "services" / "web"


def forms(text: str | Mapping[str, str]) -> list[str]:
    return [text] if isinstance(text, str) else list(text.values())


def test_every_language_has_the_same_keys_with_the_same_values() -> None:
    english = load_texts("en").by_key
    for language in LANGUAGES:
        by_key = load_texts(language).by_key
        assert set(by_key) == set(english)
        for key, text in by_key.items():
            for form in forms(text):
                # The form "one" may omit the number.
                values = set(re.findall(r"\{(\w+)\}", form)) | {"n", "count"}
                assert values >= set(re.findall(r"\{(\w+)\}", forms(english[key])[-1])), (language, key)


def test_every_text_has_all_plural_forms() -> None:
    for language, wanted in (("en", {"one", "many"}), ("ru", {"one", "few", "many"})):
        for key, text in load_texts(language).by_key.items():
            assert isinstance(text, str) or set(text) == wanted, (language, key)


def test_every_text_that_the_pages_use_exists() -> None:
    used = set()
    for path in (WEB / "templates").rglob("*.html"):
        used |= set(re.findall(r"\bt\('(\w+)'[,)]", path.read_text("utf-8")))
    for path in (WEB / "static").rglob("*.js"):
        used |= {f"js_{key}" for key in re.findall(r"\btranslate\(\"(\w+)\"", path.read_text("utf-8"))}
    assert len(used) > 100
    assert used - set(load_texts("en").by_key) == set()


@pytest.mark.parametrize(
    ("language", "form", "numbers"),
    [
        ("en", "one", [1]),
        ("en", "many", [0, 2, 11, 21]),
        ("ru", "one", [1, 21, 101]),
        ("ru", "few", [2, 3, 24, 102]),
        ("ru", "many", [0, 5, 11, 12, 14, 111]),
    ],
)
def test_plural_forms(language: str, form: str, numbers: list[int]) -> None:
    assert {plural_form(language, number) for number in numbers} == {form}


@pytest.mark.parametrize(
    ("cookie", "accepted", "language"),
    [
        ("", "", "en"),
        ("", "ru-RU,ru;q=0.9,en;q=0.8", "ru"),
        ("", "de, en;q=0.5, ru;q=0.7", "ru"),
        ("", "de", "en"),
        ("", "ru;q=x, en", "en"),
        ("ru", "en", "ru"),
        ("xx", "en", "en"),
    ],
)
def test_the_chosen_or_else_the_preferred_language(cookie: str, accepted: str, language: str) -> None:
    headers = [(b"accept-language", accepted.encode()), (b"cookie", f"language={cookie}".encode())]
    assert texts_for(Request({"type": "http", "headers": headers})).language == language
