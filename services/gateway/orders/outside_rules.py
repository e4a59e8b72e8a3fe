"""Who may have the service connect to addresses, and to which: webhooks and sources."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from services.common.domain.addresses import BadUrl, HttpsUrl, IpNetwork, is_allowed, parse_url
from services.common.domain.api_keys import Role
from services.common.domain.errors import InvalidArgument, PermissionDenied, Violation
from services.gateway.rpc.callers import CURRENT_CALL, CurrentCall


@dataclass(frozen=True, kw_only=True)
class OutsideRules:
    """What the operator allows."""

    allow_urls: bool
    networks: Sequence[IpNetwork]

    def check_url(self, text: str, field: str) -> HttpsUrl:
        """Check an address early; the worker or mailer that connects to it checks what it is resolved to.

        Raises:
            InvalidArgument: It is malformed, not allowed, or an IP address that is not.
            PermissionDenied: The caller has no API key.
        """
        if not self.allow_urls:
            raise InvalidArgument(Violation(field, "is not allowed by the operator of this server"))
        require_key(field)
        try:
            url = parse_url(text)
        except BadUrl as error:
            raise InvalidArgument(Violation(field, str(error))) from None
        address = url.literal_address
        if url.host.rstrip(".").endswith("localhost") and not address:
            address = ipaddress.IPv4Address("127.0.0.1")
        if address and not is_allowed(address, self.networks):
            message = "leads to an address that is not public, and the operator has not allowed its network"
            raise InvalidArgument(Violation(field, message))
        return url


def require_key(what: str) -> None:
    """Check that the caller has an API key or is on this machine.

    Raises:
        PermissionDenied: It has none: its webhooks and files would be everyone's.
    """
    if not is_known(CURRENT_CALL.get()):
        raise PermissionDenied(
            "API_KEY_NEEDED", f"{what} needs an API key: send the metadata authorization: Bearer KEY"
        )


def is_known(call: CurrentCall) -> bool:
    """Return whether a caller has an API key, or is on this machine itself and not a visitor of its pages."""
    if call.caller.key_id:
        return True
    return call.caller.role is Role.ADMIN and (call.visitor is None or _is_loopback(call.visitor))


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
