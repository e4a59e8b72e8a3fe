"""Lists the texts of e-mails, and renders e-mails with texts that are not stored, for an operator."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.common.domain.languages import LANGUAGES
from services.common.use_cases.newsletter_content import read_files, text_name
from services.mailer.content import samples
from services.mailer.content.email_content import Content
from services.mailer.content.email_texts import NEWSLETTER, default_texts
from services.mailer.content.render import RenderedEmail, TextError
from services.mailer.operator_jobs.operator_emails import OperatorEmails


@dataclass(frozen=True, kw_only=True)
class TextJobs:
    """The use cases."""

    operator_emails: OperatorEmails
    files: Mapping[str, str]
    """Templates of IMAGEBLUR_MAIL_TEMPLATES_DIR."""
    text_folder: Path | None

    def list_texts(self) -> list[dict[str, str]]:
        """Return all texts as if none was stored: name, text, and whether it is of a file.

        Raises:
            ConfigurationError: A file of the newsletter's text cannot be read.
        """
        newsletter = read_files(self.text_folder)
        texts = [
            {
                "name": text_name(language),
                "text": newsletter.get(language, ""),
                "source": "FILE" if language in newsletter else "DEFAULT",
            }
            for language in LANGUAGES
        ]
        texts += [
            {"name": name, "text": self.files.get(name, text), "source": "FILE" if name in self.files else "DEFAULT"}
            for name, text in default_texts().items()
        ]
        return sorted(texts, key=lambda text: text["name"])

    def preview(self, email: str, locale: str, texts: Mapping[str, str]) -> RenderedEmail:
        """Render an e-mail with the current texts, and these in the place of some.

        Raises:
            TextError: There is no such e-mail or text, or it cannot be rendered.
            ConfigurationError: The newsletter's text cannot be read.
        """
        known = set(default_texts())
        own = {name: text for name, text in texts.items() if name in set(map(text_name, LANGUAGES))}
        templates = {name: text for name, text in texts.items() if name not in own}
        for name in templates:
            if name not in known:
                raise TextError(name, "there is no text of this name")
        if email == NEWSLETTER:
            written = {name.split("/")[1]: text for name, text in own.items()}
            contents: list[Content] = [self.operator_emails.newsletter_content(locale, written)]
        else:
            contents = samples.sample_contents(email)
        if not contents:
            raise TextError(email, "there is no e-mail of this name")
        renderer = self.operator_emails.renderer
        current = self.operator_emails.current_texts().texts
        rendered = [renderer.check(content, locale, {**current, **templates}) for content in contents]
        for name in templates:  # of the other language, or of another e-mail
            language = name.split("/")[1]
            if language != locale:
                for content in contents:
                    renderer.check(content, language, {**current, **templates})
        return rendered[0]
