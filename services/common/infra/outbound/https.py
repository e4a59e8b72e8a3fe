"""One HTTPS request to an address that a caller has named.

http.client over a guarded connection: certificates are verified for the host's name, while the connection goes to the
address that was checked. A request has a deadline as a whole: a server that sends a byte now and then cannot hold it
longer. Redirects are not followed, answers are not decompressed, cookies and proxies do not exist.
"""

import functools
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from services.common.domain.addresses import HttpsUrl
from services.common.infra.outbound.connect import GuardedConnect
from services.common.infra.outbound.errors import OutboundError, ResponseTooLarge
from services.common.infra.version import VERSION

CHUNK = 1 << 16
IDLE_SECONDS = 20.0
"""Longest wait for the next bytes."""
USER_AGENT = f"ImageBlur/{VERSION}"


class _Connection(http.client.HTTPSConnection):
    """Connects by `GuardedConnect`; ends at its deadline, whatever it is doing."""

    def __init__(self, url: HttpsUrl, connect: GuardedConnect, tls: ssl.SSLContext, seconds: float) -> None:
        super().__init__(url.host, url.port, timeout=seconds, context=tls)
        self._guarded = connect
        self._tls = tls
        self._deadline = time.monotonic() + seconds
        self._timer: threading.Timer | None = None
        self.timed_out = False

    def connect(self) -> None:
        raw = self._guarded(self.host, self.port, self._deadline)
        raw.settimeout(IDLE_SECONDS)
        sock = self._tls.wrap_socket(
            raw,
            server_hostname=self.host,
            do_handshake_on_connect=False,
            # A connection that is cut must not count as the end of an answer.
            suppress_ragged_eofs=False,
        )
        self.sock = sock
        self._timer = threading.Timer(max(0.0, self._deadline - time.monotonic()), self._time_out, (sock,))
        self._timer.daemon = True
        self._timer.start()
        sock.do_handshake()

    def _time_out(self, sock: socket.socket) -> None:
        self.timed_out = True
        with suppress(OSError):
            # Not that of the TLS socket, which is no method for two threads.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def close(self) -> None:
        if self._timer:
            self._timer.cancel()
        super().close()


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer whose body has not been read yet."""

    status: int
    retry_after: float | None
    """Seconds that the server asks to wait, if it does so as a number."""
    _response: http.client.HTTPResponse
    _connection: _Connection
    _host: str

    @property
    def length(self) -> int | None:
        """Bytes of the body, if the server declares them."""
        return self._response.length

    def header(self, name: str) -> str:
        """Return a header; empty without it."""
        return self._response.headers.get(name) or ""

    def chunks(self, max_bytes: int) -> Iterator[bytes]:
        """Yield the body.

        Raises:
            ResponseTooLarge: It is larger than `max_bytes`.
            OutboundError: It broke off, or did not end in time.
        """
        expected, received = self._response.length, 0
        if expected is not None and expected > max_bytes:
            raise ResponseTooLarge(f"the file is larger than {max_bytes} bytes")
        with _translated(self._host, self._connection):
            while chunk := self._response.read(CHUNK):
                received += len(chunk)
                if received > max_bytes:
                    raise ResponseTooLarge(f"the file is larger than {max_bytes} bytes")
                yield chunk
            if self._connection.timed_out:
                raise TimeoutError
        if expected is not None and received < expected:
            raise OutboundError(f"{self._host} sent {received} of {expected} bytes")


@dataclass(frozen=True, kw_only=True)
class HttpsClient:
    """Makes requests; thread-safe."""

    connect: GuardedConnect
    tls: ssl.SSLContext | None = None
    """None: with the system's authorities, or those of the file that `SSL_CERT_FILE` names."""

    @contextmanager
    def request(
        self,
        method: str,
        url: HttpsUrl,
        *,
        seconds: float,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[Answer]:
        """Make a request and yield the answer; the connection is closed at the end of the block.

        Args:
            method: `GET` or `POST`.
            url: The address.
            seconds: Longest time for all of it, the body included.
            body: What is sent.
            headers: More headers.

        Raises:
            RefusedAddress: The address may not be connected to.
            OutboundError: There is no answer in time.
        """
        connection = _Connection(url, self.connect, self.tls or _default_tls(), seconds)
        fixed = {
            "Host": url.host_header,
            "User-Agent": USER_AGENT,
            "Accept-Encoding": "identity",
            "Connection": "close",
        }
        try:
            with _translated(url.host, connection):
                connection.request(method, url.target, body, fixed | dict(headers or {}))
                response = connection.getresponse()
                if connection.timed_out:
                    raise TimeoutError
            wait = response.headers.get("Retry-After") or ""
            yield Answer(
                status=response.status,
                retry_after=float(wait) if wait.isascii() and wait.isdecimal() and len(wait) < 9 else None,
                _response=response,
                _connection=connection,
                _host=url.host,
            )
        finally:
            connection.close()


@functools.cache
def _default_tls() -> ssl.SSLContext:
    # With the first request: the authorities take two megabytes, and most services never make one.
    return ssl.create_default_context()


@contextmanager
def _translated(host: str, connection: _Connection) -> Iterator[None]:
    try:
        yield
    except OutboundError:
        raise
    except ssl.SSLCertVerificationError as error:
        raise OutboundError(f"the certificate of {host} is not valid: {error.verify_message}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        if connection.timed_out or isinstance(error, TimeoutError):
            raise OutboundError(f"{host} did not answer in time") from None
        # Of HTTP errors the type alone: their texts contain what the server sent.
        what = error.strerror or "the connection broke off" if isinstance(error, OSError) else type(error).__name__
        raise OutboundError(f"{host} gave no valid answer: {what}") from None
