"""An e-mail as a folder that one can look into."""

import email
import email.message
import email.policy
import json
import shutil
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage, MIMEPart
from pathlib import Path

OWN_NAMES = ("email.eml", "envelope.json", "body.txt", "body.html")


def safe_name(wish: str, taken: set[str]) -> str:
    """A file name for an attachment whatever it asks for: no folder, nothing hidden, no repetition.

    taken: names in lower case; the new one is added. Some file systems do not tell case apart.
    """
    name = unicodedata.normalize("NFC", wish).replace("\\", "/").rpartition("/")[2]
    # What is not printable turns terminals and reading direction around.
    name = "".join(c for c in name if c.isprintable() and c not in '<>:"|?*')
    name = name.strip().lstrip(".").strip() or "attachment"
    stem, dot, suffix = name.rpartition(".")
    stem, suffix = (stem[:40], dot + suffix[:10]) if stem else (name[:50], "")  # up to 4 bytes each, under 255
    candidate, number = stem + suffix, 1
    while candidate.lower() in taken:
        number += 1
        candidate = f"{stem}-{number}{suffix}"
    taken.add(candidate.lower())
    return candidate


def slug(subject: str) -> str:
    """A subject as part of a folder's name; e-mails of any script stay."""
    words = "".join(c if c.isalnum() else " " for c in unicodedata.normalize("NFC", subject).lower()).split()
    return "-".join(words)[:40].strip("-") or "email"


@dataclass(frozen=True)
class StoredEmail:
    """Where an e-mail is, and what it says of itself."""

    folder: Path
    subject: str


class Emailbox:
    """A folder of e-mails, numbered in the order of their coming."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for unfinished in folder.glob(".incoming-*"):
            shutil.rmtree(unfinished)
        numbers = (path.name.partition("-")[0] for path in folder.iterdir())
        self._last = max((int(number) for number in numbers if number.isascii() and number.isdigit()), default=0)

    def store(self, sender: str, recipients: Sequence[str], content: bytes) -> StoredEmail:
        """Keep an e-mail; its folder appears whole or not at all. Raises: OSError."""
        self._last += 1
        unfinished = self._folder / f".incoming-{self._last:04}"
        unfinished.mkdir(mode=0o700)
        try:
            subject = _write(unfinished, sender, recipients, content)
            folder = self._folder / f"{self._last:04}-{slug(subject)}"
            unfinished.rename(folder)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        return StoredEmail(folder, subject)


def _write(folder: Path, sender: str, recipients: Sequence[str], content: bytes) -> str:
    (folder / "email.eml").write_bytes(content)
    envelope = {"from": sender, "to": list(recipients), "time": datetime.now(UTC).isoformat(timespec="milliseconds")}
    (folder / "envelope.json").write_text(json.dumps(envelope, ensure_ascii=False, indent=1), encoding="utf-8")
    try:
        message = email.message_from_bytes(content, policy=email.policy.default)
        subject = str(message["Subject"] or "")
        _write_parts(folder, message)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return "unreadable"  # the parser's ways to fail on nonsense; the e-mail itself is kept as it came
    return " ".join(subject.split())


def _write_parts(folder: Path, message: EmailMessage) -> None:
    taken = set(OWN_NAMES)
    bodies = {"text/plain": folder / "body.txt", "text/html": folder / "body.html"}
    for part in _leaves(message):
        kind = part.get_content_type()
        wish = part.get_filename()
        if kind in bodies and not wish and not part.is_attachment():
            bodies.pop(kind).write_text(_text(part), encoding="utf-8")
        else:
            (folder / safe_name(wish or kind.replace("/", "."), taken)).write_bytes(_content(part))


def _leaves(message: MIMEPart) -> Iterator[MIMEPart]:
    if message.get_content_maintype() == "multipart" and message.is_multipart():
        for part in message.iter_parts():
            yield from _leaves(part)
    else:
        yield message


def _content(part: MIMEPart) -> bytes:
    if part.is_multipart():  # an e-mail inside the e-mail
        return b"".join(inner.as_bytes() for inner in part.iter_parts())
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _text(part: MIMEPart) -> str:
    try:
        return _content(part).decode(part.get_content_charset("utf-8"), "replace")
    except LookupError:
        return _content(part).decode("utf-8", "replace")
