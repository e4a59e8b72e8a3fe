"""The programs that a stack runs, as data, so that tests can supervise other programs."""

import sys
from dataclasses import dataclass

from services.common.infra.settings import MetricsSettings
from services.stack import ports
from services.stack.address import split_address
from services.stack.data_folder import DataFolder
from services.stack.embedded import valkey
from services.stack.ports import Endpoint
from services.stack.settings import StackSettings
from services.stack.supervision.launching import python_module
from services.stack.supervision.process import Program

# A worker finishes its image or e-mail first: the longest task and a margin.
WORKER_GRACE = 75.0
BLUR_WORKER_GRACE = 195.0
"""Finding takes longer."""
ENGINE_SERVER = "services.blur_worker.child.engine_server"


@dataclass(frozen=True, kw_only=True)
class StackPrograms:
    """The programs of a stack.

    Attributes:
        broker: The embedded Valkey; None if another broker is set.
        engine: Loads the engine while all others start; stops by its stage.
        prepare: Runs to its end before the services start.
        services: Started in this order, stopped by their stages.
        probe: Exits with 0 once the stack can be used; run again otherwise.
        later: Services that nobody waits for at the start: they leave the processor to the others for a moment.
        endpoints: Ports that must be free.
    """

    broker: Program | None
    prepare: Program | None
    services: tuple[Program, ...]
    probe: Program
    later: tuple[Program, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    engine: Program | None = None

    def names(self) -> list[str]:
        """Return the names that prefix lines of output."""
        first = [program.name for program in (self.broker, self.engine, self.prepare) if program]
        return [*first, *(service.name for service in (*self.services, *self.later))]


def default_programs(settings: StackSettings, data_folder: DataFolder) -> StackPrograms:
    """Return the real services. Raises: StackError if there is no embedded Valkey for this machine."""
    engine_socket = str(data_folder.engine_socket)
    blur_worker = python_module("services.blur_worker", engine_socket)
    services = (
        # First those that take longest to start. The pages stop before the gateway, which they call.
        Program("gateway", python_module("services.gateway"), stop_stage=0, grace=35.0),
        Program("blur_worker", blur_worker, stop_stage=2, grace=BLUR_WORKER_GRACE),
        Program("web", python_module("services.web"), stop_stage=-1, grace=15.0),
    )
    endpoints = []
    for setting, address in (
        ("IMAGEBLUR_WEB_ADDRESS", settings.web_address),
        ("IMAGEBLUR_GATEWAY_ADDRESS", settings.gateway_address),
    ):
        if parts := split_address(address):
            host, port = parts
            literal = f"[{host}]" if ":" in host else host
            endpoints.append(ports.Endpoint(host, port, setting, literal + ":{port}"))
    if settings.smtp_host is None:
        endpoints.append(ports.Endpoint("127.0.0.1", settings.mailbox_port, "IMAGEBLUR_MAILBOX_PORT"))
    addresses = (settings.gateway_address, settings.web_address)
    return StackPrograms(
        broker=None if settings.broker_url else valkey.program(data_folder),
        prepare=Program("database", python_module("services.common.migrations")),
        services=services,
        later=tuple(_small_services(settings)),
        probe=Program("health", python_module("services.stack.readiness", *addresses)),
        endpoints=tuple(endpoints),
        # Executed, not forked: its memory has none of the settings, and the others' libraries load meanwhile.
        engine=Program("engine", (sys.executable, "-m", ENGINE_SERVER, engine_socket), stop_stage=3),
    )


def _small_services(settings: StackSettings) -> list[Program]:
    """Return scheduler, mailer and mailbox: one process, which needs much less memory than three."""
    programs = [
        Program("scheduler", python_module("services.scheduler"), stop_stage=1, grace=20.0),
        Program("mailer", python_module("services.mailer"), stop_stage=2, grace=WORKER_GRACE),
    ]
    if settings.smtp_host is None:
        programs.append(Program("mailbox", python_module("services.stack.embedded.mailbox"), stop_stage=3, grace=10.0))
    watched = MetricsSettings.load()
    if watched.metrics_host or watched.traces_endpoint:
        return programs  # both are of a process
    services = [f"{program.arguments[-1]}={program.grace:g}" for program in programs]
    grace = sum(program.grace for program in programs)
    return [Program("background", python_module("services.stack.thread_runner", *services), stop_stage=2, grace=grace)]
