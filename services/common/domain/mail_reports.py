"""What other mail servers report about an e-mail: bounces (RFC 3464) and complaints (RFC 5965).

Anyone who knows the address may send anything to it. A report counts only with the ID of an e-mail, which is random and
known to those who have got the e-mail: nobody can suppress the address of someone else.
"""

import email.policy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from uuid import UUID

from services.common.domain.mail import MailReportKind

MAX_BYTES = 512 << 10
"""What is read of a report: what follows is the e-mail that it is about."""
MAX_DETAIL_CHARACTERS = 300
_MAX_PARTS = 50

# RFC 3463: no such mailbox or domain, a mailbox that has moved or is disabled. Not 5.7 (policy) nor 5.2.2 (full).
_NO_MAILBOX = re.compile(r"5\.(1\.(1|2|3|6|10)|2\.1|4\.4)")
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_MESSAGE_ID = re.compile(r"<?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})@[^\s<>@]+>?", re.IGNORECASE)
_VERP = re.compile(r"(?<![0-9a-f])([0-9a-f]{32})@", re.IGNORECASE)
_ADDRESS = re.compile(r"[^\s<>()\[\];,:]+@[^\s<>()\[\];,:]+")
_RETURN_HEADERS = ("delivered-to", "x-original-to", "envelope-to", "to")
"""Where the address is to which a report was sent: the envelope's sender of the e-mail."""
_NOT_A_COMPLAINT = {"not-spam", "auth-failure", "dmarc", "opt-out-list"}


@dataclass(frozen=True, kw_only=True)
class MailReport:
    """A report. `kind`: None if nothing is to be changed, such as for a delay."""

    kind: MailReportKind | None
    email_ids: tuple[UUID, ...]
    """The e-mails that it may be about, the likeliest first."""
    status: str = ""
    """Status code (RFC 3463)."""
    detail: str = ""
    """The mail server's reply, in one line without addresses."""
    is_report: bool = True
    """Whether the message is a report at all."""


NOT_A_REPORT = MailReport(kind=None, email_ids=(), is_report=False)


def parse_report(data: bytes) -> MailReport:
    """Return what a message reports; NOT_A_REPORT for any other message, however malformed."""
    try:
        # With the policy of old: the newer one parses each header, and raises for some that are malformed.
        message = message_from_bytes(data[:MAX_BYTES], policy=email.policy.compat32)
        parts = list(_parts(message))
        ids = tuple(dict.fromkeys([*_verp_ids(message, parts), *_message_ids(parts)]))
        for part in parts:
            match part.get_content_type():
                case "message/delivery-status":
                    return _bounce(part, ids)
                case "message/feedback-report":
                    return _complaint(part, ids)
    except (RecursionError, ValueError, LookupError, AttributeError, TypeError):
        return NOT_A_REPORT
    return NOT_A_REPORT


def _parts(message: Message, depth: int = 0) -> Iterator[Message]:
    """Yield the parts of a report, and the headers of the e-mail that it returns."""
    payload = message.get_payload()
    yield message
    if isinstance(payload, list) and depth < 4:
        for part in payload[:_MAX_PARTS]:
            if isinstance(part, Message):
                yield from _parts(part, depth + 1)


def _bounce(part: Message, ids: tuple[UUID, ...]) -> MailReport:
    """Return the worst of what is reported for the recipients: an e-mail has one."""
    payload = part.get_payload()
    groups = [group for group in payload if isinstance(group, Message)] if isinstance(payload, list) else []
    failed = [group for group in groups if _text(group, "action").lower() == "failed"]
    if not failed:
        return MailReport(kind=None, email_ids=ids)
    statuses = [found.group() for group in failed if (found := _STATUS.search(_text(group, "status")))]
    status = next((it for it in statuses if _NO_MAILBOX.fullmatch(it)), statuses[0] if statuses else "")
    kind = MailReportKind.HARD if _NO_MAILBOX.fullmatch(status) else MailReportKind.SOFT
    reply = next((text for group in failed if (text := _text(group, "diagnostic-code"))), "")
    return MailReport(kind=kind, email_ids=ids, status=status, detail=_clean(f"{status} {reply}"))


def _complaint(part: Message, ids: tuple[UUID, ...]) -> MailReport:
    fields = _fields(part)
    feedback = fields.get("feedback-type", "abuse").lower()
    if feedback in _NOT_A_COMPLAINT:
        return MailReport(kind=None, email_ids=ids)
    return MailReport(kind=MailReportKind.COMPLAINT, email_ids=ids, detail=_clean(f"complaint: {feedback}"))


def _verp_ids(message: Message, parts: list[Message]) -> Iterator[UUID]:
    """Yield the IDs in addresses to which the e-mail's own server returned the report."""
    texts = [str(value) for name in _RETURN_HEADERS for value in message.get_all(name, [])]
    reports = [part for part in parts if part.get_content_type() == "message/feedback-report"]
    texts += [_fields(part).get("original-mail-from", "") for part in reports]
    for text in texts:
        yield from (UUID(found) for found in _VERP.findall(text))


def _message_ids(parts: list[Message]) -> Iterator[UUID]:
    """Yield the IDs in the returned e-mail's Message-ID, and in those that the report refers to."""
    for part in parts[1:]:
        texts = [_text(part, "message-id")]
        if part.get_content_type() == "text/rfc822-headers":
            texts.append(_text(message_from_bytes(_bytes(part), policy=email.policy.compat32), "message-id"))
        for text in texts:
            yield from (UUID(found) for found in _MESSAGE_ID.findall(text))
    for name in ("in-reply-to", "references"):
        yield from (UUID(found) for found in _MESSAGE_ID.findall(_text(parts[0], name)))


def _fields(part: Message) -> dict[str, str]:
    """Return the fields of a machine-readable part, by name in small letters."""
    payload = part.get_payload()
    inner = payload[0] if isinstance(payload, list) and payload else None
    if not isinstance(inner, Message):
        inner = message_from_bytes(_bytes(part), policy=email.policy.compat32)
    return {name.lower(): str(value).strip() for name, value in inner.items()}


def _bytes(part: Message) -> bytes:
    decoded = part.get_payload(decode=True)
    return decoded if isinstance(decoded, bytes) else b""


def _text(part: Message, name: str) -> str:
    return " ".join(str(part.get(name, "")).split())


def _clean(text: str) -> str:
    """Return a line without addresses."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return _ADDRESS.sub("(address)", " ".join(printable.split()))[:MAX_DETAIL_CHARACTERS]
