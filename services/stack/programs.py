"""What is run: as data, so that the supervision can be tried with other programs."""

from dataclasses import dataclass

from services.stack import ports, valkey
from services.stack.address import split_address
from services.stack.data_folder import Places
from services.stack.ports import Endpoint
from services.stack.process import Program, python_module
from services.stack.settings import StackSettings

# A worker finishes the image or the e-mail it is at: the longest task and a little more.
WORKER_GRACE = 75.0


@dataclass(frozen=True)
class Plan:
    """Everything a stack runs.

    broker: the embedded Valkey, or None when another broker is set.
    prepare: run to its end before the services start.
    services: started in this order, stopped by their stages.
    probe: ends with exit code 0 once the stack can be used, with another one to be run again.
    endpoints: ports that have to be free.
    """

    broker: Program | None
    prepare: Program | None
    services: tuple[Program, ...]
    probe: Program
    endpoints: tuple[Endpoint, ...] = ()

    def names(self) -> list[str]:
        """Names that lines are told under."""
        first = [program.name for program in (self.broker, self.prepare) if program]
        return [*first, *(service.name for service in self.services)]


def default_plan(settings: StackSettings, places: Places) -> Plan:
    """The real services. Raises: StackError where there is no embedded Valkey for this machine."""
    services = [
        Program("gateway", python_module("services.gateway"), stop_stage=0, grace=35.0),
        Program("blur_worker", python_module("services.blur_worker"), stop_stage=2, grace=WORKER_GRACE),
        Program("mailer", python_module("services.mailer"), stop_stage=2, grace=WORKER_GRACE),
        Program("scheduler", python_module("services.scheduler"), stop_stage=1, grace=20.0),
        # Before the gateway, which its calls go to.
        Program("web", python_module("services.web"), stop_stage=-1, grace=15.0),
    ]
    endpoints = []
    for setting, address in (
        ("IMAGEBLUR_WEB_ADDRESS", settings.web_address),
        ("IMAGEBLUR_GATEWAY_ADDRESS", settings.gateway_address),
    ):
        if parts := split_address(address):
            host, port = parts
            written = f"[{host}]" if ":" in host else host
            endpoints.append(ports.Endpoint(host, port, setting, written + ":{port}"))
    if settings.smtp_host is None:
        services.append(Program("mailbox", python_module("services.stack.mailbox"), stop_stage=3, grace=10.0))
        endpoints.append(ports.Endpoint("127.0.0.1", settings.mailbox_port, "IMAGEBLUR_MAILBOX_PORT"))
    return Plan(
        broker=None if settings.broker_url else valkey.program(places),
        prepare=Program("database", python_module("services.common.migrations")),
        services=tuple(services),
        probe=Program("health", python_module("services.stack.health", settings.gateway_address, settings.web_address)),
        endpoints=tuple(endpoints),
    )
