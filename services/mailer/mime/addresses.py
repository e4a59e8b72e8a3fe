"""Addresses as e-mails need them: safe in headers, and with a domain that every mail server understands."""

import re
from dataclasses import dataclass
from email.headerregistry import Address
from email.policy import default

import idna

# Stricter than RFC 5322, as the gateway is: no quoted part, no comment, no domain literal. And not the parser of the
# standard library, which mends what it is given.
_ATOM = r"[^\x00-\x20\x7f-\xa0()<>\[\]:;@\\,.\"]+"
_LOCAL_PART = re.compile(rf"{_ATOM}(\.{_ATOM})*")
_DOMAIN = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")


@dataclass(frozen=True)
class Recipient:
    """Who gets an e-mail. `utf8`: only servers with SMTPUTF8 can take it, the part before the @ is not ASCII."""

    address: Address
    utf8: bool

    @property
    def spec(self) -> str:
        """The address for the envelope."""
        return self.address.addr_spec


def parse_recipient(text: str) -> Recipient:
    """A recipient's address, its domain in ASCII.

    Raises:
        ValueError: It is not one address.
    """
    local, _, domain = text.rpartition("@")
    if not domain.isascii():
        # As the gateway understood it (IDNA 2008): Python's own codec makes strasse.de, another owner's, of straße.de.
        domain = idna.encode(domain, uts46=True).decode()
    if not text.isprintable() or not _LOCAL_PART.fullmatch(local) or not _DOMAIN.fullmatch(domain):
        raise ValueError("not an address")
    return Recipient(Address(username=local, domain=domain), utf8=not local.isascii())


def parse_sender(text: str) -> Address:
    """The sender of all e-mails, from `Name <address>`.

    Raises:
        ValueError: It is not one address in ASCII.
    """
    header = default.header_factory("From", text)
    addresses: tuple[Address, ...] = header.addresses
    if len(addresses) != 1 or header.defects or not text.isprintable():
        raise ValueError("must be one address, such as ImageBlur <imageblur@example.org>")
    (sender,) = addresses
    if not sender.username or not sender.domain or not sender.addr_spec.isascii():
        raise ValueError("must be one address in ASCII, such as ImageBlur <imageblur@example.org>")
    return sender
