"""Where a server is, and how a client and it authenticate each other."""

import ipaddress
import os
import re
from dataclasses import dataclass, field

DEFAULT_SERVER = "127.0.0.1:50051"
_DEFAULT_PORT = 50051
_HOST_WITHOUT_PORT = re.compile(r"[^:/\[\]]+|\[[^\]]+\]")


def address(server: str) -> str:
    """Return the server's address with a port; gRPC names such as `unix:/run/imageblur.sock` are unchanged."""
    # Without a port gRPC would connect to 443.
    return f"{server}:{_DEFAULT_PORT}" if _HOST_WITHOUT_PORT.fullmatch(server) else server


@dataclass(frozen=True, kw_only=True)
class Security:
    """How a client and its server authenticate each other.

    Attributes:
        key: API key, sent with every call.
        tls: Use TLS; None: if a certificate file is given.
        ca_file: CA certificates (PEM) of the server; None: those of this machine.
        certificate_file: Certificate (PEM) of the client, for mutual TLS.
        certificate_key_file: Key (PEM) of that certificate.
        plaintext_key: Allow sending the key to another machine without TLS. For private networks only.
    """

    key: str | None = field(default=None, repr=False)
    tls: bool | None = None
    ca_file: str | os.PathLike[str] | None = None
    certificate_file: str | os.PathLike[str] | None = None
    certificate_key_file: str | os.PathLike[str] | None = None
    plaintext_key: bool = False

    @property
    def encrypted(self) -> bool:
        """Whether the connection uses TLS."""
        return bool(self.ca_file or self.certificate_file) if self.tls is None else self.tls


NO_SECURITY = Security()


def is_local(server: str) -> bool:
    """Return whether a server is on this machine."""
    if server.startswith("unix:"):
        return True
    host = server.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
