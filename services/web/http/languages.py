"""Texts of the pages in the languages there are, and which one a person is shown."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from starlette.requests import Request

COOKIE = "language"
NAMES = {"en": "English", "ru": "Русский"}
DEFAULT = "en"
_FOLDER = Path(__file__).parents[1] / "texts"


@dataclass(frozen=True)
class Texts:
    """The texts of one language by key; a key's words may depend on a number `n`."""

    language: str
    words: Mapping[str, str | Mapping[str, str]]

    def __call__(self, key: str, **values: object) -> str:
        """A text with its values filled in.

        Raises:
            KeyError: There is no such text.
        """
        text = self.words[key]
        if not isinstance(text, str):
            number = values["n"]
            assert isinstance(number, int), "which form it takes depends on n"
            text = text[plural_form(self.language, number)]
        return text.format(**values) if values else text

    def for_scripts(self) -> dict[str, str | Mapping[str, str]]:
        """The texts that the pages' scripts use."""
        return {key: words for key, words in self.words.items() if key.startswith("js_")}

    def get(self, key: str, otherwise: str) -> str:
        """A text, or other words where there is none of that key."""
        return self(key) if key in self.words else otherwise


def plural_form(language: str, number: int) -> str:
    """`one`, `few` or `many`: the form that a number takes. Source: Unicode CLDR, integers."""
    if language == "ru":
        if number % 10 == 1 and number % 100 != 11:
            return "one"
        return "few" if 2 <= number % 10 <= 4 and not 12 <= number % 100 <= 14 else "many"
    return "one" if number == 1 else "many"


@cache
def texts(language: str) -> Texts:
    """The texts of a language; those of the operator's pages begin with `operator_`."""
    words = tomllib.loads((_FOLDER / f"{language}.toml").read_text("utf-8"))
    operator = words.pop("operator")
    return Texts(language, words | {f"operator_{key}": text for key, text in operator.items()})


def choose(request: Request) -> Texts:
    """The language that was chosen here, or the first of the browser's that there are texts in."""
    chosen = request.cookies.get(COOKIE, "")
    if chosen in NAMES:
        return texts(chosen)
    return texts(_preferred(request.headers.get("accept-language", "")))


def _preferred(header: str) -> str:
    best, weight = DEFAULT, 0.0
    for item in header[:500].split(","):
        tag, _, quality = item.partition(";q=")
        language = tag.strip().partition("-")[0].lower()
        try:
            wanted = float(quality or 1)
        except ValueError:
            continue
        if language in NAMES and wanted > weight:
            best, weight = language, wanted
    return best
