"""From a draft to what is sent: words, message and archive."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from email.headerregistry import Address
from typing import IO
from uuid import UUID

from services.common.archive import stream_archive
from services.common.blobs import BlobStore
from services.mailer import message
from services.mailer.addresses import parse_recipient
from services.mailer.contents import Content, Draft, File, Weekly
from services.mailer.render import Rendered
from services.mailer.senders import Envelope, Refused


@dataclass(frozen=True)
class Postbox:
    """Writes letters."""

    blobs: BlobStore
    render: Callable[[Content, str], Rendered]
    sender: Address

    def write(self, letter_id: UUID, draft: Draft, target: IO[bytes]) -> Envelope:
        """Write a letter into a file, ready to be sent from it.

        Raises:
            Refused: The address is not one.
            MissingBlob: A result is gone.
            Unavailable: The blob store cannot be reached.
        """
        try:
            recipient = parse_recipient(draft.to)
        except ValueError:
            raise Refused("the address is not one that mail can be sent to") from None
        words = self.render(draft.content, draft.locale)
        built = message.build(letter_id, self.sender, recipient, words)
        if isinstance(draft.content, Weekly):
            message.add_list_headers(built, draft.content, self.sender)
        archive = stream_archive(self._contents(draft.files)) if draft.files else None
        size = message.write(built, archive, target)
        target.seek(0)
        return Envelope(self.sender.addr_spec, recipient.spec, recipient.utf8, target, size)

    def _contents(self, files: Iterable[File]) -> Iterator[tuple[str, Iterable[bytes]]]:
        return ((file.name, self.blobs.stream(file.key)) for file in files)
