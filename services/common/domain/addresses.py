"""The rules of addresses that callers name: which URLs are accepted, and which IP addresses may be connected to.

The host of a URL is a name until it is resolved. So the rule that protects inner networks is that of the IP address,
and is applied to the address that is connected to (`services.common.infra.outbound.connect`). What is checked of the
URL is for an error that is early and clear.
"""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

MAX_URL = 2048
"""Longest URL, in characters."""
HTTPS_PORT = 443
LOWEST_OTHER_PORT = 1024
"""Ports below belong to other protocols, such as SSH and SMTP."""

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

_HOST = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.(?!-)[a-z0-9_-]{1,63})*\.?", re.ASCII)
# Beyond what `is_global` knows, which differs between versions of Python.
_REFUSED: tuple[IpNetwork, ...] = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8",
            "100.64.0.0/10",
            "168.63.129.16/32",  # answers for Azure's hosts, from inside them
            "192.0.0.0/24",
            "192.88.99.0/24",
            "198.18.0.0/15",
            "224.0.0.0/3",
            "64:ff9b:1::/48",
            "100::/64",
            "2001:db8::/32",
            "fc00::/7",
            "fe80::/9",
            "ff00::/8",
        ),
    )
)
# Addresses that carry an IPv4 address, to which a gateway may pass the connection: NAT64, and what is "compatible".
_CARRY_IPV4: tuple[ipaddress.IPv6Network, ...] = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("::/96"))


class BadUrl(ValueError):
    """A URL is not accepted; the text describes what is wrong."""


@dataclass(frozen=True, kw_only=True)
class HttpsUrl:
    """A URL that was accepted."""

    host: str
    """A name in lower case, or an IP address without brackets."""
    port: int
    target: str
    """Path and query."""

    @property
    def host_header(self) -> str:
        """The host as in the header `Host`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == HTTPS_PORT else f"{host}:{self.port}"

    @property
    def literal_address(self) -> IpAddress | None:
        """The IP address, if the host is one."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None

    def __str__(self) -> str:
        """Return it without its query, which may contain secrets."""
        return f"https://{self.host_header}{self.target.partition('?')[0]}"


def parse_url(text: str) -> HttpsUrl:
    """Return a URL of HTTPS.

    Raises:
        BadUrl: It is none, or not one that is accepted.
    """
    if len(text) > MAX_URL:
        raise BadUrl(f"is longer than {MAX_URL} characters")
    if not text.isascii() or not text.isprintable() or any(character in text for character in ' \\"<>^`{|}'):
        raise BadUrl("contains a space or another character that has to be percent-encoded (a host: as xn--…)")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise BadUrl(f"is not a URL: {error}") from None
    if parts.scheme != "https":
        raise BadUrl("must begin with https://")
    if parts.username is not None or parts.password is not None:
        raise BadUrl("must not contain a user name or password")
    if "#" in text:
        raise BadUrl("must not contain a fragment (#)")
    port = HTTPS_PORT if port is None else port
    if port != HTTPS_PORT and port < LOWEST_OTHER_PORT:
        raise BadUrl(f"has the port {port}: only {HTTPS_PORT}, and {LOWEST_OTHER_PORT} or above, are connected to")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return HttpsUrl(host=_host(parts.hostname or "", parts.netloc), port=port, target=target)


def _host(host: str, netloc: str) -> str:
    if "[" in netloc:
        try:
            return str(ipaddress.IPv6Address(host.replace("%", "-")))  # no zones
        except ValueError:
            raise BadUrl("has a host that is not an IPv6 address") from None
    if len(host) > 253 or not _HOST.fullmatch(host):
        raise BadUrl("has no valid host name")
    last = host.rstrip(".").rpartition(".")[2]
    # Resolvers read 2130706433, 0177.1 and 0x7f.0.0.1 as addresses (inet_aton); nobody writes one so by mistake.
    if last.isdecimal() or last.startswith("0x"):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise BadUrl("has a number as its host that is not an IPv4 address of four decimal numbers") from None
    return host


def parse_networks(text: str) -> tuple[IpNetwork, ...]:
    """Return networks such as `10.1.0.0/16, fd00::/8`.

    Raises:
        ValueError: One is malformed.
    """
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())


def is_allowed(address: IpAddress, allowed: Iterable[IpNetwork] = ()) -> bool:
    """Return whether an address may be connected to: it is public, or in a network that the operator allows.

    Of an address that carries another (IPv4-mapped, 6to4, Teredo, NAT64), that other one counts.
    """
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id:
        return False
    networks = tuple(allowed)
    if _within(address, networks):
        return True
    carried = _carried(address)
    if carried:
        return all(is_allowed(each, networks) for each in carried)
    return address.is_global and not address.is_multicast and not _within(address, _REFUSED)


def _within(address: IpAddress, networks: Iterable[IpNetwork]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _carried(address: IpAddress) -> Sequence[IpAddress]:
    if isinstance(address, ipaddress.IPv4Address):
        return ()
    if address.ipv4_mapped:
        return (address.ipv4_mapped,)
    if address.sixtofour:
        return (address.sixtofour,)
    if address.teredo:
        return address.teredo
    if _within(address, _CARRY_IPV4):
        return (ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF),)
    return ()
