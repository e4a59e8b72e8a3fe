from pathlib import Path

import pytest
from pydantic import SecretStr

from services.common.domain.errors import ConfigurationError
from services.stack.address import reachable, split_address
from services.stack.data_folder import Places
from services.stack.environment import service_environment
from services.stack.plan import default_plan
from services.stack.settings import StackSettings


@pytest.fixture(autouse=True)
def only_the_test_sets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in StackSettings.model_fields:
        monkeypatch.delenv(f"IMAGEBLUR_{name.upper()}", raising=False)
    monkeypatch.chdir(tmp_path)


def test_every_setting_is_described() -> None:
    assert [name for name, field in StackSettings.model_fields.items() if not field.description] == []


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("127.0.0.1:50051", ("127.0.0.1", 50051)),
        ("[::1]:1", ("::1", 1)),
        ("localhost:65535", ("localhost", 65535)),
        ("unix:/run/x.sock", None),
    ],
)
def test_an_address_is_host_and_port(address: str, parts: tuple[str, int] | None) -> None:
    assert split_address(address) == parts


@pytest.mark.parametrize("address", ["50051", ":50051", "host:", "host:0", "host:65536", "host:١", "host:+1"])
def test_a_wrong_address_is_told_with_its_variable(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEBLUR_GATEWAY_ADDRESS", address)
    with pytest.raises(ConfigurationError, match=r"^IMAGEBLUR_GATEWAY_ADDRESS: "):
        StackSettings.load()


@pytest.mark.parametrize(
    ("address", "called"),
    [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:1", "[::1]:1"), ("10.1.2.3:1", "10.1.2.3:1"), ("unix:/x", "unix:/x")],
)
def test_what_listens_everywhere_is_called_on_loopback(address: str, called: str) -> None:
    assert reachable(address) == called


def test_what_nobody_set_is_embedded(tmp_path: Path) -> None:
    places = Places(tmp_path / "my data")
    places.make()
    environment = service_environment(StackSettings(data_dir=places.data, mailbox_port=2525), places, "token")
    assert environment["IMAGEBLUR_DATABASE_URL"] == f"sqlite:///{tmp_path}/my data/imageblur.db"
    assert environment["IMAGEBLUR_BROKER_URL"].startswith("unix:///")
    assert " " not in environment["IMAGEBLUR_BROKER_URL"]
    assert environment["IMAGEBLUR_BLOB_URL"] == f"{tmp_path}/my data/blobs"
    assert (environment["IMAGEBLUR_SMTP_HOST"], environment["IMAGEBLUR_SMTP_PORT"]) == ("127.0.0.1", "2525")


def test_the_secret_key_is_made_once_and_closed_to_others(tmp_path: Path) -> None:
    places = Places(tmp_path)
    places.make()
    first, second = (service_environment(StackSettings(), places, "token")["IMAGEBLUR_SECRET_KEY"] for _ in range(2))
    assert first == second
    assert len(first) >= 32
    assert places.secret_key.stat().st_mode & 0o777 == 0o600


def test_what_is_set_is_respected(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wanted = {
        "IMAGEBLUR_DATABASE_URL": "postgresql://db/x",
        "IMAGEBLUR_BROKER_URL": "redis://broker/3",
        "IMAGEBLUR_SMTP_HOST": "relay.example.org",
    }
    (tmp_path / ".env").write_text("IMAGEBLUR_BLOB_URL=s3://bucket/x\n")
    for name, value in wanted.items():
        monkeypatch.setenv(name, value)
    settings, places = StackSettings(secret_key=SecretStr("k" * 32)), Places(tmp_path / "data")
    places.make()
    environment = service_environment(settings, places, "token")
    wanted |= {"IMAGEBLUR_BLOB_URL": "s3://bucket/x", "IMAGEBLUR_SECRET_KEY": "k" * 32}
    assert {name: environment[name] for name in wanted} == wanted
    assert "IMAGEBLUR_SMTP_PORT" not in environment
    assert not places.secret_key.exists()
    plan = default_plan(settings, places)
    assert plan.broker is None
    assert [service.name for service in plan.services] == ["gateway", "blur_worker", "mailer", "scheduler", "web"]
    assert [endpoint.port for endpoint in plan.endpoints] == [8080, 50051]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, {}),
        ({"PYTHONDONTWRITEBYTECODE": "1"}, {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": "{run}/bytecode"}),
        (
            {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": "/mine"},
            {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": "/mine"},
        ),
    ],
)
def test_bytecode_is_kept_from_the_source_and_still_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, told: dict[str, str], expected: dict[str, str]
) -> None:
    names = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    places = Places(tmp_path)
    places.make()
    environment = service_environment(StackSettings(), places, "token")
    expected = {name: value.format(run=places.run) for name, value in expected.items()}
    assert {name: environment[name] for name in names if name in environment} == expected


def test_a_folder_too_deep_for_a_socket_gets_a_private_one(tmp_path: Path) -> None:
    places = Places(tmp_path / ("deep" * 30))
    places.make()
    try:
        assert len(str(places.valkey_socket)) < 100
        assert places.valkey_socket.parent.stat().st_mode & 0o777 == 0o700
        places.valkey_socket.parent.chmod(0o755)
        with pytest.raises(PermissionError, match="only this user"):
            places.make()
    finally:
        places.clear_temporary()
    assert not places.valkey_socket.parent.exists()


@pytest.mark.parametrize(
    ("settings", "public_url", "mailbox"),
    [
        ({}, "http://127.0.0.1:8080", True),
        ({"web_address": "0.0.0.0:80"}, "http://127.0.0.1:80", False),
        ({"public_url": "https://blur.example.org"}, "https://blur.example.org", True),
        # E-mails that leave this machine carry no address that only works here.
        ({"smtp_host": "relay.example.org"}, None, False),
    ],
)
def test_emails_lead_to_the_pages_and_the_mailbox_is_for_this_machine(
    tmp_path: Path, settings: dict[str, str], public_url: str | None, mailbox: bool
) -> None:
    places = Places(tmp_path)
    places.make()
    environment = service_environment(StackSettings(**settings), places, "token")  # type: ignore[arg-type]
    assert environment.get("IMAGEBLUR_PUBLIC_URL") == public_url
    assert environment.get("IMAGEBLUR_MAILBOX_DIR") == (str(places.mailbox) if mailbox else None)
    assert environment["IMAGEBLUR_GATEWAY_URL"] == "http://127.0.0.1:50051"


def test_services_stop_before_what_they_need(tmp_path: Path) -> None:
    plan = default_plan(StackSettings(), Places(tmp_path))
    assert plan.broker is not None
    stages = {program.name: program.stop_stage for program in (*plan.services, plan.broker)}
    assert sorted(stages, key=lambda name: stages[name]) == [
        "web",
        "gateway",
        "scheduler",
        "blur_worker",
        "mailer",
        "mailbox",
        "valkey",
    ]
