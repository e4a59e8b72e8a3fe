"""Puts letters into words: `templates/<letter>/<language>/{subject.txt,body.txt,body.html}`."""

from dataclasses import dataclass, fields
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from services.mailer.contents import Content
from services.mailer.languages import DEFAULT, LANGUAGES

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Rendered:
    """A letter in words."""

    subject: str
    text: str
    html: str


class Renderer:
    """Knows the templates in all languages."""

    def __init__(self) -> None:
        self._environments = {language: _environment(language) for language in LANGUAGES}

    def __call__(self, content: Content, locale: str) -> Rendered:
        """A letter in the reader's language, or in English."""
        language = locale if locale in LANGUAGES else DEFAULT
        environment = self._environments[language]
        context = {field.name: getattr(content, field.name) for field in fields(content)}
        subject, text, html = (
            environment.get_template(f"{content.template}/{language}/{name}").render(context)
            for name in ("subject.txt", "body.txt", "body.html")
        )
        return Rendered(" ".join(subject.split()), text, html)


def _environment(language: str) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    words = LANGUAGES[language]
    environment.filters |= {
        "number": words.number,
        "count_of": words.count,
        "day": words.day,
        "moment": words.moment,
        "explain": words.explain,
    }
    environment.globals["language"] = language
    return environment
