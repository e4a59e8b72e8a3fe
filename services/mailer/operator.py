"""What an operator may do with e-mails: look at the mailing, send it to one address, check the mail server.

Nothing here is kept in the database; what is sent goes past the queue.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

from services.common.db.engine import Database
from services.common.db.mail.batches import Batch, Reader
from services.common.db.mail.emails import EmailClaim
from services.common.newsletter import freeze
from services.mailer.content.models import Check, Draft
from services.mailer.content.render import Rendered
from services.mailer.content.subscriber_emails import WeeklyDrafting
from services.mailer.mime.composer import Postbox
from services.mailer.smtp.reply_explanations import explain
from services.mailer.smtp.sender import Envelope, NotTaken, Refused
from services.mailer.smtp.smtp_sender import SmtpSender

NOBODY = UUID(int=0)
"""Whose token of a preview it is: its link works, and unsubscribes nobody."""


@dataclass(frozen=True)
class Checked:
    """What came of a check: the conversation, each line explained, and the outcome."""

    conversation: Sequence[str]
    taken: bool
    outcome: str


@dataclass(frozen=True)
class Operator:
    """The use cases, over what they need."""

    database: Database
    postbox: Postbox
    sender: SmtpSender
    draft: WeeklyDrafting
    texts: Path | None
    """Folder with the operator's text."""

    def preview_mailing(self, locale: str) -> Rendered:
        """The mailing's e-mail as it would be if it were ordered now.

        Raises:
            ConfigurationError: The operator's text cannot be read.
        """
        return self.postbox.render(self._draft_mailing("preview@localhost", locale).content, locale)

    def test_mailing(self, address: str, locale: str) -> Checked:
        """Send that e-mail to one address.

        Raises:
            ConfigurationError: The operator's text cannot be read.
        """
        return self._send(self._draft_mailing(address, locale))

    def check(self, address: str, locale: str) -> Checked:
        """Send a short e-mail to an address."""
        return self._send(Draft(address, locale, Check()))

    def _draft_mailing(self, address: str, locale: str) -> Draft:
        with self.database.read() as session:
            content = freeze(session, datetime.now(UTC), self.texts)
        claim = EmailClaim(uuid4(), "WEEKLY", 1, None, None, NOBODY, NOBODY, NOBODY, 1)
        return self.draft(Batch(NOBODY, NOBODY, content, 0, ()), Reader(claim, address, locale, 0))

    def _send(self, draft: Draft) -> Checked:
        conversation: list[str] = []

        def told(speaker: str, line: str) -> None:
            words = line.replace(draft.to, "(address)")
            conversation.append(f"    {words}  -- {explain(line)}" if speaker == "server" else f"> {words}")

        sender = replace(self.sender, told=told)
        try:
            with tempfile.SpooledTemporaryFile(1 << 20) as file:
                reply = sender.send(self._write(draft, file))
        except (Refused, NotTaken) as error:
            return Checked(conversation, taken=False, outcome=str(error))
        return Checked(conversation, taken=True, outcome=reply)

    def _write(self, draft: Draft, file: "tempfile.SpooledTemporaryFile[bytes]") -> Envelope:
        return self.postbox.write(uuid4(), draft, file)
