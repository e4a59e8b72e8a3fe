"""Puts e-mails into words: `templates/<email>/<language>/{subject.txt,body.txt,body.html}`."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path

from css_inline import CSSInliner
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from services.mailer.content.languages import DEFAULT, LANGUAGES
from services.mailer.content.markup import Span
from services.mailer.content.models import Content, Weekly

_TEMPLATES = Path(__file__).parents[1] / "templates"
_TOKEN, _URL = "0TOKEN0of0the0reader0", "https://url.of.the.reader.invalid/"
"""What stands for them in a mailing's words until these are a reader's."""


@dataclass(frozen=True)
class Rendered:
    """An e-mail in words."""

    subject: str
    text: str
    html: str


class Renderer:
    """Knows the templates in all languages."""

    def __init__(self) -> None:
        self._environments = {language: _environment(language) for language in LANGUAGES}
        # Styles go into each element, since mail programs drop style sheets; those of dark mode stay, for they cannot.
        self._inliner = CSSInliner(keep_style_tags=False, keep_at_rules=True, load_remote_stylesheets=False)
        self._for_all = lru_cache(16)(self._render)

    def __call__(self, content: Content, locale: str) -> Rendered:
        """An e-mail in the reader's language, or in English."""
        language = locale if locale in LANGUAGES else DEFAULT
        if not isinstance(content, Weekly):
            return self._render(content, language)
        # The e-mails of a mailing differ in one token: the rest is rendered once.
        same = self._for_all(replace(content, token=_TOKEN, url=content.url and _URL), language)
        text, html = (
            part.replace(_TOKEN, content.token).replace(_URL, content.url or "") for part in (same.text, same.html)
        )
        return Rendered(same.subject, text, html)

    def _render(self, content: Content, language: str) -> Rendered:
        environment = self._environments[language]
        context = {field.name: getattr(content, field.name) for field in fields(content)}

        def rendered(name: str, **more: str) -> str:
            return environment.get_template(f"{content.template}/{language}/{name}").render(context | more)

        subject = " ".join(rendered("subject.txt").split())
        html = self._inliner.inline(rendered("body.html", subject=subject))
        return Rendered(subject, rendered("body.txt"), html.rstrip() + "\n")


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
        "form_of": words.form,
        "day": words.day,
        "moment": words.moment,
        "explain": words.explain,
    }
    environment.globals |= {"language": language, "spans": _spans}
    return environment


def _spans(line: Sequence[Span]) -> Markup:
    """A line of the operator's text as HTML."""
    link = Markup('<a href="{0}">{0}</a>')
    return Markup().join(link.format(span.text) if span.link else escape(span.text) for span in line)
