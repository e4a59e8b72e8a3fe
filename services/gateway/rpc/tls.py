"""TLS: certificate and key from files, reloaded for new connections when the files change."""

import ssl
from pathlib import Path

import grpc

from services.common.domain.errors import ConfigurationError
from services.common.infra import log

_log = log.get(__name__)


class CertificateFiles:
    """The server's certificate chain and key, and for mutual TLS the CA certificates of clients."""

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None) -> None:
        self._certificate, self._key, self._client_ca = certificate, key, client_ca
        self._loaded: tuple[tuple[int, int, int], ...] | None = None

    def credentials(self) -> grpc.ServerCredentials:
        """Return credentials that are reloaded when the files change.

        Raises:
            ConfigurationError: A file cannot be read, or certificate and key do not match.
        """
        try:
            initial = self._load()
        except OSError as error:  # includes SSLError
            raise ConfigurationError(f"IMAGEBLUR_TLS_CERTIFICATE: {error}") from None
        mutual = self._client_ca is not None
        # The stubs do not allow None, which means: unchanged.
        return grpc.dynamic_ssl_server_credentials(initial, self._reload, mutual)  # type: ignore[arg-type]

    def _reload(self) -> grpc.ServerCertificateConfiguration | None:
        """Return the new configuration; None if unchanged. gRPC calls this for each new connection."""
        try:
            return self._load() if self._versions() != self._loaded else None
        except OSError as error:
            # The files may be being replaced: the next connection tries again.
            _log.warning("certificates not reloaded", error=str(error))
            return None

    def _load(self) -> grpc.ServerCertificateConfiguration:
        versions = self._versions()
        pair = (self._key.read_bytes(), self._certificate.read_bytes())
        # gRPC itself accepts anything, and then refuses every connection without an explanation.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self._certificate, self._key)
        roots = self._client_ca.read_bytes() if self._client_ca else None
        self._loaded = versions
        return grpc.ssl_server_certificate_configuration([pair], roots)

    def _versions(self) -> tuple[tuple[int, int, int], ...]:
        files = (self._certificate, self._key, self._client_ca)
        states = [file.stat() for file in files if file]
        return tuple((state.st_mtime_ns, state.st_size, state.st_ino) for state in states)
