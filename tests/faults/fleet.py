"""The whole system as it runs when it has grown: two of each service, on one machine, under the product's supervision.

Broker, PostgreSQL and SMTP are reached through proxies, S3 is not; every service may be held at a stage of its work.
"""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import psutil
from imageblur_client.channel import Security

from services.common.db.engine import Database
from services.common.infra.blobs import BlobStore
from services.stack.background import BackgroundStack
from services.stack.supervision.cleanup import find_process
from services.stack.supervision.process_registry import ProcessRecord, read_registry
from tests.faults.stages import Stages
from tests.support.certificates import Authority
from tests.support.postgres import PostgresServer
from tests.support.proxy import Proxy
from tests.support.smtp import SmtpSink
from tests.support.valkey import ValkeyServer
from tests.support.waiting import eventually

SERVICES = ("gateway", "blur_worker", "mailer", "scheduler")
SMTP_SECONDS = 5
"""What a mail server may take for a step."""


@dataclass(frozen=True)
class Fleet:
    """What runs, and what it runs on."""

    kind: str
    """`sqlite`, `postgresql` or `grown`: PostgreSQL and S3."""
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
    store: BlobStore
    small_disk: bool
    security: Security
    """What customers show, and whom they believe."""
    outside: Authority
    """Signs for receivers of webhooks and servers of sources; the services believe it."""

    @property
    def blobs(self) -> Path:
        """The blob folder, if blobs are in one."""
        return self.stack.data_folder.blobs

    @property
    def temporary(self) -> Path:
        """The services' folder for temporary files."""
        return self.stack.data_folder.root / "tmp"

    def records(self, kind: str) -> list[ProcessRecord]:
        """The main processes of a kind of service that run now, as the supervisor wrote them down."""
        run = read_registry(self.stack.data_folder.processes)
        assert run, "the stack has ended"
        return [record for record in run.processes if record.name.startswith(kind) and find_process(record)]

    def token(self) -> str:
        """What every process of the fleet carries in its environment."""
        run = read_registry(self.stack.data_folder.processes)
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


def lives(pid: int) -> bool:
    """Whether a process runs; one that only waits to be collected does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
