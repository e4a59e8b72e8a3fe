"""The whole system as it runs when it has grown: two of each service, on one machine, under the product's supervision.

Broker, PostgreSQL and SMTP are reached through proxies; every service may be held at a stage of its work.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from services.common.db.engine import Database
from services.stack import leftovers
from services.stack.background import BackgroundStack, background_stack
from services.stack.leftovers import Record
from services.stack.ports import free_port
from services.stack.process import Program, python_module
from tests.faults.proxy import Proxy
from tests.faults.stages import FOLDER, Stages
from tests.support import guard
from tests.support.postgres import PostgresServer
from tests.support.smtp import SmtpSink
from tests.support.valkey import ValkeyServer, start_valkey
from tests.support.waiting import eventually

SERVICES = ("gateway", "blur_worker", "mailer", "scheduler")
BLUR_SECONDS = 8
SMTP_SECONDS = 5
DISK_MIB = 192
"""Size of the small disk, where there is one."""


@dataclass(frozen=True)
class Fleet:
    """What runs, and what it runs on."""

    kind: str
    """`sqlite` or `postgresql`."""
    stack: BackgroundStack
    stages: Stages
    gateways: tuple[str, str]
    broker: Proxy
    worker_broker: Proxy
    """The blur workers' own line to the broker."""
    smtp: Proxy
    database_line: Proxy | None
    postgres: PostgresServer | None
    valkey: ValkeyServer
    valkey_folder: Path
    sink: SmtpSink
    database: Database
    """The database itself, not through the proxy."""
    small_disk: bool

    @property
    def blobs(self) -> Path:
        """The blob folder."""
        return self.stack.places.blobs

    @property
    def temporary(self) -> Path:
        """The services' folder for temporary files."""
        return self.stack.places.data / "tmp"

    def records(self, kind: str) -> list[Record]:
        """The main processes of a kind of service that run now, as the supervisor wrote them down."""
        run = leftovers.read(self.stack.places.processes)
        assert run, "the stack has ended"
        return [record for record in run.records if record.name.startswith(kind) and leftovers.leader(record)]

    def token(self) -> str:
        """What every process of the fleet carries in its environment."""
        run = leftovers.read(self.stack.places.processes)
        assert run, "the stack has ended"
        return run.token

    def one(self, kind: str) -> int:
        """The process of a kind that has run longest."""
        records = eventually(lambda: self.records(kind), within=30)
        return min(records, key=lambda record: record.create_time).pid

    def pid(self, name: str) -> int:
        """The process of one of the services, such as `gateway-1`."""
        (record,) = eventually(lambda: self.records(name), within=30)
        return record.pid


def kill_service(pid: int) -> None:
    """Kill -9 the whole service that a process belongs to: its main, its workers and their children."""
    os.killpg(os.getpgid(pid), signal.SIGKILL)


@contextlib.contextmanager
def running_fleet(kind: str, folder: Path, postgres: PostgresServer | None) -> Iterator[Fleet]:
    """Start a fleet in a folder, hand it out when all answers, stop it. postgres: for the database, if that kind."""
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
        gateways = (f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}")
        environment = {
            "IMAGEBLUR_DATABASE_URL": seen_url,
            "IMAGEBLUR_BROKER_URL": f"redis://127.0.0.1:{broker.port}/0",
            "IMAGEBLUR_SMTP_HOST": "127.0.0.1",
            "IMAGEBLUR_SMTP_PORT": str(smtp.port),
            "IMAGEBLUR_SMTP_TIMEOUT_SECONDS": str(SMTP_SECONDS),
            "IMAGEBLUR_GATEWAY_ADDRESS": gateways[0],
            "IMAGEBLUR_SWEEP_SECONDS": "1",
            "IMAGEBLUR_BLUR_CHILDREN": "1",
            "IMAGEBLUR_BLUR_SECONDS": str(BLUR_SECONDS),
            "IMAGEBLUR_CONFIRM_SUBSCRIPTIONS": "false",
            "TMPDIR": str(data / "tmp"),
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": str(folder.parent / "bytecode"),
            FOLDER: str(stages.folder),
        }
        plan = folder / "plan.json"
        plan.write_text(json.dumps(_plan(gateways, worker_broker.port)))
        command = (sys.executable, "-m", "tests.faults.supervised", str(plan))
        stack = ends.enter_context(background_stack(data, environment, command, ready_within=120))
        guard.protect(stack.process.pid)  # the stack's warden ends the services when the stack is killed
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
            small_disk=small_disk,
        )
        for line in (broker, worker_broker, smtp, between):
            if line:
                line.heal()
        assert stack.stop() == 0, stack.log.read_text()[-4000:]


def _plan(gateways: tuple[str, str], worker_broker: int) -> dict[str, object]:
    own = {"blur_worker": (f"IMAGEBLUR_BROKER_URL=redis://127.0.0.1:{worker_broker}/0",)}
    services = [
        Program(
            f"{service}-{index + 1}",
            (
                *("env", f"IMAGEBLUR_GATEWAY_ADDRESS={address}", *own.get(service, ())),
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
        "probe": asdict(Program("health", python_module("services.stack.health", gateways[1]))),
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


def lives(pid: int) -> bool:
    """Whether a process runs; one that only waits to be collected does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
