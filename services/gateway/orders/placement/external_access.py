"""Who may name addresses and places, and which: webhooks, sources and targets."""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from services.common.domain.addresses import BadUrl, HttpsUrl, IpNetwork, is_allowed, parse_url
from services.common.domain.api_keys import Role
from services.common.domain.errors import InvalidArgument, PermissionDenied, Violation
from services.common.domain.sources import ImageSource
from services.gateway.orders.messages.requests import ParsedHeader, ParsedListing, ParsedTarget
from services.gateway.rpc.callers import CURRENT_CALL, CurrentCall
from services.gateway.settings import GatewaySettings


@dataclass(frozen=True, kw_only=True)
class ExternalAccessPolicy:
    """What the operator allows."""

    allow_urls: bool
    networks: Sequence[IpNetwork]
    sources: Mapping[str, str] = field(default_factory=dict)
    """Locations of the places of sources by name."""
    targets: Mapping[str, str] = field(default_factory=dict)
    """Likewise, of results."""
    places_principals: frozenset[str] = frozenset()
    """Who may use places; empty: everyone with a key."""

    @classmethod
    def of(cls, settings: GatewaySettings) -> Self:
        """Return the rules of these settings."""
        return cls(
            allow_urls=settings.allow_urls,
            networks=settings.networks,
            sources=settings.sources,
            targets=settings.targets,
            places_principals=settings.places_principals,
        )

    def check_header(self, header: ParsedHeader) -> None:
        """Check the webhook and the target of an order.

        Raises:
            InvalidArgument: One is not allowed, or there is no such place.
            PermissionDenied: The caller has no API key, or one that may not use places.
        """
        if header.webhook_url:
            self.check_url(header.webhook_url, "order.webhook_url")
        if header.target:
            self.check_place(header.target.place, "order.target.place", self.targets)

    def check_source(self, source: ImageSource, path: str, target: ParsedTarget | None) -> None:
        """Check a source of an image; `path` is that of the image in the request.

        Raises:
            As `check_header`.
        """
        if source.file is None:
            self.check_url(source.url, f"{path}.source.url")
            return
        self.check_place(source.file.place, f"{path}.source.file.place", self.sources)
        folder = source.file.key.rpartition("/")[0]
        self._check_apart(source.file.place, f"{folder}/" if folder else "", target)

    def check_listing(self, listing: ParsedListing, target: ParsedTarget | None) -> None:
        """Check a listing.

        Raises:
            As `check_header`.
        """
        self.check_place(listing.place, f"{listing.field}.place", self.sources)
        self._check_apart(listing.place, listing.folder, target)

    def check_place(self, name: str, path: str, places: Mapping[str, str]) -> None:
        """Check that the caller may use a place of this name.

        Raises:
            As `check_header`.
        """
        require_key(path)
        if not self.may_use_places():
            raise PermissionDenied("PLACES_NOT_ALLOWED", f"this API key may not use places ({path})")
        if name not in places:
            known = ", ".join(sorted(places)) or "none"
            raise InvalidArgument(Violation(path, f"{name[:50]!r} is not a place of this server: there are {known}"))

    def may_use_places(self) -> bool:
        """Return whether the current caller may use places."""
        call = CURRENT_CALL.get()
        if self.places_principals and call.caller.key_id:
            return call.caller.principal in self.places_principals
        return is_known(call)

    def _check_apart(self, place: str, folder: str, target: ParsedTarget | None) -> None:
        if target and self.sources[place] == self.targets[target.place] and folder == target.folder:
            message = "is where the images come from: the results would replace them"
            raise InvalidArgument(Violation("order.target.prefix", message))

    def check_url(self, text: str, path: str) -> HttpsUrl:
        """Check an address early; the worker or mailer that connects to it checks what it is resolved to.

        Raises:
            InvalidArgument: It is malformed, not allowed, or an IP address that is not.
            PermissionDenied: The caller has no API key.
        """
        if not self.allow_urls:
            raise InvalidArgument(Violation(path, "is not allowed by the operator of this server"))
        require_key(path)
        try:
            url = parse_url(text)
        except BadUrl as error:
            raise InvalidArgument(Violation(path, str(error))) from None
        address = url.literal_address
        if url.host.rstrip(".").endswith("localhost") and not address:
            address = ipaddress.IPv4Address("127.0.0.1")
        if address and not is_allowed(address, self.networks):
            message = "leads to an address that is not public, and the operator has not allowed its network"
            raise InvalidArgument(Violation(path, message))
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
