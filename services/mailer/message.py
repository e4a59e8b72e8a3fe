"""Builds the message that travels: headers, text and HTML, and a place for an archive."""

import base64
import secrets
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from email.headerregistry import Address, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP, Policy
from itertools import chain
from typing import IO
from uuid import UUID

from services.common import archive
from services.mailer.addresses import Recipient
from services.mailer.contents import Weekly
from services.mailer.render import Rendered

_LINE_BYTES = 57
"""Bytes in a line of base64, which is 76 characters."""


class _UnfoldedHeader(UnstructuredHeader):
    """A header of one long word. The library would encode that to fold it, and no mail program decodes a link."""

    def fold(self, *, policy: Policy) -> str:
        assert isinstance(self, str)
        return f"{self.name}: {self}{policy.linesep}"  # type: ignore[attr-defined]


_headers = HeaderRegistry()
# Typeshed does not know that the registry adds BaseHeader itself.
_headers.map_to_type("list-unsubscribe", _UnfoldedHeader)  # type: ignore[arg-type]
# 7 bits, so that it passes servers without 8BITMIME.
_POLICY = SMTP.clone(cte_type="7bit", header_factory=_headers)


def build(letter_id: UUID, sender: Address, recipient: Recipient, words: Rendered) -> EmailMessage:
    """A letter without its archive; the same letter has the same Message-ID whenever it is built."""
    message = EmailMessage(_POLICY.clone(utf8=recipient.utf8))
    message["From"] = sender
    message["To"] = recipient.address
    message["Subject"] = words.subject
    message["Date"] = datetime.now(UTC)
    message["Message-ID"] = f"<{letter_id}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(words.text)
    message.add_alternative(words.html, subtype="html")
    return message


def add_list_headers(message: EmailMessage, content: Weekly, sender: Address) -> None:
    """What a mailing carries so that mail programs can sort it and offer to end it."""
    message["List-Id"] = f"ImageBlur <weekly.{sender.domain}>"
    if content.url and content.url.startswith("https://"):
        message["List-Unsubscribe"] = f"<{content.url}>"


def write(message: EmailMessage, attachment: Iterable[bytes] | None, target: IO[bytes]) -> int:
    """Write a message with its archive, encoded as it comes and never whole in memory; the bytes written."""
    if attachment is None:
        return target.write(message.as_bytes())
    placeholder = secrets.token_bytes(16)
    maintype, subtype = archive.MEDIA_TYPE.split("/")
    message.add_attachment(placeholder, maintype=maintype, subtype=subtype, filename=archive.NAME)
    head, found, tail = message.as_bytes().partition(base64.b64encode(placeholder) + b"\r\n")
    assert found
    return sum(target.write(piece) for piece in chain((head,), _base64(attachment), (tail,)))


def _base64(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        data = rest + chunk
        whole = len(data) // _LINE_BYTES * _LINE_BYTES
        yield base64.encodebytes(data[:whole]).replace(b"\n", b"\r\n")
        rest = data[whole:]
    yield base64.encodebytes(rest).replace(b"\n", b"\r\n")
