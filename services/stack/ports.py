"""Check that ports are free before anything starts: gRPC would silently share a port and get half of the calls."""

import errno
import socket
from dataclasses import dataclass

import psutil

from services.stack.errors import SettingError, StackError


@dataclass(frozen=True)
class Endpoint:
    """A port to listen on; `setting` is the variable that changes it, `form` the format of its value."""

    host: str
    port: int
    setting: str
    form: str = "{port}"


def check(endpoint: Endpoint) -> None:
    """Check that a port is free.

    Raises:
        StackError: It is in use; the text names a free one.
        SettingError: This machine has no such address.
    """
    error = _bind_error(endpoint.host, endpoint.port)
    if error is None:
        return
    if error.errno != errno.EADDRINUSE:
        raise SettingError(f"{endpoint.setting}: cannot listen on {endpoint.host}:{endpoint.port} ({error.strerror})")
    pid = _listener(endpoint.port)
    holder = f" (by pid {pid})" if pid else ""
    remedy = endpoint.form.format(port=_next_free(endpoint.host, endpoint.port))
    raise StackError(f"port {endpoint.port} is in use{holder}: set {endpoint.setting}={remedy} or stop that program")


def free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _bind_error(host: str, port: int) -> OSError | None:
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in addresses:
            with socket.socket(family, kind, protocol) as probe:
                # Ignore connections that have just ended, but not listeners.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(address)
                probe.listen(1)
    except OSError as error:
        return error
    return None


def _next_free(host: str, port: int) -> int:
    return next((other for other in range(port + 1, min(port + 100, 65536)) if _bind_error(host, other) is None), port)


def _listener(port: int) -> int | None:
    """Return the pid of the listener; None if this user may not see it."""
    try:
        connections = psutil.net_connections("tcp")
    except (psutil.Error, OSError):
        return None
    listening = (c.pid for c in connections if c.status == psutil.CONN_LISTEN and c.laddr and c.laddr.port == port)
    return next(listening, None)
