"""Parse addresses as gRPC writes them."""


def split_address(address: str) -> tuple[str, int] | None:
    """Return host and port of `host:port` or `[v6]:port`; None for a unix socket. Raises: ValueError."""
    if address.startswith("unix:"):
        return None
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise ValueError("must be host:port with a port from 1 to 65535, such as 127.0.0.1:50051")
    return host.removeprefix("[").removesuffix("]"), int(port)


def reachable(address: str) -> str:
    """Return the address to connect to: loopback if the server listens on all interfaces."""
    parts = split_address(address)
    if parts is None:
        return address
    host, port = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(parts[0], parts[0]), parts[1]  # noqa: S104 - not bound
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
