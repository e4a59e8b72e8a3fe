"""Renders e-mails from `templates/<email>/<language>/{subject.txt,body.txt,body.html}`."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path

from css_inline import CSSInliner
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from services.mailer.content.email_content import Content, Newsletter
from services.mailer.content.languages import DEFAULT, LANGUAGES
from services.mailer.content.newsletter_markup import Span

_TEMPLATES = Path(__file__).parents[1] / "templates"
_TOKEN, _URL = "0TOKEN0placeholder0", "https://url.placeholder.invalid/"
"""Placeholders in a rendered newsletter, replaced for each recipient."""


@dataclass(frozen=True, kw_only=True)
class RenderedEmail:
    """Subject, text and HTML of an e-mail."""

    subject: str
    text: str
    html: str


class Renderer:
    """Renders the templates of all languages."""

    def __init__(self) -> None:
        self._environments = {language: _environment(language) for language in LANGUAGES}
        # Styles are inlined, because mail programs drop style sheets; rules for dark mode cannot be inlined, and stay.
        self._inliner = CSSInliner(keep_style_tags=False, keep_at_rules=True, load_remote_stylesheets=False)
        self._render_cached = lru_cache(16)(self._render)

    def __call__(self, content: Content, locale: str) -> RenderedEmail:
        """Render an e-mail in the recipient's language, or in English."""
        language = locale if locale in LANGUAGES else DEFAULT
        if not isinstance(content, Newsletter):
            return self._render(content, language)
        # The e-mails of a mailing differ in the token alone, so each language is rendered once.
        common = self._render_cached(replace(content, token=_TOKEN, url=content.url and _URL), language)
        text, html = (
            part.replace(_TOKEN, content.token).replace(_URL, content.url or "") for part in (common.text, common.html)
        )
        return RenderedEmail(subject=common.subject, text=text, html=html)

    def _render(self, content: Content, language: str) -> RenderedEmail:
        environment = self._environments[language]
        context = {field.name: getattr(content, field.name) for field in fields(content)}

        def rendered(name: str, **more: str) -> str:
            return environment.get_template(f"{content.template}/{language}/{name}").render(context | more)

        subject = " ".join(rendered("subject.txt").split())
        html = self._inliner.inline(rendered("body.html", subject=subject))
        return RenderedEmail(subject=subject, text=rendered("body.txt"), html=html.rstrip() + "\n")


def _environment(language: str) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    rules = LANGUAGES[language]
    environment.filters |= {
        "number": rules.number,
        "count_of": rules.count,
        "form_of": rules.form,
        "day": rules.day,
        "moment": rules.moment,
        "explain": rules.explain,
    }
    environment.globals |= {"language": language, "spans": _spans}
    return environment


def _spans(line: Sequence[Span]) -> Markup:
    """Return a line of the operator's text as HTML."""
    link = Markup('<a href="{0}">{0}</a>')
    return Markup().join(link.format(span.text) if span.link else escape(span.text) for span in line)
