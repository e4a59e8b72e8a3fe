"""TLS at the gateway, and the client over it: whom they take, and certificates that are renewed."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from imageblur_client import Client, ImageBlurClientError, InputFile, Security, ServerUnavailableError
from pydantic import SecretStr

from services.common.db.access import api_keys
from services.common.db.access.audit import AuditContext
from services.common.db.engine import Database
from services.common.domain.api_keys import Role
from services.common.domain.errors import ConfigurationError
from services.gateway.rpc import key_cache
from services.gateway.settings import GatewaySettings
from tests.integration.gateway.conftest import SECRET, running
from tests.support.certificates import Authority
from tests.support.waiting import eventually


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What is spoken does not depend on the database."""
    return sqlite_url


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "stranger")


@contextmanager
def serving(settings: GatewaySettings, authority: Authority, *, mutual: bool = False) -> Iterator[str]:
    certificate, key = authority.issue("server", "127.0.0.1")
    tls = {"tls_certificate": certificate, "tls_key": key, "tls_client_ca": authority.roots if mutual else None}
    with running(settings.model_copy(update=tls)) as gateway:
        yield f"127.0.0.1:{gateway.port}"


def test_an_order_goes_over_tls_with_a_key(
    settings: GatewaySettings, authority: Authority, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_cache, "REFRESH_SECONDS", 0.05)
    with database.write() as session:
        key = api_keys.create(session, AuditContext("test", "Test"), name="", role=Role.CLIENT, seconds=None).key
    with serving(settings.model_copy(update={"require_keys": True}), authority) as address:
        with Client(address, timeout=20, security=Security(key=key, ca_file=authority.roots)) as client:
            order = client.order("a@example.org", [InputFile(b"not looked at here", name="a.jpg")])
            assert client.status(order.order_id).order.counts.total == 1
            assert next(client.watch(order.order_id)).order.order_id == order.order_id
        keyless = Client(address, timeout=20, security=Security(ca_file=authority.roots))
        with keyless, pytest.raises(ImageBlurClientError, match="API key"):
            keyless.limits()


def test_who_does_not_speak_tls_or_know_the_root_gets_no_answer(
    settings: GatewaySettings, authority: Authority, stranger: Authority
) -> None:
    with serving(settings, authority) as address:
        for security in (Security(), Security(ca_file=stranger.roots)):
            with Client(address, timeout=20, security=security) as client, pytest.raises(ServerUnavailableError):
                client.limits()


def test_mutual_tls_takes_the_certificates_of_its_root_alone(
    settings: GatewaySettings, authority: Authority, stranger: Authority
) -> None:
    with serving(settings, authority, mutual=True) as address:
        mine, key = authority.issue("client", "client.example.org")
        with Client(
            address,
            timeout=20,
            security=Security(ca_file=authority.roots, certificate_file=mine, certificate_key_file=key),
        ) as client:
            assert client.limits().max_images == 5
        foreign, foreign_key = stranger.issue("client", "client.example.org")
        for security in (
            Security(ca_file=authority.roots),
            Security(ca_file=authority.roots, certificate_file=foreign, certificate_key_file=foreign_key),
        ):
            with Client(address, timeout=20, security=security) as client, pytest.raises(ServerUnavailableError):
                client.limits()


def test_a_renewed_certificate_is_shown_without_a_restart(settings: GatewaySettings, authority: Authority) -> None:
    with serving(settings, authority) as address:
        before = shown(address)
        certificate, key = authority.issue("server", "127.0.0.1")
        assert eventually(lambda: shown(address) != before)
        # While the files do not fit together, the last ones that did are shown.
        whole = shown(address)
        key.write_bytes(b"half a key")
        assert shown(address) == whole
        certificate.unlink()
        assert shown(address) == whole
        authority.issue("server", "127.0.0.1")
        assert eventually(lambda: shown(address) not in {before, whole})
        with Client(address, timeout=20, security=Security(ca_file=authority.roots)) as client:
            assert client.limits().max_images == 5


def shown(address: str) -> bytes:
    """The certificate that a new connection is shown."""
    host, port = address.split(":")
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with socket.create_connection((host, int(port)), 10) as plain, context.wrap_socket(plain) as encrypted:
        certificate = encrypted.getpeercert(binary_form=True)
        assert certificate
        return certificate


def test_files_that_do_not_fit_together_are_no_certificate(settings: GatewaySettings, authority: Authority) -> None:
    certificate, _ = authority.issue("one", "127.0.0.1")
    _, key = authority.issue("two", "127.0.0.1")
    for files in ((certificate, key), (certificate, key.with_name("missing"))):
        wrong = settings.model_copy(update={"tls_certificate": files[0], "tls_key": files[1]})
        with pytest.raises(ConfigurationError, match="IMAGEBLUR_TLS_CERTIFICATE"), running(wrong):
            pass


def test_half_of_the_settings_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("IMAGEBLUR_SECRET_KEY", SECRET)
    monkeypatch.setenv("IMAGEBLUR_TLS_CERTIFICATE", str(tmp_path / "crt"))
    with pytest.raises(ConfigurationError, match=r"^IMAGEBLUR_TLS_CERTIFICATE and IMAGEBLUR_TLS_KEY"):
        GatewaySettings.load()


def test_a_key_does_not_travel_in_plaintext_unless_that_is_meant() -> None:
    with pytest.raises(ImageBlurClientError, match="use TLS"):
        Client("blur.example.org:50051", security=Security(key="k"))
    Client("blur.example.org:50051", security=Security(key="k", plaintext_key=True)).close()
    Client("127.0.0.1:50051", security=Security(key="k")).close()


def test_a_key_is_not_shown_by_accident() -> None:
    assert "secret" not in repr(Security(key="secret"))


def test_former_secret_keys_are_as_long_as_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEBLUR_SECRET_KEY", SECRET)
    monkeypatch.setenv("IMAGEBLUR_FORMER_SECRET_KEYS", f"{'a' * 32}, {'b' * 40}")
    assert GatewaySettings.load().signing_keys == [SECRET, "a" * 32, "b" * 40]
    assert isinstance(GatewaySettings.load().former_secret_keys, SecretStr)
    monkeypatch.setenv("IMAGEBLUR_FORMER_SECRET_KEYS", f"{'a' * 32},short")
    with pytest.raises(ConfigurationError, match="IMAGEBLUR_FORMER_SECRET_KEYS: each key has at least 32 characters"):
        GatewaySettings.load()
