"""From a draft to what is sent: words, message and archive."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import IO
from uuid import UUID

from services.common.archive.entries import result_entry, summary_entry
from services.common.archive.stored_zip import StoredZip
from services.common.infra.blobs import BlobStore
from services.mailer.content.models import Content, Draft, OrderReady, Weekly
from services.mailer.content.render import Rendered
from services.mailer.content.thumbnails import Thumbnails
from services.mailer.mime import message
from services.mailer.mime.addresses import parse_recipient
from services.mailer.mime.message import Stationery
from services.mailer.smtp.sender import Envelope, Refused


@dataclass(frozen=True)
class Postbox:
    """Writes e-mails."""

    blobs: BlobStore
    render: Callable[[Content, str], Rendered]
    stationery: Stationery

    def write(self, email_id: UUID, draft: Draft, target: IO[bytes]) -> Envelope:
        """Write an e-mail into a file, ready to be sent from it.

        Raises:
            Refused: The address is not one.
            MissingBlob: A result is gone.
            Unavailable: The blob store cannot be reached.
        """
        try:
            recipient = parse_recipient(draft.to)
        except ValueError:
            raise Refused("the address is not one that mail can be sent to", bounced=True) from None
        sender, content = self.stationery.sender, draft.content
        thumbnails = Thumbnails(self.blobs)(draft.previews, email_id, sender.domain)
        if isinstance(content, OrderReady):
            content = replace(content, thumbnails=thumbnails)
        built = message.build(email_id, self.stationery, recipient, self.render(content, draft.locale), thumbnails)
        if isinstance(content, Weekly):
            message.add_list_headers(built, content, self.stationery)
        signature, size = message.write(built, self._archive(draft), target, self.stationery.signer)
        target.seek(0)
        return Envelope(sender.addr_spec, recipient.spec, recipient.utf8, target, size, signature)

    def _archive(self, draft: Draft) -> Iterator[bytes] | None:
        if not draft.files or not draft.ordered_at:
            return None
        entries = [result_entry(self.blobs, file.name, file.key, file.size, file.digest) for file in draft.files]
        entries += [summary_entry(name, content) for name, content in draft.receipt]
        return StoredZip(entries, draft.ordered_at).read()
