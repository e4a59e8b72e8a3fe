"""Builds the message that travels: headers, text and HTML with its pictures, and a place for an archive."""

import base64
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP, Policy
from itertools import chain
from typing import IO
from uuid import UUID

from services.common.archive import entries
from services.mailer.content.models import Thumbnail, Weekly
from services.mailer.content.render import Rendered
from services.mailer.mime.addresses import Recipient
from services.mailer.mime.dkim import BodyHash, Signer

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


@dataclass(frozen=True)
class Stationery:
    """What all e-mails have in common."""

    sender: Address
    reply_to: Address | None = None
    signer: Signer | None = None


def build(
    email_id: UUID,
    stationery: Stationery,
    recipient: Recipient,
    words: Rendered,
    thumbnails: Iterable[Thumbnail] = (),
) -> EmailMessage:
    """An e-mail without its archive; the same e-mail has the same Message-ID whenever it is built."""
    message = EmailMessage(_POLICY.clone(utf8=recipient.utf8))
    message["From"] = stationery.sender
    message["To"] = recipient.address
    if stationery.reply_to:
        message["Reply-To"] = stationery.reply_to
    message["Subject"] = words.subject
    message["Date"] = datetime.now(UTC)
    message["Message-ID"] = f"<{email_id}@{stationery.sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(words.text)
    message.add_alternative(words.html, subtype="html")
    html = message.get_body(("html",))
    assert isinstance(html, EmailMessage)
    for thumbnail in thumbnails:
        html.add_related(
            thumbnail.data,
            maintype="image",
            subtype="jpeg",
            cid=f"<{thumbnail.cid}>",
            disposition="inline",
            filename=f"image-{thumbnail.position}.jpg",
        )
    return message


def add_list_headers(message: EmailMessage, content: Weekly, stationery: Stationery) -> None:
    """What a mailing carries so that mail programs can sort it and offer to end it, with one click where they may.

    Source: RFC 2919, RFC 2369; RFC 8058, which wants a signature over both headers.
    """
    message["List-Id"] = f"ImageBlur <weekly.{stationery.sender.domain}>"
    if content.url and content.url.startswith("https://"):
        message["List-Unsubscribe"] = f"<{content.url}>"
        if stationery.signer:
            message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"


def write(
    message: EmailMessage, attachment: Iterable[bytes] | None, target: IO[bytes], signer: Signer | None = None
) -> tuple[bytes, int]:
    """Write a message with its archive, encoded as it comes and never whole in memory.

    Returns:
        What goes before it, its signature, if it is signed; and the bytes of both.
    """
    head, body = _pieces(message, attachment)
    size = target.write(head + b"\r\n")
    digest = BodyHash()
    for piece in body:
        digest.update(piece)
        size += target.write(piece)
    signature = signer.sign(head, digest) if signer else b""
    return signature, len(signature) + size


def _pieces(message: EmailMessage, attachment: Iterable[bytes] | None) -> tuple[bytes, Iterator[bytes]]:
    """The header fields, and the body as it comes; an empty line goes between."""
    placeholder = secrets.token_bytes(16)
    if attachment is not None:
        maintype, subtype = entries.MEDIA_TYPE.split("/")
        message.add_attachment(placeholder, maintype=maintype, subtype=subtype, filename=entries.NAME)
    head, _, body = message.as_bytes().partition(b"\r\n\r\n")
    head += b"\r\n"
    if attachment is None:
        return head, iter((body,))
    before, found, after = body.partition(base64.b64encode(placeholder) + b"\r\n")
    assert found
    return head, chain((before,), _base64(attachment), (after,))


def _base64(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        data = rest + chunk
        whole = len(data) // _LINE_BYTES * _LINE_BYTES
        yield base64.encodebytes(data[:whole]).replace(b"\n", b"\r\n")
        rest = data[whole:]
    yield base64.encodebytes(rest).replace(b"\n", b"\r\n")
