"""Parses addresses for e-mails: safe in headers, and with a domain that every mail server understands."""

import re
from dataclasses import dataclass
from email.headerregistry import Address
from email.policy import default
from uuid import UUID

import idna

# Stricter than RFC 5322, as the gateway is: no quoted part, no comment, no domain literal. The parser of the
# standard library is not used, because it corrects malformed input silently.
_ATOM = r"[^\x00-\x20\x7f-\xa0()<>\[\]:;@\\,.\"]+"
_LOCAL_PART = re.compile(rf"{_ATOM}(\.{_ATOM})*")
_MAX_LOCAL_PART = 64 - 32 + len("{id}")
"""RFC 5321, section 4.5.3.1.1."""
_DOMAIN = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")


@dataclass(frozen=True, kw_only=True)
class RecipientAddress:
    """The address that an e-mail is sent to."""

    address: Address
    utf8: bool
    """The part before the @ is not ASCII, which needs a server with SMTPUTF8."""

    @property
    def spec(self) -> str:
        """Return the address for the envelope."""
        return self.address.addr_spec


def parse_recipient(text: str) -> RecipientAddress:
    """Return a recipient's address, its domain in ASCII.

    Raises:
        ValueError: The text is not one address.
    """
    local, _, domain = text.rpartition("@")
    if not domain.isascii():
        # IDNA 2008, as in the gateway: Python's own codec (IDNA 2003) maps straße.de to strasse.de, another domain.
        domain = idna.encode(domain, uts46=True).decode()
    if not text.isprintable() or not _LOCAL_PART.fullmatch(local) or not _DOMAIN.fullmatch(domain):
        raise ValueError("not an address")
    return RecipientAddress(address=Address(username=local, domain=domain), utf8=not local.isascii())


def parse_sender(text: str) -> Address:
    """Return the sender of all e-mails from `Name <address>`.

    Raises:
        ValueError: The text is not one address in ASCII.
    """
    header = default.header_factory("From", text)
    addresses: tuple[Address, ...] = header.addresses
    if len(addresses) != 1 or header.defects or not text.isprintable():
        raise ValueError("must be one address, such as ImageBlur <imageblur@example.org>")
    (sender,) = addresses
    if not sender.username or not sender.domain or not sender.addr_spec.isascii():
        raise ValueError("must be one address in ASCII, such as ImageBlur <imageblur@example.org>")
    return sender


@dataclass(frozen=True)
class BounceAddress:
    """Where mail servers return e-mails that they cannot deliver: the envelope's sender (RFC 5321, section 4.4)."""

    pattern: str
    """An address; `{id}` in it is replaced by an e-mail's ID, so that a report can be matched by it (VERP)."""

    @classmethod
    def parse(cls, text: str) -> "BounceAddress":
        """Check an address.

        Raises:
            ValueError: It is not one address in ASCII, or has the ID twice or in its domain.
        """
        local, _, domain = text.partition("@")
        plain = local.replace("{id}", "", 1) or "x"
        if not text.isascii() or "{" in plain or "}" in plain or "{" in domain or len(local) > _MAX_LOCAL_PART:
            raise ValueError("must be an address such as bounces+{id}@example.org or bounces@example.org")
        try:
            parse_recipient(f"{local.replace('{id}', '0' * 32)}@{domain}")
        except ValueError:
            raise ValueError("must be an address such as bounces+{id}@example.org or bounces@example.org") from None
        return cls(text)

    def for_email(self, email_id: UUID) -> str:
        """Return the address for an e-mail."""
        return self.pattern.replace("{id}", email_id.hex)
