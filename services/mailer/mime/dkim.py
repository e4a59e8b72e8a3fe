"""Signs e-mails (DKIM, RFC 6376) whose bodies may be too large for the memory.

dkimpy signs only messages that it holds whole, so `_HashedMessage` overrides one of its methods. No other module uses
dkimpy; tests/contract/test_dkimpy.py fails when a new version changes what this one relies on.
"""

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import dkim

from services.common.domain.errors import ConfigurationError

SIGNED_HEADERS = (
    *("From", "To", "Subject", "Date", "Message-ID", "Reply-To", "Auto-Submitted"),
    *("MIME-Version", "Content-Type", "List-Id", "List-Unsubscribe", "List-Unsubscribe-Post"),
)
_OVERSIGNED = ("From", "To", "Subject", "Date", "Message-ID", "Reply-To")
"""Signed once more than they occur, so that adding another one breaks the signature (RFC 6376, section 8.15)."""


class BodyHash:
    """The SHA-256 of a body, canonicalized `simple`: trailing line ends count as one (RFC 6376, section 3.4.3)."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._trailing = b""

    def update(self, data: bytes) -> None:
        """Add the next bytes of the body."""
        data = self._trailing + data
        body = data.rstrip(b"\r\n")
        self._trailing = data[len(body) :]
        self._hash.update(body)

    def digest(self) -> bytes:
        """Return the hash of the body so far."""
        ended = self._hash.copy()
        ended.update(b"\r\n")
        return ended.digest()


@dataclass(frozen=True, kw_only=True)
class DkimSigner:
    """A private key; its public key is published in DNS at `<selector>._domainkey.<domain>`."""

    key: bytes
    """PEM, RSA, PKCS#1."""
    selector: str
    domain: str

    @classmethod
    def load(cls, path: Path | None, selector: str, domain: str) -> Self | None:
        """Return the signer that is set; None without a key.

        Raises:
            ConfigurationError: The key cannot be used.
        """
        if path is None:
            return None
        try:
            signer = cls(key=path.read_bytes(), selector=selector, domain=domain)
            signer.sign(b"From: a@b.c\r\n", BodyHash())
        except OSError as error:
            raise ConfigurationError(f"IMAGEBLUR_DKIM_KEY_FILE: {path} cannot be read: {error}") from None
        except dkim.DKIMException:
            raise ConfigurationError(
                f"IMAGEBLUR_DKIM_KEY_FILE: {path} is not an RSA key in PKCS#1 PEM: make one with "
                "'openssl genrsa -traditional 2048'"
            ) from None
        return signer

    def sign(self, head: bytes, body: BodyHash) -> bytes:
        """Return the header field that precedes a message. `head`: its header fields, each ending in CRLF."""
        message = _HashedMessage(head + b"\r\n", body.digest())
        present = {name.lower() for name, _ in message.headers}
        names = [name.lower().encode() for name in SIGNED_HEADERS if name.lower().encode() in present]
        field: bytes = message.sign(
            self.selector.encode(),
            self.domain.encode(),
            self.key,
            canonicalize=(b"relaxed", b"simple"),
            include_headers=[*names, *(name.lower().encode() for name in _OVERSIGNED)],
        )
        return field


class _HashedMessage(dkim.DKIM):  # type: ignore[misc] # it has no types
    """dkimpy's signer for a message without its body, of which the hash is known."""

    def __init__(self, message: bytes, digest: bytes) -> None:
        super().__init__(message)
        self._body_hash = base64.b64encode(digest)

    def gen_header(self, fields: list[tuple[bytes, bytes]], *arguments: Any, **options: Any) -> Any:
        """Build the header field with the known hash of the body; called by `sign`."""
        hashed = [(name, self._body_hash if name == b"bh" else value) for name, value in fields]
        return super().gen_header(hashed, *arguments, **options)
