"""How the web pages name their visitor to the gateway, so that rate limits count each visitor and not the pages.

A secret that both know proves that the address comes from the pages.
"""

import functools
import hashlib
import hmac
import ipaddress
from collections.abc import Iterable

ADDRESS = "imageblur-visitor"
PROOF = "imageblur-visitor-proof"
_IPV6_NETWORK = 64
"""Bits of an IPv6 address that one household or server has."""


class VisitorProof:
    """Makes and verifies the metadata of a call that names a visitor; without a secret neither."""

    def __init__(self, secret: str | None) -> None:
        self._secret = secret.encode() if secret else None

    def metadata(self, address: str) -> tuple[tuple[str, str], ...]:
        """Return the metadata for the visitor with this network address."""
        counted = counted_address(address)
        if self._secret is None or counted is None:
            return ()
        return (ADDRESS, counted), (PROOF, self._proof(counted))

    def address(self, metadata: Iterable[tuple[str, str | bytes]]) -> str | None:
        """Return the visitor of a call; None if it names none, or not with the secret."""
        if self._secret is None:
            return None
        sent = {name: value for name, value in metadata if name in {ADDRESS, PROOF}}
        address, proof = sent.get(ADDRESS), sent.get(PROOF)
        if not isinstance(address, str) or not isinstance(proof, str) or len(address) > 64:
            return None
        return address if hmac.compare_digest(self._proof(address).encode(), proof.encode()) else None

    def _proof(self, address: str) -> str:
        assert self._secret is not None
        return hmac.digest(self._secret, address.encode(), hashlib.sha256).hex()


@functools.lru_cache(1024)
def counted_address(address: str) -> str | None:
    """Return what a visitor is counted by: an IPv4 address or an IPv6 network; None if it is neither."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed), _IPV6_NETWORK), strict=False))
