"""Settings as files, for secrets of containers."""

from pathlib import Path

import pytest

from services.common.domain.errors import ConfigurationError
from services.gateway.settings import GatewaySettings


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # without a .env
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/imageblur_secret_key").write_text("a key from a file, of more than 32 characters\n")
    (tmp_path / "secrets/imageblur_database_url").write_text("postgresql://me:secret@db/imageblur\n")
    monkeypatch.setenv("IMAGEBLUR_SECRETS_DIR", str(tmp_path / "secrets"))


def test_a_file_is_a_setting() -> None:
    settings = GatewaySettings.load()
    assert settings.secret_key.get_secret_value() == "a key from a file, of more than 32 characters"
    assert settings.database_url == "postgresql+psycopg://me:secret@db/imageblur"


def test_the_environment_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEBLUR_DATABASE_URL", "sqlite:///other.db")
    assert GatewaySettings.load().database_url == "sqlite:///other.db"


def test_a_file_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(self: Path, *_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_text", unreadable)  # root may read everything
    with pytest.raises(ConfigurationError, match=r"SECRETS_DIR: .*Permission denied.*imageblur_\w+"):
        GatewaySettings.load()


def test_a_folder_that_is_not_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEBLUR_SECRETS_DIR", "/nonexistent/secrets")
    monkeypatch.setenv("IMAGEBLUR_SECRET_KEY", "x" * 32)
    assert GatewaySettings.load().database_url.startswith("sqlite")
