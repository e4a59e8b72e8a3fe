"""Check compose.yaml: what each of our containers may do and must have."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.common.domain.api_keys import is_key

ROOT = Path(__file__).parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(path.parent.name for path in (ROOT / "services").glob("*/requirements.lock"))
PROMETHEUS = (ROOT / "deploy/prometheus/prometheus.yml").read_text("utf-8")
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text("utf-8")


def test_every_service_has_its_image() -> None:
    assert OURS == ["blur_worker", "gateway", "mailer", "scheduler", "web"]
    for name in OURS:
        assert SERVICES[name]["build"]["dockerfile"] == "deploy/Dockerfile"
        assert SERVICES[name]["build"]["args"]["SERVICE"] == name
    scraped = set(re.findall(r"names: \[(\w+)\], type: A, port: (\d+)", PROMETHEUS))
    assert scraped == {(name, str(SERVICES[name]["build"]["args"]["METRICS_PORT"])) for name in OURS}


@pytest.mark.parametrize("name", [*OURS, "migrate"])
def test_our_containers_have_few_rights(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_has_limits(name: str) -> None:
    assert {"mem_limit", "cpus", "networks"} <= SERVICES[name].keys()
    for port in SERVICES[name].get("ports", ()):
        assert port.startswith(("127.0.0.1:", "${GATEWAY_HOST:-127.0.0.1}:")), "published to everyone by default"


def test_images_are_plain_and_run_without_root() -> None:
    assert not re.search(r"# *syntax=|--link|--mount|<<", DOCKERFILE)
    assert re.search(r"^USER 10001$", DOCKERFILE, re.MULTILINE)
    assert "HEALTHCHECK" in DOCKERFILE
    assert "--require-hashes" in DOCKERFILE


@pytest.mark.parametrize("name", OURS)
def test_a_lock_has_only_what_its_service_needs(name: str) -> None:
    lock = (ROOT / f"services/{name}/requirements.lock").read_text("utf-8")
    assert "://" not in lock
    needs = set(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE))
    foreign = {"dramatiq", "sqlalchemy"} if name == "web" else {"uvicorn"}
    assert not needs & (foreign | {"pytest", "scikit-image"})


@pytest.mark.parametrize("name", OURS)
def test_a_lock_has_all_that_its_service_needs(name: str) -> None:
    lock = (ROOT / f"services/{name}/requirements.lock").read_text("utf-8")
    locked = set(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE))
    assert _needs(name.replace("_", "-")) <= locked, "run 'make lock'"


def _needs(extra: str) -> set[str]:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    names: set[str] = set()
    for requirement in extras[extra]:
        if within := re.match(r"imageblur\[([\w,-]+)\]", requirement):
            names = names.union(*map(_needs, within[1].split(",")))
        elif found := re.match(r"[\w-]+", requirement):
            names.add(found[0].lower().replace("_", "-"))
    return names


@pytest.mark.skipif(not shutil.which("openssl") and os.environ.get("CI") != "true", reason="there is no openssl")
def test_every_secret_is_created_and_none_is_in_compose(tmp_path: Path) -> None:
    (tmp_path / "secrets.sh").write_bytes((ROOT / "deploy/secrets.sh").read_bytes())
    for _ in range(2):  # the second run changes nothing
        subprocess.run(["bash", tmp_path / "secrets.sh"], check=True, capture_output=True, timeout=60)
        made = {path.name: path.read_bytes() for path in (tmp_path / "secrets").iterdir()}
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0
    named = {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()}
    assert named <= made.keys()
    assert is_key(made["imageblur_gateway_key"].decode().strip())
    password = made["postgres_password"].strip()
    assert password in made["imageblur_database_url"]
    assert made["s3_secret"].strip() in made["imageblur_blob_url"]
    assert made["s3_secret"].strip() in made["s3.json"]
    assert made["valkey_password"].strip() in made["imageblur_broker_url"]
    assert len(password) == 48
    used = {secret for service in SERVICES.values() for secret in service.get("secrets", ())}
    assert used == COMPOSE["secrets"].keys()


def test_the_images_say_the_version_of_the_project() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert f"ARG VERSION={version}\n" in (ROOT / "deploy/Dockerfile").read_text("utf-8")


@pytest.mark.skipif(not shutil.which("openssl") and os.environ.get("CI") != "true", reason="there is no openssl")
def test_what_emails_need_is_asked_for_and_passed_on(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    for name in ("secrets.sh", "mail.sh"):
        shutil.copy(ROOT / "deploy" / name, tmp_path / "deploy")
    (tmp_path / "compose.yaml").write_text("", "utf-8")
    (tmp_path / ".env").write_text("GATEWAY_HOST=0.0.0.0\n", "utf-8")

    def run(script: str, **answers: str) -> str:
        command = ["bash", str(tmp_path / "deploy" / script)]
        environment = {"PATH": os.environ["PATH"], **answers}
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, check=True, capture_output=True, text=True, timeout=60
        )
        return done.stdout

    assert "carry no links" in run("secrets.sh")
    assert "carry no links" in run("mail.sh")
    answers = {
        "IMAGEBLUR_PUBLIC_URL": "https://blur.example.org",
        "IMAGEBLUR_MAIL_FROM": "ImageBlur <blur@example.org>",
        "IMAGEBLUR_SMTP_HOST": "relay.example.org",
        "IMAGEBLUR_SMTP_USER": "blur",
        "IMAGEBLUR_SMTP_PASSWORD": "pa$$ word",
    }
    for given in (answers, {}):  # the second time, the answers of before are kept
        said = run("mail.sh", **given)
        record = re.search(r"imageblur\._domainkey\.example\.org\.  TXT  \"v=DKIM1; k=rsa; p=(\w[\w+/=]+)\"", said)
        assert record
        assert "carry no links" not in said
        lines = dict(line.partition("=")[::2] for line in (tmp_path / ".env").read_text("utf-8").splitlines())
        assert {name: f"'{value}'" for name, value in answers.items()}.items() <= lines.items()
        assert lines["IMAGEBLUR_BOUNCE_ADDRESS"] == "'bounces+{id}@example.org'"
        assert lines["IMAGEBLUR_DKIM_KEY_FILE"] == "'/run/secrets/dkim.pem'"
        assert lines["GATEWAY_HOST"] == "0.0.0.0"
    assert "carry no links" not in run("secrets.sh")
    for name in lines.keys() - {"GATEWAY_HOST", "SIGN_EMAILS"}:
        assert f"${{{name}:-" in str(SERVICES["mailer"]["environment"][name]), f"{name} is asked for and not passed on"


def test_settings_are_passed_on_under_their_names() -> None:
    """A line of .env has an effect, and no name is misspelt."""
    known = set(re.findall(r"^\| `(IMAGEBLUR_\w+)`", (ROOT / "docs/settings.md").read_text("utf-8"), re.MULTILINE))
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            assert variable in known or not variable.startswith("IMAGEBLUR_"), f"{name}: {variable} is no setting"
            asked = re.fullmatch(r"\$\{(\w+):-.*\}", str(value))
            assert asked is None or asked[1] == variable, f"{name}: {variable} comes from {value}"
