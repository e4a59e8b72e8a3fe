"""E-mails in a folder of the one-machine stack's mailbox: what was sent, as a mail program would show it."""

import email
import email.policy
import json
import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage, MIMEPart
from functools import cached_property
from pathlib import Path
from typing import Any

_NAME = re.compile(r"\d{4,}-[^/\\\0]{1,100}")
MOST_LISTED = 100
PICTURES = {"image/png", "image/jpeg", "image/gif", "image/webp"}


@dataclass(frozen=True)
class Attachment:
    """A part of an e-mail that is a file: its number among all parts."""

    number: int
    name: str
    size: int


class Email:
    """An e-mail in its folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.name = folder.name
        self.envelope: dict[str, Any] = json.loads((folder / "envelope.json").read_text("utf-8"))

    @cached_property
    def message(self) -> EmailMessage:
        """The e-mail itself."""
        return email.message_from_bytes((self._folder / "email.eml").read_bytes(), policy=email.policy.default)

    @cached_property
    def headers(self) -> EmailMessage:
        """The e-mail's headers alone, however large the e-mail is."""
        with (self._folder / "email.eml").open("rb") as file:
            head = file.read(64 << 10).partition(b"\r\n\r\n")[0]
        return email.message_from_bytes(head, policy=email.policy.default)

    @property
    def subject(self) -> str:
        """What it is about."""
        return " ".join(str(self.headers["Subject"] or "").split())

    @property
    def sender(self) -> str:
        """Who has sent it."""
        return str(self.headers["From"] or self.envelope.get("from", ""))

    @property
    def recipients(self) -> str:
        """To whom it was handed over."""
        return ", ".join(self.envelope.get("to", ()))

    @property
    def time(self) -> str:
        """When it came (ISO 8601)."""
        return str(self.envelope.get("time", ""))

    @property
    def text(self) -> str:
        """Its plain text."""
        part = self.message.get_body(("plain",))
        return _text(part) if part else ""

    @property
    def html(self) -> str | None:
        """Its HTML."""
        part = self.message.get_body(("html",))
        return _text(part) if part else None

    @property
    def attachments(self) -> list[Attachment]:
        """Its files, but for pictures that its HTML shows."""
        return [
            Attachment(number, part.get_filename() or part.get_content_type(), len(content(part)))
            for number, part in self.parts()
            if part.is_attachment() or (part.get_filename() and not part["Content-ID"])
        ]

    def parts(self) -> Iterator[tuple[int, MIMEPart]]:
        """Its parts that have no parts themselves, numbered from 0."""
        yield from enumerate(part for part in self.message.walk() if not part.is_multipart())

    def part(self, number: int) -> MIMEPart | None:
        """A part by its number."""
        return dict(self.parts()).get(number)

    def pictures(self) -> dict[str, str]:
        """The pictures that the HTML shows, as `data:` addresses by what it calls them (`cid:`)."""
        return {
            str(part["Content-ID"]).strip().strip("<>"): f"data:{kind};base64,{b64encode(content(part)).decode()}"
            for _, part in self.parts()
            if part["Content-ID"] and (kind := part.get_content_type()) in PICTURES
        }


class EmailFolder:
    """All e-mails."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def newest(self) -> list[Email]:
        """The newest first, so many."""
        names = sorted((path.name for path in self._folder.iterdir() if _NAME.fullmatch(path.name)), key=_number)
        return [stored for name in names[: -MOST_LISTED - 1 : -1] if (stored := self.find(name))]

    def find(self, name: str) -> Email | None:
        """An e-mail by its folder's name."""
        if not _NAME.fullmatch(name):
            return None
        try:
            return Email(self._folder / name)
        except (OSError, ValueError):
            return None


def content(part: MIMEPart) -> bytes:
    """A part's bytes, as they were before they were made fit to travel."""
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _text(part: MIMEPart) -> str:
    try:
        return content(part).decode(part.get_content_charset("utf-8"), "replace")
    except LookupError:
        return content(part).decode("utf-8", "replace")


def _number(name: str) -> int:
    return int(name.partition("-")[0])
