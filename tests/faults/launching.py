"""Starts a fleet, with all that it runs on, and stops it."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from unittest.mock import patch

from imageblur_client.channel import NO_SECURITY, Security

from services.common.db.access import api_keys
from services.common.db.access.audit import AuditContext
from services.common.db.engine import Database
from services.common.domain.api_keys import Role
from services.common.infra.blobs import BlobStore
from services.stack.background import background_stack
from services.stack.supervision.launching import python_module
from services.stack.supervision.process import Program
from tests.faults import database_clock
from tests.faults.fleet import SERVICES, SMTP_SECONDS, Fleet
from tests.faults.stages import FOLDER, Stages
from tests.support import guard
from tests.support.certificates import Authority
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer
from tests.support.proxy import Proxy
from tests.support.s3 import S3Server
from tests.support.smtp import SmtpSink
from tests.support.system_clock import SystemClock
from tests.support.valkey import start_valkey

BLUR_SECONDS = 20
"""Longer than a child is held at a stage, on a slow machine too."""
DISK_MIB = 192
"""Size of the small disk, where there is one."""
MIN_FREE_MIB = 16


@contextlib.contextmanager
def running_fleet(
    kind: str,
    folder: Path,
    postgres: PostgresServer | None,
    s3: S3Server | None = None,
    second_clock: SystemClock | None = None,
) -> Iterator[Fleet]:
    """Start a fleet in a folder, hand it out when all answers, stop it.

    postgres: for the database, if that kind. s3: for the blobs, which are in a folder otherwise; such a fleet speaks
    TLS and asks for keys. second_clock: of the second of each service, as if these ran on a machine of their own.
    """
    data = folder / "data"
    data.mkdir(mode=0o700)
    with contextlib.ExitStack() as ends:
        small_disk = ends.enter_context(_small_disk(data)) if kind == "sqlite" else False
        (data / "tmp").mkdir()
        stages = Stages(folder / "stages")
        valkey = start_valkey(folder / "valkey")
        ends.callback(valkey.close)
        sink = ends.enter_context(SmtpSink())
        broker = ends.enter_context(Proxy(valkey.socket))
        worker_broker = ends.enter_context(Proxy(valkey.socket))
        smtp = ends.enter_context(Proxy((sink.host, sink.port)))
        if postgres:
            url = postgres.create_database()
            ends.callback(postgres.drop_database, url)
            between: Proxy | None = ends.enter_context(Proxy(("127.0.0.1", postgres.port)))
            assert between
            seen_url = url.replace(f":{postgres.port}/", f":{between.port}/")
        else:
            between = None
            url = seen_url = f"sqlite:///{data}/imageblur.db"
        database = Database(url)
        ends.callback(database.close)
        database_clock.prepare(database)
        gateways = (f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}")
        outside = Authority(folder / "outside")
        environment = {
            "IMAGEBLUR_ALLOWED_NETWORKS": "127.0.0.1/32",
            "SSL_CERT_FILE": str(outside.roots),
            "IMAGEBLUR_DATABASE_URL": seen_url,
            "IMAGEBLUR_BROKER_URL": f"redis://127.0.0.1:{broker.port}/0",
            "IMAGEBLUR_SMTP_HOST": "127.0.0.1",
            "IMAGEBLUR_SMTP_PORT": str(smtp.port),
            "IMAGEBLUR_UNCONFIRMED_ADDRESSES": "results",
            "IMAGEBLUR_SMTP_TIMEOUT_SECONDS": str(SMTP_SECONDS),
            "IMAGEBLUR_SMTP_ACCEPT_SECONDS": str(SMTP_SECONDS),
            "IMAGEBLUR_GATEWAY_ADDRESS": gateways[0],
            "IMAGEBLUR_SWEEP_SECONDS": "1",
            "IMAGEBLUR_MIN_FREE_MB": str(MIN_FREE_MIB),
            "IMAGEBLUR_BLUR_CHILDREN": "1",
            "IMAGEBLUR_BLUR_SECONDS": str(BLUR_SECONDS),
            "IMAGEBLUR_CONFIRM_SUBSCRIPTIONS": "false",
            "TMPDIR": str(data / "tmp"),
            FOLDER: str(stages.folder),
        }
        authority = Authority(folder / "authority") if s3 else None
        if s3 and authority:
            environment |= {"IMAGEBLUR_BLOB_URL": s3.address(), **s3.environment, **_locked(authority)}
        with patch.dict(os.environ, s3.environment if s3 else {}):
            store = BlobStore(environment.get("IMAGEBLUR_BLOB_URL", str(data / "blobs")))
        plan = folder / "plan.json"
        plan.write_text(json.dumps(_plan(gateways, worker_broker.port, second_clock)))
        command = (sys.executable, "-m", "tests.faults.supervised", str(plan))
        stack = ends.enter_context(background_stack(data, environment, command, ready_within=120))
        guard.protect(stack.process.pid)
        ends.callback(guard.release, stack.process.pid)
        yield Fleet(
            kind=kind,
            stack=stack,
            stages=stages,
            gateways=gateways,
            broker=broker,
            smtp=smtp,
            worker_broker=worker_broker,
            database_line=between,
            postgres=postgres,
            valkey=valkey,
            valkey_folder=folder / "valkey",
            sink=sink,
            database=database,
            store=store,
            small_disk=small_disk,
            outside=outside,
            security=Security(key=_make_key(database), ca_file=authority.roots) if authority else NO_SECURITY,
        )
        for line in (broker, worker_broker, smtp, between):
            if line:
                line.heal()
        assert stack.stop() == 0, stack.log.read_text()[-4000:]


def _locked(authority: Authority) -> dict[str, str]:
    certificate, key = authority.issue("server", "127.0.0.1")
    return {
        "IMAGEBLUR_REQUIRE_KEYS": "true",
        "IMAGEBLUR_TLS_CERTIFICATE": str(certificate),
        "IMAGEBLUR_TLS_KEY": str(key),
        "IMAGEBLUR_CA_FILE": str(authority.roots),
    }


def _make_key(database: Database) -> str:
    with database.write() as session:
        return api_keys.create(
            session, AuditContext("test", "Test"), name="customers", role=Role.CLIENT, seconds=None
        ).key


def _plan(gateways: tuple[str, str], worker_broker: int, second_clock: SystemClock | None) -> dict[str, object]:
    own = {"blur_worker": (f"IMAGEBLUR_BROKER_URL=redis://127.0.0.1:{worker_broker}/0",)}
    clocks = (
        (),
        tuple(f"{name}={value}" for name, value in (second_clock.environment if second_clock else {}).items()),
    )
    services = [
        Program(
            f"{service}-{index + 1}",
            (
                *("env", f"IMAGEBLUR_GATEWAY_ADDRESS={address}", *own.get(service, ()), *clocks[index]),
                *python_module("tests.faults.staged", service),
            ),
            stop_stage=stage,
            grace=30.0,
        )
        for service, stage in zip(SERVICES, (0, 2, 2, 1), strict=True)
        for index, address in enumerate(gateways)
    ]
    return {
        "broker": False,
        "prepare": asdict(Program("database", python_module("services.common.migrations"))),
        "services": list(map(asdict, services)),
        "probe": asdict(Program("health", python_module("services.stack.readiness", gateways[1]))),
        "port": None,
    }


@contextlib.contextmanager
def _small_disk(folder: Path) -> Iterator[bool]:
    """A disk of its own for a folder, which can be filled without harm; only root can make one."""
    options = f"size={DISK_MIB}m,mode=700"
    command = ["mount", "-t", "tmpfs", "-o", options, "imageblur-faults", str(folder)]
    mounted = sys.platform == "linux" and os.getuid() == 0
    mounted = mounted and subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
