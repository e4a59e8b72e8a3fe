"""Previews the newsletter, and sends it or a check e-mail to one address, past the queue and without any row."""

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

from services.common.db.engine import Database
from services.common.use_cases.newsletter_content import compose_content
from services.mailer.content.email_content import Content, Draft, MailCheck
from services.mailer.content.email_texts import NONE, Overrides
from services.mailer.content.newsletter import NewsletterDrafter
from services.mailer.content.render import RenderedEmail, Renderer
from services.mailer.mime.composer import EmailComposer
from services.mailer.smtp.deadline import StepTimeouts
from services.mailer.smtp.envelope import EmailDeferred, EmailRefused
from services.mailer.smtp.reply_explanations import explain_reply
from services.mailer.smtp.server import SmtpServer
from services.mailer.smtp.session import SmtpSession

_CHECK_TIMEOUTS = StepTimeouts(reply=20.0, acceptance=60.0)
"""Shorter than for other e-mails: an operator waits for the answer, at most a minute and a half."""
_NO_SUBSCRIBER = UUID(int=0)
"""Owner of a preview's token: the link works, but unsubscribes no one."""


@dataclass(frozen=True, kw_only=True)
class MailTestResult:
    """The SMTP transcript, each reply explained, and the last reply or the error of the connection."""

    transcript: Sequence[str]
    accepted: bool
    server_reply: str


@dataclass(frozen=True, kw_only=True)
class OperatorEmails:
    """Makes and sends e-mails for an operator."""

    database: Database
    composer: EmailComposer
    server: SmtpServer
    drafter: NewsletterDrafter
    renderer: Renderer
    """What the composer renders with."""
    text_folder: Path | None
    """Folder with the operator's text."""
    current_texts: Callable[[], Overrides] = lambda: NONE
    """Returns operators' own templates."""

    def newsletter_content(self, locale: str, texts: Mapping[str, str]) -> Content:
        """Return the newsletter's content as of now, with texts by language in the place of the stored ones.

        Raises:
            ConfigurationError: The operator's text cannot be read.
        """
        return self._draft_newsletter("preview@localhost", locale, texts).content

    def preview_newsletter(self, locale: str) -> RenderedEmail:
        """Return the newsletter as it would be if the mailing were made now.

        Raises:
            ConfigurationError: The operator's text cannot be read.
        """
        return self.composer.render(self._draft_newsletter("preview@localhost", locale).content, locale)

    def send_newsletter(self, address: str, locale: str) -> MailTestResult:
        """Send that newsletter to one address.

        Raises:
            ConfigurationError: The operator's text cannot be read.
        """
        return self._send(self._draft_newsletter(address, locale))

    def send_check(self, address: str, locale: str) -> MailTestResult:
        """Send a short e-mail to an address."""
        return self._send(Draft(to=address, locale=locale, content=MailCheck()))

    def _draft_newsletter(self, address: str, locale: str, texts: Mapping[str, str] | None = None) -> Draft:
        with self.database.read() as session:
            content = compose_content(session, datetime.now(UTC), self.text_folder)
        if texts:
            values = json.loads(content)
            written = {language: text for language, text in texts.items() if text.strip()}
            rest = {language: text for language, text in values["text"].items() if language not in texts}
            content = json.dumps(values | {"text": rest | written})
        token = self.drafter.tokens.make("unsubscribe", _NO_SUBSCRIBER, 0)
        return self.drafter.draft(content, address=address, locale=locale, token=token)

    def _send(self, draft: Draft) -> MailTestResult:
        transcript: list[str] = []

        def on_line(speaker: str, line: str) -> None:
            masked = line.replace(draft.to, "(address)")
            transcript.append(f"    {masked}  -- {explain_reply(line)}" if speaker == "server" else f"> {masked}")

        session = SmtpSession(replace(self.server, on_line=on_line, timeouts=_CHECK_TIMEOUTS))
        try:
            with tempfile.SpooledTemporaryFile(1 << 20) as file:
                reply = session.send(self.composer.compose(uuid4(), draft, file))
        except (EmailRefused, EmailDeferred) as error:
            return MailTestResult(transcript=transcript, accepted=False, server_reply=str(error))
        finally:
            session.close()
        return MailTestResult(transcript=transcript, accepted=True, server_reply=reply)
