"""TLS: certificate and key from files, read again for new connections when they have changed."""

import ssl
from pathlib import Path

import grpc

from services.common.domain.errors import ConfigurationError
from services.common.infra import log

_log = log.get(__name__)


class Certificates:
    """The files of a server's certificate (its chain), its key, and, for mutual TLS, of whom it takes clients'."""

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None) -> None:
        self._certificate, self._key, self._client_ca = certificate, key, client_ca
        self._seen: tuple[tuple[int, int, int], ...] | None = None

    def credentials(self) -> grpc.ServerCredentials:
        """Credentials that follow the files.

        Raises:
            ConfigurationError: One cannot be read, or they are no certificate and key.
        """
        try:
            first = self._read()
        except OSError as error:  # an SSLError is one
            raise ConfigurationError(f"IMAGEBLUR_TLS_CERTIFICATE: {error}") from None
        mutual = self._client_ca is not None
        # The stubs do not know that None is an answer: nothing is new.
        return grpc.dynamic_ssl_server_credentials(first, self._renewed, mutual)  # type: ignore[arg-type]

    def _renewed(self) -> grpc.ServerCertificateConfiguration | None:
        """Asked by gRPC for each new connection; None: as before."""
        try:
            return self._read() if self._stamps() != self._seen else None
        except OSError as error:
            # In the middle of being replaced, perhaps: the next connection looks again.
            _log.warning("certificates not read again", error=str(error))
            return None

    def _read(self) -> grpc.ServerCertificateConfiguration:
        seen = self._stamps()
        pair = (self._key.read_bytes(), self._certificate.read_bytes())
        # gRPC itself takes anything, and then refuses every connection without saying why.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self._certificate, self._key)
        roots = self._client_ca.read_bytes() if self._client_ca else None
        self._seen = seen
        return grpc.ssl_server_certificate_configuration([pair], roots)

    def _stamps(self) -> tuple[tuple[int, int, int], ...]:
        files = (self._certificate, self._key, self._client_ca)
        states = [file.stat() for file in files if file]
        return tuple((state.st_mtime_ns, state.st_size, state.st_ino) for state in states)
