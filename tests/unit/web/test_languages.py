"""The pages' words: the same in all languages, and in the right form."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from starlette.requests import Request

from services.web.http.languages import NAMES, choose, plural_form, texts

WEB = Path(__file__).parents[3] / "services" / "web"


def forms(words: str | Mapping[str, str]) -> list[str]:
    return [words] if isinstance(words, str) else list(words.values())


def test_every_text_is_there_in_every_language_with_the_same_values() -> None:
    english = texts("en").words
    for language in NAMES:
        words = texts(language).words
        assert set(words) == set(english)
        for key in words:
            for form in forms(words[key]):
                # The form of "one" may do without its number.
                values = set(re.findall(r"\{(\w+)\}", form)) | {"n", "count"}
                assert values >= set(re.findall(r"\{(\w+)\}", forms(english[key])[-1])), (language, key)


def test_every_form_that_a_language_has_is_there() -> None:
    for language, wanted in (("en", {"one", "many"}), ("ru", {"one", "few", "many"})):
        for key, words in texts(language).words.items():
            assert isinstance(words, str) or set(words) == wanted, (language, key)


def test_every_text_that_the_pages_use_exists() -> None:
    words = texts("en").words
    used = set()
    for path in (WEB / "templates").rglob("*.html"):
        used |= set(re.findall(r"\bt\('(\w+)'[,)]", path.read_text("utf-8")))
    for path in (WEB / "static").glob("*.js"):
        used |= {f"js_{key}" for key in re.findall(r"\bsay\(\"(\w+)\"", path.read_text("utf-8"))}
    assert len(used) > 100
    assert used - set(words) == set()


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
def test_forms_of_numbers(language: str, form: str, numbers: list[int]) -> None:
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
def test_the_language_that_was_chosen_or_is_preferred(cookie: str, accepted: str, language: str) -> None:
    headers = [(b"accept-language", accepted.encode()), (b"cookie", f"language={cookie}".encode())]
    assert choose(Request({"type": "http", "headers": headers})).language == language
