"""Builds the MIME message: headers, text, HTML with its thumbnails, and the archive as an attachment."""

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
from services.mailer.content.email_content import Newsletter, Thumbnail
from services.mailer.content.render import RenderedEmail
from services.mailer.mime.addresses import BounceAddress, RecipientAddress
from services.mailer.mime.dkim import BodyHash, DkimSigner
from services.mailer.mime.sender_header import SenderHeader

_LINE_BYTES = 57
"""Bytes in a line of base64, which is 76 characters."""


class _UnfoldedHeader(UnstructuredHeader):
    """A header of one long link. The library would encode it to fold it, and mail programs would not decode it."""

    def fold(self, *, policy: Policy) -> str:
        assert isinstance(self, str)
        return f"{self.name}: {self}{policy.linesep}"  # type: ignore[attr-defined]


_headers = HeaderRegistry()
# Typeshed does not know that the registry adds BaseHeader itself.
_headers.map_to_type("list-unsubscribe", _UnfoldedHeader)  # type: ignore[arg-type]
for _name in ("from", "reply-to"):
    _headers.map_to_type(_name, SenderHeader)  # type: ignore[arg-type]
# 7 bits, for servers without 8BITMIME.
_POLICY = SMTP.clone(cte_type="7bit", header_factory=_headers)


@dataclass(frozen=True, kw_only=True)
class SenderIdentity:
    """The sender of all e-mails, where answers go, and the signature."""

    sender: Address
    reply_to: Address | None = None
    signer: DkimSigner | None = None
    bounces: BounceAddress | None = None
    """To whom mail servers return e-mails; default: the sender."""

    def envelope_sender(self, email_id: UUID) -> str:
        """Return the envelope's sender of an e-mail."""
        return self.bounces.for_email(email_id) if self.bounces else self.sender.addr_spec


def build(
    email_id: UUID,
    identity: SenderIdentity,
    recipient: RecipientAddress,
    rendered: RenderedEmail,
    thumbnails: Iterable[Thumbnail] = (),
) -> EmailMessage:
    """Return an e-mail without its archive. Its Message-ID is the same at each attempt."""
    message = EmailMessage(_POLICY.clone(utf8=recipient.utf8))
    message["From"] = identity.sender
    message["To"] = recipient.address
    if identity.reply_to:
        message["Reply-To"] = identity.reply_to
    message["Subject"] = rendered.subject
    message["Date"] = datetime.now(UTC)
    message["Message-ID"] = f"<{email_id}@{identity.sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(rendered.text)
    message.add_alternative(rendered.html, subtype="html")
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


def add_list_headers(message: EmailMessage, content: Newsletter, identity: SenderIdentity) -> None:
    """Add the headers by which mail programs filter the newsletter and offer to unsubscribe.

    Source: RFC 2919, RFC 2369; for one click RFC 8058, which requires HTTPS and a DKIM signature over both headers.
    """
    message["List-Id"] = f"ImageBlur <newsletter.{identity.sender.domain}>"
    if content.url and content.url.startswith("https://"):
        message["List-Unsubscribe"] = f"<{content.url}>"
        if identity.signer:
            message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"


def write(
    message: EmailMessage, attachment: Iterable[bytes] | None, target: IO[bytes], signer: DkimSigner | None = None
) -> tuple[bytes, int]:
    """Write a message with its archive, which is encoded in chunks and never whole in memory.

    Returns:
        The DKIM header field that precedes the message (empty without a signer), and the size of both in bytes.
    """
    head, body = _head_and_body(message, attachment)
    size = target.write(head + b"\r\n")
    digest = BodyHash()
    for chunk in body:
        digest.update(chunk)
        size += target.write(chunk)
    signature = signer.sign(head, digest) if signer else b""
    return signature, len(signature) + size


def _head_and_body(message: EmailMessage, attachment: Iterable[bytes] | None) -> tuple[bytes, Iterator[bytes]]:
    """Return the header fields, and the body in chunks; an empty line separates them."""
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
