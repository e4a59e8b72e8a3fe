from pathlib import Path

import pytest

from services.common.domain.errors import ConfigurationError
from services.mailer.settings import MailerSettings


@pytest.fixture(autouse=True)
def _only_what_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))
    monkeypatch.setenv("IMAGEBLUR_SECRET_KEY", "x" * 32)


def load(monkeypatch: pytest.MonkeyPatch, **variables: str) -> MailerSettings:
    for name, value in variables.items():
        monkeypatch.setenv(f"IMAGEBLUR_{name}", value)
    return MailerSettings.load()


def test_the_defaults_work(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch)
    assert (settings.smtp_host, settings.smtp_port, settings.smtp_security) == ("127.0.0.1", 1025, "none")
    assert settings.attachment_limit_mb == 18
    assert settings.public_url is None


def test_every_setting_is_described() -> None:
    assert all(field.description for field in MailerSettings.model_fields.values())


def test_a_login_with_nul_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable contains one, but a file with a secret may."""
    (tmp_path / "imageblur_smtp_password").write_text("p\0q")
    with pytest.raises(ConfigurationError, match=r"IMAGEBLUR_SMTP_PASSWORD: neither it nor .* may contain a NUL"):
        load(monkeypatch, SECRETS_DIR=str(tmp_path), SMTP_USER="me")


@pytest.mark.parametrize("host", ["mail.example.org", "192.0.2.1"])
def test_a_password_does_not_travel_in_the_clear(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    with pytest.raises(ConfigurationError, match=f"IMAGEBLUR_SMTP_USER: the password would be sent to {host}"):
        load(monkeypatch, SMTP_HOST=host, SMTP_USER="me", SMTP_PASSWORD="p")


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_password_may_travel_encrypted(monkeypatch: pytest.MonkeyPatch, security: str) -> None:
    values = {"SMTP_HOST": "mail.example.org", "SMTP_USER": "me", "SMTP_PASSWORD": "p", "SMTP_SECURITY": security}
    assert load(monkeypatch, **values).smtp_user == "me"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_a_password_may_stay_on_the_machine(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    assert load(monkeypatch, SMTP_HOST=host, SMTP_USER="me", SMTP_PASSWORD="p").smtp_user == "me"


def test_a_user_needs_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="IMAGEBLUR_SMTP_PASSWORD: must be set when"):
        load(monkeypatch, SMTP_USER="me")


def test_a_sender_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="IMAGEBLUR_MAIL_FROM: must be one address, such as"):
        load(monkeypatch, MAIL_FROM="ImageBlur")


def test_the_slash_behind_a_public_url_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "https://example.org"
    assert load(monkeypatch, PUBLIC_URL=f"{url}/").public_url == url


def test_the_pages_need_a_host_name_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="IMAGEBLUR_PUBLIC_URL: must have no path"):
        load(monkeypatch, PUBLIC_URL="https://example.org/blur")


@pytest.mark.parametrize(
    "url",
    ["example.org", "ftp://example.org", "https://", "https://a/?b=c", "https://a/#b", "https://a/ b", "https://a/>"],
)
def test_what_is_no_web_address_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    with pytest.raises(ConfigurationError, match="IMAGEBLUR_PUBLIC_URL: must be a URL such as"):
        load(monkeypatch, PUBLIC_URL=url)


def test_keys_whose_orders_go_to_any_address_are_uuids(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch).trusted_principals == frozenset()
    key = "3f2b8a52-5f4e-4d4b-9f63-8f7d2f1c9a10"
    assert load(monkeypatch, RESULTS_KEYS=f" {key.upper()}, ").trusted_principals == {f"key:{key}"}
    with pytest.raises(ConfigurationError, match="IMAGEBLUR_RESULTS_KEYS: anyone is not the ID of an API key"):
        load(monkeypatch, RESULTS_KEYS=f"{key},anyone")
