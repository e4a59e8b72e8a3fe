from pathlib import Path

import pytest
from pydantic import SecretStr

from services.common.domain.errors import ConfigurationError
from services.stack.address import reachable, split_address
from services.stack.data_folder import DataFolder
from services.stack.environment import service_environment
from services.stack.programs import default_programs
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
def test_a_wrong_address_is_reported_with_its_variable(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEBLUR_GATEWAY_ADDRESS", address)
    with pytest.raises(ConfigurationError, match=r"^IMAGEBLUR_GATEWAY_ADDRESS: "):
        StackSettings.load()


@pytest.mark.parametrize(
    ("address", "called"),
    [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:1", "[::1]:1"), ("10.1.2.3:1", "10.1.2.3:1"), ("unix:/x", "unix:/x")],
)
def test_a_server_on_all_interfaces_is_called_on_loopback(address: str, called: str) -> None:
    assert reachable(address) == called


def test_missing_settings_name_the_embedded_parts(tmp_path: Path) -> None:
    data_folder = DataFolder(tmp_path / "my data")
    data_folder.create()
    environment = service_environment(StackSettings(data_dir=data_folder.root, mailbox_port=2525), data_folder, "token")
    assert environment["IMAGEBLUR_DATABASE_URL"] == f"sqlite:///{tmp_path}/my data/imageblur.db"
    assert environment["IMAGEBLUR_BROKER_URL"].startswith("unix:///")
    assert " " not in environment["IMAGEBLUR_BROKER_URL"]
    assert environment["IMAGEBLUR_BLOB_URL"] == f"{tmp_path}/my data/blobs"
    assert (environment["IMAGEBLUR_SMTP_HOST"], environment["IMAGEBLUR_SMTP_PORT"]) == ("127.0.0.1", "2525")
    assert environment["IMAGEBLUR_UNCONFIRMED_ADDRESSES"] == "results", "no e-mail leaves this machine"
    (tmp_path / ".env").write_text("IMAGEBLUR_UNCONFIRMED_ADDRESSES=link\n")
    environment = service_environment(StackSettings(), data_folder, "token")
    assert environment["IMAGEBLUR_UNCONFIRMED_ADDRESSES"] == "link"


def test_the_secret_key_is_created_once_and_private(tmp_path: Path) -> None:
    data_folder = DataFolder(tmp_path)
    data_folder.create()
    first, second = (
        service_environment(StackSettings(), data_folder, "token")["IMAGEBLUR_SECRET_KEY"] for _ in range(2)
    )
    assert first == second
    assert len(first) >= 32
    assert data_folder.secret_key.stat().st_mode & 0o777 == 0o600


def test_settings_are_passed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wanted = {
        "IMAGEBLUR_DATABASE_URL": "postgresql://db/x",
        "IMAGEBLUR_BROKER_URL": "redis://broker/3",
        "IMAGEBLUR_SMTP_HOST": "relay.example.org",
    }
    (tmp_path / ".env").write_text("IMAGEBLUR_BLOB_URL=s3://bucket/x\n")
    for name, value in wanted.items():
        monkeypatch.setenv(name, value)
    settings, data_folder = StackSettings(secret_key=SecretStr("k" * 32)), DataFolder(tmp_path / "data")
    data_folder.create()
    environment = service_environment(settings, data_folder, "token")
    wanted |= {"IMAGEBLUR_BLOB_URL": "s3://bucket/x", "IMAGEBLUR_SECRET_KEY": "k" * 32}
    assert {name: environment[name] for name in wanted} == wanted
    assert "IMAGEBLUR_SMTP_PORT" not in environment
    assert "IMAGEBLUR_UNCONFIRMED_ADDRESSES" not in environment, "a relay carries e-mails to strangers"
    assert not data_folder.secret_key.exists()
    programs = default_programs(settings, data_folder)
    assert programs.broker is None
    assert [service.name for service in programs.services] == ["gateway", "blur_worker", "web"]
    assert [service.name for service in programs.later] == ["background"]
    assert programs.later[0].arguments[-2:] == ("services.scheduler=20", "services.mailer=75"), "without a mailbox"
    assert [endpoint.port for endpoint in programs.endpoints] == [8080, 50051]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, {}),
        ({"PYTHONDONTWRITEBYTECODE": "1"}, {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": "{run}/bytecode"}),
        (
            {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": "/mine"},
            {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": "/mine"},
        ),
    ],
)
def test_bytecode_goes_to_the_run_folder_if_not_beside_the_source(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variables: dict[str, str], expected: dict[str, str]
) -> None:
    names = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    data_folder = DataFolder(tmp_path)
    data_folder.create()
    environment = service_environment(StackSettings(), data_folder, "token")
    expected = {name: value.format(run=data_folder.run) for name, value in expected.items()}
    assert {name: environment[name] for name in names if name in environment} == expected


def test_a_path_too_long_for_a_socket_gets_a_private_folder(tmp_path: Path) -> None:
    data_folder = DataFolder(tmp_path / ("deep" * 30))
    data_folder.create()
    try:
        assert len(str(data_folder.valkey_socket)) < 100
        assert data_folder.valkey_socket.parent.stat().st_mode & 0o777 == 0o700
        data_folder.valkey_socket.parent.chmod(0o755)
        with pytest.raises(PermissionError, match="only this user"):
            data_folder.create()
    finally:
        data_folder.remove_temporary()
    assert not data_folder.valkey_socket.parent.exists()


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
def test_emails_link_to_the_pages_and_the_mailbox_is_for_this_machine(
    tmp_path: Path, settings: dict[str, str], public_url: str | None, mailbox: bool
) -> None:
    data_folder = DataFolder(tmp_path)
    data_folder.create()
    environment = service_environment(StackSettings(**settings), data_folder, "token")  # type: ignore[arg-type]
    assert environment.get("IMAGEBLUR_PUBLIC_URL") == public_url
    assert environment.get("IMAGEBLUR_MAILBOX_DIR") == (str(data_folder.mailbox) if mailbox else None)
    assert environment["IMAGEBLUR_GATEWAY_URL"] == "http://127.0.0.1:50051"


@pytest.mark.parametrize(
    ("variable", "names"),
    [
        (None, ["web", "gateway", "blur_worker", "background", "valkey"]),
        # Metrics and traces are of a process: with them, each service is one.
        ("METRICS_HOST", ["web", "gateway", "scheduler", "blur_worker", "mailer", "mailbox", "valkey"]),
        ("TRACES_ENDPOINT", ["web", "gateway", "scheduler", "blur_worker", "mailer", "mailbox", "valkey"]),
    ],
)
def test_services_stop_before_their_dependencies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str | None, names: list[str]
) -> None:
    if variable:
        monkeypatch.setenv(f"IMAGEBLUR_{variable}", "127.0.0.1")
    programs = default_programs(StackSettings(), DataFolder(tmp_path))
    assert programs.broker is not None
    stages = {program.name: program.stop_stage for program in (*programs.services, *programs.later, programs.broker)}
    assert sorted(stages, key=lambda name: stages[name]) == names


def test_small_services_stop_in_one_process_in_the_same_order(tmp_path: Path) -> None:
    (background,) = default_programs(StackSettings(), DataFolder(tmp_path)).later
    last = ("services.scheduler=20", "services.mailer=75", "services.stack.embedded.mailbox=10")
    assert background.arguments[-3:] == last
