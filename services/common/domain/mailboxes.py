"""Which addresses are one mailbox, for limits: a stranger must not get a limit for each way to write an address."""

import hashlib
import hmac
import unicodedata
from collections.abc import Mapping

# What a provider ignores in the part before the @. Others treat dots as letters.
_IGNORED: Mapping[str, str] = {"gmail.com": ".", "proton.me": ".-_"}
_SAME_DOMAIN: Mapping[str, str] = {
    "googlemail.com": "gmail.com",
    "protonmail.com": "proton.me",
    "protonmail.ch": "proton.me",
    "pm.me": "proton.me",
}


def mailbox_of(address: str) -> str:
    """Return what is equal for all addresses of a mailbox: its address in small letters, without a +tag.

    Not for sending: a few mail servers distinguish capital letters, and a + may be part of a name. Two mailboxes that
    count as one share their limits.
    """
    local, _, domain = unicodedata.normalize("NFKC", address).casefold().rpartition("@")
    domain = _SAME_DOMAIN.get(domain.rstrip("."), domain.rstrip("."))
    # An address that begins with a + has no other name.
    name = local.partition("+")[0] or local
    ignored = _IGNORED.get(domain, "")
    return f"{''.join(letter for letter in name if letter not in ignored) or name}@{domain}"


class MailboxHasher:
    """Hashes mailboxes with a secret key, so that a copy of the database reveals no address by guessing."""

    def __init__(self, secret_key: str, *former_keys: str) -> None:
        self._keys = (secret_key, *former_keys)

    def hash(self, address: str) -> str:
        """Return the hash of an address's mailbox, as hex."""
        return self.hashes(address)[0]

    def hashes(self, address: str) -> list[str]:
        """Return the hash, and those that were stored with former keys."""
        mailbox = f"imageblur.mailbox:{mailbox_of(address)}".encode()
        return [hmac.new(key.encode(), mailbox, hashlib.sha256).hexdigest() for key in self._keys]

    def hash_address(self, address: str) -> str:
        """Return the hash of one address of a mailbox: what has come back from one may reach another."""
        return self.address_hashes(address)[0]

    def address_hashes(self, address: str) -> list[str]:
        """Return that hash, and those that were stored with former keys."""
        text = f"imageblur.address:{unicodedata.normalize('NFKC', address).casefold()}".encode()
        return [hmac.new(key.encode(), text, hashlib.sha256).hexdigest() for key in self._keys]
