"""Texts of the pages in all languages, and the language of a request."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.common.domain.languages import DEFAULT_LANGUAGE, LANGUAGES, plural_form
from services.web.http.forms import read_fields

COOKIE = "language"
_YEAR_SECONDS = 365 * 24 * 3600
_FOLDER = Path(__file__).parents[1] / "texts"


@dataclass(frozen=True)
class Texts:
    """The texts of one language by key. A text that depends on a number `n` has plural forms."""

    language: str
    by_key: Mapping[str, str | Mapping[str, str]]

    def __call__(self, key: str, **values: object) -> str:
        """Return a text with its values filled in.

        Raises:
            KeyError: There is no text with this key.
        """
        text = self.by_key[key]
        if not isinstance(text, str):
            number = values["n"]
            assert isinstance(number, int), "n selects the plural form"
            text = text[plural_form(self.language, number)]
        return text.format(**values) if values else text

    def for_scripts(self) -> dict[str, str | Mapping[str, str]]:
        """Return the texts that the scripts of the pages use."""
        return {key: text for key, text in self.by_key.items() if key.startswith("js_")}

    def get(self, key: str, default: str) -> str:
        """Return a text, or the default if there is none with this key."""
        return self(key) if key in self.by_key else default


@cache
def load_texts(language: str) -> Texts:
    """Load the texts of a language. Keys of the operator pages begin with `operator_`."""
    by_key = tomllib.loads((_FOLDER / f"{language}.toml").read_text("utf-8"))
    operator = by_key.pop("operator")
    return Texts(language, by_key | {f"operator_{key}": text for key, text in operator.items()})


def texts_for(request: Request) -> Texts:
    """Return the texts in the language of the cookie, or else in the first known one of Accept-Language."""
    chosen = request.cookies.get(COOKIE, "")
    return load_texts(chosen if chosen in LANGUAGES else _preferred(request.headers.get("accept-language", "")))


async def choose_language(request: Request) -> Response:
    """Set the language cookie, and go back to the page that the form was on."""
    fields = await read_fields(request)
    language, back = str(fields.get("language", "")), str(fields.get("back", "/"))
    # Only to pages of this site: "//" and "/\" would lead to others.
    if not back.startswith("/") or back[1:2] in {"/", "\\"}:
        back = "/"
    response = RedirectResponse(back, 303)
    if language in LANGUAGES:
        response.set_cookie(COOKIE, language, _YEAR_SECONDS, samesite="lax", httponly=True)
    return response


def _preferred(header: str) -> str:
    best, best_weight = DEFAULT_LANGUAGE, 0.0
    for item in header[:500].split(","):
        tag, _, quality = item.partition(";q=")
        language = tag.strip().partition("-")[0].lower()
        try:
            weight = float(quality or 1)
        except ValueError:
            continue
        if language in LANGUAGES and weight > best_weight:
            best, best_weight = language, weight
    return best
