"""The languages of pages and e-mails."""

from collections.abc import Mapping

LANGUAGES: Mapping[str, str] = {"en": "English", "ru": "Русский"}
"""Their own names, by code. A further one needs texts: the tests name what is missing."""
DEFAULT_LANGUAGE = "en"


def plural_form(language: str, number: int) -> str:
    """Return `one`, `few` or `many`. Source: Unicode CLDR, plural rules of integers."""
    if language == "ru":
        if number % 10 == 1 and number % 100 != 11:
            return "one"
        return "few" if 2 <= number % 10 <= 4 and not 12 <= number % 100 <= 14 else "many"
    return "one" if number == 1 else "many"
