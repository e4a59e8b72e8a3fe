"""Renders e-mails from `templates/<email>/<language>/{subject.txt,body.txt,body.html}`."""

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache

from css_inline import CSSInliner
from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    StrictUndefined,
    TemplateError,
    TemplateNotFound,
    select_autoescape,
)
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup, escape

from services.common.domain.languages import DEFAULT_LANGUAGE, LANGUAGES
from services.common.infra import log
from services.mailer.content.email_content import Content, Newsletter
from services.mailer.content.email_texts import NONE, TEMPLATES, Overrides
from services.mailer.content.languages import RULES
from services.mailer.content.newsletter_markup import TextSpan

_TOKEN, _URL = "0TOKEN0placeholder0", "https://url.placeholder.invalid/"
"""Placeholders in a rendered newsletter, replaced for each recipient."""
_log = log.get(__name__)


@dataclass(frozen=True, kw_only=True)
class RenderedEmail:
    """Subject, text and HTML of an e-mail."""

    subject: str
    text: str
    html: str


class TextError(Exception):
    """An operator's own text cannot be rendered; the text names place and reason."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name


class Renderer:
    """Renders the templates of all languages, with operators' own in the place of some.

    Args:
        texts: Returns operators' own templates.
    """

    def __init__(self, texts: Callable[[], Overrides] = lambda: NONE) -> None:
        self._texts = texts
        # Styles are inlined, because mail programs drop style sheets; rules for dark mode cannot be inlined, and stay.
        self._inliner = CSSInliner(keep_style_tags=False, keep_at_rules=True, load_remote_stylesheets=False)
        self._default = _environments({})
        self._own: tuple[Overrides, Mapping[str, Environment]] = (NONE, self._default)
        self._render_cached = lru_cache(16)(self._render_version)

    def __call__(self, content: Content, locale: str) -> RenderedEmail:
        """Render an e-mail in the recipient's language, or in English.

        If an operator's own text cannot be rendered, which is checked before it is stored, the default one is used: no
        e-mail is lost.
        """
        language = locale if locale in LANGUAGES else DEFAULT_LANGUAGE
        own = self._texts()
        if not isinstance(content, Newsletter):
            return self._render_version(content, language, own.version, own)
        # The e-mails of a mailing differ in the token alone, so each language is rendered once.
        common_content = replace(content, token=_TOKEN, url=content.url and _URL)
        common = self._render_cached(common_content, language, own.version, _Uncounted(own))
        text, html = (
            part.replace(_TOKEN, content.token).replace(_URL, content.url or "") for part in (common.text, common.html)
        )
        return RenderedEmail(subject=common.subject, text=text, html=html)

    def check(self, content: Content, locale: str, texts: Mapping[str, str]) -> RenderedEmail:
        """Render an e-mail with these templates.

        Raises:
            TextError: One cannot be rendered.
        """
        environments = _environments(texts)
        try:
            return self._render(content, locale if locale in LANGUAGES else DEFAULT_LANGUAGE, environments)
        except TemplateError as error:
            name, line = getattr(error, "name", None), getattr(error, "lineno", None)
            name, line = (name, line) if name and line else _place(error, content.template)
            raise TextError(name, f"line {line}: {error.message or type(error).__name__}") from None
        except Exception as error:  # what the text itself does, such as dividing by zero
            name, line = _place(error, content.template)
            raise TextError(name, f"line {line}: {error}") from None

    def _render_version(
        self, content: Content, language: str, _version: object, own: "Overrides | _Uncounted"
    ) -> RenderedEmail:
        overrides = own.overrides if isinstance(own, _Uncounted) else own
        if not overrides.texts:
            return self._render(content, language, self._default)
        try:
            if self._own[0] is not overrides:
                self._own = (overrides, _environments(overrides.texts))
            return self._render(content, language, self._own[1])
        except Exception as error:
            _log.warning("default text used", email=content.template, language=language, error=str(error))
            return self._render(content, language, self._default)

    def _render(self, content: Content, language: str, environments: Mapping[str, Environment]) -> RenderedEmail:
        environment = environments[language]
        context = {field.name: getattr(content, field.name) for field in fields(content)}

        def rendered(name: str, **more: str) -> str:
            return environment.get_template(f"{content.template}/{language}/{name}").render(context | more)

        subject = " ".join(rendered("subject.txt").split())
        html = self._inliner.inline(rendered("body.html", subject=subject))
        return RenderedEmail(subject=subject, text=rendered("body.txt"), html=html.rstrip() + "\n")


@dataclass(frozen=True, eq=False)
class _Uncounted:
    """Operators' own texts as an argument that a cache does not compare: their version is another."""

    overrides: Overrides

    def __hash__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Uncounted)


def _place(error: BaseException, email: str) -> tuple[str, int]:
    """Return the name of the template and the line in it at which an error was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    names = [(frame.filename, frame.lineno or 1) for frame in frames if frame.filename.startswith(f"{email}/")]
    return names[-1] if names else (email, 1)


def _environments(texts: Mapping[str, str]) -> Mapping[str, Environment]:
    return {language: _environment(language, texts) for language in LANGUAGES}


def _environment(language: str, texts: Mapping[str, str]) -> Environment:
    # Own texts reach nothing but their values: https://jinja.palletsprojects.com/en/stable/sandbox/
    environment = (ImmutableSandboxedEnvironment if texts else Environment)(
        loader=ChoiceLoader([_OwnTexts(texts), FileSystemLoader(TEMPLATES)]),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    rules = RULES[language]
    environment.filters |= {
        "number": rules.number,
        "count_of": rules.count,
        "form_of": rules.form,
        "day": rules.day,
        "moment": rules.moment,
        "stamp": rules.stamp,
        "explain": rules.explain,
    }
    environment.globals |= {"language": language, "spans": _spans}
    return environment


class _OwnTexts(BaseLoader):
    """Loads texts from memory, under their names, so that errors name their place."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    def get_source(self, environment: Environment, template: str) -> tuple[str, str | None, Callable[[], bool]]:
        """Return a text."""
        del environment
        if template not in self._texts:
            raise TemplateNotFound(template)
        return self._texts[template], template, lambda: True


def _spans(line: Sequence[TextSpan]) -> Markup:
    """Return a line of the operator's text as HTML."""
    link = Markup('<a href="{0}">{0}</a>')
    return Markup().join(link.format(span.text) if span.link else escape(span.text) for span in line)
