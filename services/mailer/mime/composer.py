"""Composes an e-mail: renders its draft, adds thumbnails and the archive, signs it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import IO
from uuid import UUID

from services.common.archive.entries import result_entry, summary_entry
from services.common.archive.stored_zip import StoredZip
from services.common.domain.blob_reader import BlobReader
from services.mailer.content.email_content import Content, Draft, Newsletter, OrderReady
from services.mailer.content.render import RenderedEmail
from services.mailer.content.thumbnails import Thumbnails
from services.mailer.mime import message
from services.mailer.mime.addresses import parse_recipient
from services.mailer.mime.message import SenderIdentity
from services.mailer.smtp.envelope import EmailRefused, SmtpEnvelope


@dataclass(frozen=True, kw_only=True)
class EmailComposer:
    """Composes e-mails."""

    blobs: BlobReader
    render: Callable[[Content, str], RenderedEmail]
    identity: SenderIdentity

    def compose(self, email_id: UUID, draft: Draft, target: IO[bytes]) -> SmtpEnvelope:
        """Write an e-mail into a file, and return an envelope that sends it from there.

        Raises:
            EmailRefused: The address is malformed.
            MissingBlob: A result is gone.
            Unavailable: The blob store cannot be reached.
        """
        try:
            recipient = parse_recipient(draft.to)
        except ValueError:
            raise EmailRefused("the address is malformed", no_mailbox=True) from None
        sender, content = self.identity.sender, draft.content
        thumbnails = Thumbnails(self.blobs)(draft.previews, email_id, sender.domain)
        if isinstance(content, OrderReady):
            content = replace(content, thumbnails=thumbnails)
        built = message.build(email_id, self.identity, recipient, self.render(content, draft.locale), thumbnails)
        if isinstance(content, Newsletter):
            message.add_list_headers(built, content, self.identity)
        signature, size = message.write(built, self._archive(draft), target, self.identity.signer)
        target.seek(0)
        return SmtpEnvelope(
            sender=self.identity.envelope_sender(email_id),
            recipient=recipient.spec,
            utf8=recipient.utf8,
            content=target,
            size=size,
            signature=signature,
        )

    def _archive(self, draft: Draft) -> Iterator[bytes] | None:
        if not draft.files or not draft.ordered_at:
            return None
        entries = [
            result_entry(self.blobs, file.name, file.key, file.size, file.digest, crc32=file.crc32)
            for file in draft.files
        ]
        entries += [summary_entry(name, content) for name, content in draft.summary]
        return StoredZip(entries, draft.ordered_at).read()
