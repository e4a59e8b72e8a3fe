from pathlib import Path

import pytest

from services.common.domain.errors import ConfigurationError
from services.web.settings import WebSettings


@pytest.fixture(autouse=True)
def only_the_test_sets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in WebSettings.model_fields:
        monkeypatch.delenv(f"IMAGEBLUR_{name.upper()}", raising=False)
    monkeypatch.chdir(tmp_path)


def load(monkeypatch: pytest.MonkeyPatch, **values: str) -> WebSettings:
    for name, value in values.items():
        monkeypatch.setenv(f"IMAGEBLUR_{name.upper()}", value)
    return WebSettings.load()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"web_address": "0.0.0.0:8080"}, "IMAGEBLUR_ALLOW_ANONYMOUS"),
        ({"web_address": "0.0.0.0:8080", "allow_anonymous": "true", "mailbox_dir": "/x"}, "IMAGEBLUR_MAILBOX_DIR"),
        ({"web_address": "8080"}, "IMAGEBLUR_WEB_ADDRESS"),
        ({"web_address": "host:99999"}, "IMAGEBLUR_WEB_ADDRESS"),
        ({"public_url": "https://example.org/blur"}, "IMAGEBLUR_PUBLIC_URL"),
        ({"public_url": "example.org"}, "IMAGEBLUR_PUBLIC_URL"),
        ({"trusted_proxies": "127.0.0.1, nginx"}, "IMAGEBLUR_TRUSTED_PROXIES"),
        ({"cors_origins": "https://a.example, *"}, "IMAGEBLUR_CORS_ORIGINS"),
        ({"cors_origins": "https://a.example/"}, "IMAGEBLUR_CORS_ORIGINS"),
        ({"gateway_url": "127.0.0.1:50051"}, "IMAGEBLUR_GATEWAY_URL"),
        ({"gateway_url": "http://host:1/path"}, "IMAGEBLUR_GATEWAY_URL"),
    ],
)
def test_what_is_wrong_is_named(monkeypatch: pytest.MonkeyPatch, values: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load(monkeypatch, **values)


def test_names_that_it_goes_by(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch).hosts == frozenset({"localhost", "127.0.0.1", "::1"})
    named = load(monkeypatch, public_url="https://blur.example.org")
    assert named.hosts == frozenset({"localhost", "127.0.0.1", "::1", "blur.example.org"})


def test_open_to_all_without_a_name_it_goes_by_any(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch, web_address="0.0.0.0:80", allow_anonymous="true").hosts is None
