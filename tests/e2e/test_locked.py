"""The grown form behind locks: PostgreSQL, two gateways that want keys and clients' certificates, all as processes."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
from imageblur_client import AccessDeniedError, Client, Security, ServerUnavailableError

from services.stack.background import BackgroundStack, background_stack
from services.stack.supervision.launching import python_module
from services.stack.supervision.process import Program
from tests.e2e.conftest import PHOTOGRAPHS
from tests.support import guard
from tests.support.certificates import Authority
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer
from tests.support.smtp import SmtpSink
from tests.support.valkey import ValkeyServer
from tests.support.waiting import eventually


@dataclass(frozen=True)
class Locked:
    """What runs, and what opens it."""

    stack: BackgroundStack
    gateways: tuple[str, str]
    environment: dict[str, str]
    authority: Authority

    def run(self, *command: str | Path, key: str = "", gateway: int = 0) -> subprocess.CompletedProcess[str]:
        """A command with the settings of the services and of the command line."""
        own = {"IMAGEBLUR_API_KEY": key, "IMAGEBLUR_SERVER": self.gateways[gateway]}
        return subprocess.run(
            command, env=os.environ | self.environment | own, capture_output=True, text=True, timeout=240, check=False
        )

    def client(self, key: str | None, gateway: int) -> Client:
        """A client with a key and a certificate of the authority."""
        mine, my_key = (self.authority.folder / f"client.{ending}" for ending in ("pem", "key"))
        security = Security(
            key=key, tls=True, ca_file=self.authority.roots, certificate_file=mine, certificate_key_file=my_key
        )
        return Client(self.gateways[gateway], timeout=30, security=security)


@pytest.fixture(scope="module")
def locked(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer, valkey_server: ValkeyServer
) -> Iterator[Locked]:
    folder = tmp_path_factory.mktemp("locked")
    authority = Authority(folder / "authority")
    certificate, key = authority.issue("server", "127.0.0.1")
    mine, my_key = authority.issue("client", "client.example.org")
    gateways = (f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}")
    url = postgres_server.create_database()
    with SmtpSink() as sink:
        environment = {
            "IMAGEBLUR_DATABASE_URL": url,
            "IMAGEBLUR_BROKER_URL": valkey_server.url,
            "IMAGEBLUR_SMTP_HOST": sink.host,
            "IMAGEBLUR_SMTP_PORT": str(sink.port),
            "IMAGEBLUR_UNCONFIRMED_ADDRESSES": "results",
            "IMAGEBLUR_GATEWAY_ADDRESS": gateways[0],
            "IMAGEBLUR_REQUIRE_KEYS": "true",
            "IMAGEBLUR_TLS_CERTIFICATE": str(certificate),
            "IMAGEBLUR_TLS_KEY": str(key),
            "IMAGEBLUR_TLS_CLIENT_CA": str(authority.roots),
            "IMAGEBLUR_CA_FILE": str(authority.roots),
            "IMAGEBLUR_CERT_FILE": str(mine),
            "IMAGEBLUR_CERT_KEY_FILE": str(my_key),
            "IMAGEBLUR_BLUR_CHILDREN": "1",
            "IMAGEBLUR_LOG_LEVEL": "DEBUG",
        }
        plan = folder / "plan.json"
        plan.write_text(json.dumps(_plan(gateways)))
        command = (sys.executable, "-m", "tests.integration.stack.driver", str(plan))
        with background_stack(folder / "data", environment, command, ready_within=120) as stack:
            guard.protect(stack.process.pid)
            yield Locked(stack, gateways, environment, authority)
            assert stack.stop() == 0, stack.log.read_text()[-4000:]
            guard.release(stack.process.pid)
    postgres_server.drop_database(url)


def _plan(gateways: tuple[str, str]) -> dict[str, object]:
    services = [
        Program(
            f"gateway-{index}",
            ("env", f"IMAGEBLUR_GATEWAY_ADDRESS={address}", *python_module("services.gateway")),
            stop_stage=0,
            grace=30.0,
        )
        for index, address in enumerate(gateways)
    ]
    for service, stage in (("blur_worker", 2), ("mailer", 2), ("scheduler", 1)):
        services.append(Program(service, python_module(f"services.{service}"), stop_stage=stage, grace=75.0))
    return {
        "broker": False,
        "prepare": asdict(Program("database", python_module("services.common.migrations"))),
        "services": list(map(asdict, services)),
        "probe": asdict(Program("health", python_module("services.stack.readiness", gateways[1]))),
        "port": None,
    }


@pytest.fixture(scope="module")
def admin(locked: Locked) -> str:
    """The first key, made as an operator makes it: without a server."""
    made = locked.run(*python_module("services.gateway", "create-key", "Ada"))
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    for gateway in (0, 1):
        eventually(lambda gateway=gateway: opens(locked, key, gateway))  # type: ignore[misc]
    return key


def opens(locked: Locked, key: str, gateway: int) -> bool:
    try:
        with locked.client(key, gateway) as client:
            client.limits()
    except AccessDeniedError:
        return False
    return True


def imageblur(*arguments: str | Path) -> tuple[str | Path, ...]:
    return (Path(sys.executable).parent / "imageblur", *arguments)


def test_an_order_goes_through_two_gateways_over_mutual_tls(locked: Locked, admin: str) -> None:
    made = locked.run(*imageblur("admin", "create-key", "--role", "client"), key=admin, gateway=0)
    key = made.stdout.strip()
    assert key, made.stderr
    eventually(lambda: opens(locked, key, 0) and opens(locked, key, 1))
    photograph = PHOTOGRAPHS / "rocket.jpg"
    placing = ("order", "--email", "a@example.org", "--watch", "--quiet", photograph)
    # The worker loads its engine before it takes work, which is why the order is watched for so long.
    placed = locked.run(*imageblur(*placing), key=key, gateway=0)
    assert placed.returncode == 0, placed.stderr
    order_id = placed.stdout.strip()
    status = locked.run(*imageblur("status", "--json", order_id), key=key, gateway=1)
    assert json.loads(status.stdout)["order"]["state"] == "ORDER_STATE_SUCCEEDED"
    assert order_id in locked.run(*imageblur("admin", "orders"), key=admin, gateway=1).stdout
    assert locked.run(*imageblur("admin", "orders"), key=key, gateway=1).returncode == 3


def test_what_is_revoked_at_one_gateway_opens_none(locked: Locked, admin: str) -> None:
    made = locked.run(*imageblur("admin", "create-key", "--role", "viewer"), key=admin, gateway=1)
    key, identity = made.stdout.strip(), re.findall(r"[0-9a-f-]{36}", made.stderr)[0]
    for gateway in (0, 1):
        eventually(lambda gateway=gateway: opens(locked, key, gateway))  # type: ignore[misc]
    assert locked.run(*imageblur("admin", "revoke-key", identity), key=admin, gateway=1).returncode == 0
    for gateway in (0, 1):
        eventually(lambda gateway=gateway: not opens(locked, key, gateway))  # type: ignore[misc]


def test_without_a_key_or_a_certificate_there_is_no_way_in(locked: Locked, admin: str) -> None:
    with locked.client(None, 0) as keyless, pytest.raises(AccessDeniedError):
        keyless.limits()
    bare = Security(key=admin, tls=True, ca_file=locked.authority.roots)
    with Client(locked.gateways[0], timeout=20, security=bare) as stranger, pytest.raises(ServerUnavailableError):
        stranger.limits()


def test_no_key_is_in_what_the_services_say(locked: Locked, admin: str) -> None:
    said = locked.stack.log.read_text()
    assert "GetLimits" in said
    assert admin[14:] not in said
