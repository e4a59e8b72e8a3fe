"""Connects to a host that a caller has named, if its address is allowed.

A name is resolved once, and the connection goes to the very address that was checked: an answer of the DNS that changes
in between has no effect. Proxies of the environment are not used, since they would resolve names themselves.
"""

import ipaddress
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.common.domain.addresses import IpNetwork, is_allowed
from services.common.infra.outbound.errors import OutboundError, RefusedAddress
from services.common.infra.outbound.shared_lookup import list_addresses

LOOKUP_SECONDS = 10.0
CONNECT_SECONDS = 10.0

LookUp = Callable[[str, float], Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class GuardedConnect:
    """Opens connections to allowed addresses only."""

    allowed: Sequence[IpNetwork] = ()
    """Networks that are allowed although they are not public."""
    look_up: LookUp = list_addresses
    """Returns the addresses of a host within so many seconds, or raises OSError."""

    def __call__(self, host: str, port: int, deadline: float) -> socket.socket:
        """Return a connection to the first address of a host that is allowed and answers.

        Args:
            host: A name or an address.
            port: The port.
            deadline: By `time.monotonic`.

        Raises:
            RefusedAddress: None of the addresses is allowed.
            OutboundError: The name is not resolved, or no address answers.
        """
        addresses = [address for address in self._resolve(host, deadline) if self._is_allowed(address)]
        if not addresses:
            raise RefusedAddress(f"the address of {host} is not public, and the operator has not allowed its network")
        failure: OSError | None = None
        for address in addresses:
            seconds = min(CONNECT_SECONDS, deadline - time.monotonic())
            if seconds <= 0:
                break
            try:
                return socket.create_connection((address, port), seconds)
            except OSError as error:
                failure = error
        reason = (failure.strerror or str(failure)) if failure else "timed out"
        raise OutboundError(f"{host} cannot be reached: {reason}")

    def _resolve(self, host: str, deadline: float) -> Sequence[str]:
        try:
            return [str(ipaddress.ip_address(host))]
        except ValueError:
            pass
        try:
            return self.look_up(host, max(0.0, min(LOOKUP_SECONDS, deadline - time.monotonic())))
        except TimeoutError as error:
            raise OutboundError(str(error)) from None
        except (OSError, UnicodeError):
            raise OutboundError(f"the name {host} cannot be resolved") from None

    def _is_allowed(self, address: str) -> bool:
        try:
            return is_allowed(ipaddress.ip_address(address), self.allowed)
        except ValueError:
            return False
