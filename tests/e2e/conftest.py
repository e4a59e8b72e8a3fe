"""All services as processes, as `make run` starts them."""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from imageblur_client import Client

from services.stack.background import BackgroundStack, background_stack
from tests.support.otlp import TraceReceiver
from tests.support.ports import free_port

METRICS_PORTS = {service: free_port() for service in ("gateway", "blur_worker", "mailer", "scheduler", "web")}
PHOTOGRAPHS = Path(str(files("skimage") / "data"))


@pytest.fixture(scope="session")
def traces() -> Iterator[TraceReceiver]:
    receiver = TraceReceiver()
    yield receiver
    receiver.close()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, traces: TraceReceiver) -> Iterator[BackgroundStack]:
    environment = {
        "IMAGEBLUR_GATEWAY_ADDRESS": f"127.0.0.1:{free_port()}",
        "IMAGEBLUR_WEB_ADDRESS": f"127.0.0.1:{free_port()}",
        "IMAGEBLUR_MAILBOX_PORT": str(free_port()),
        "IMAGEBLUR_SWEEP_SECONDS": "1",
        "IMAGEBLUR_MAIL_COOLDOWN_SECONDS": "0",
        # What is told, and counted, is looked at in the end.
        "IMAGEBLUR_LOG_FORMAT": "json",
        "IMAGEBLUR_LOG_LEVEL": "DEBUG",
        "IMAGEBLUR_TRACES_ENDPOINT": traces.endpoint,
        "IMAGEBLUR_METRICS_HOST": "127.0.0.1",
        **{f"IMAGEBLUR_{service.upper()}_METRICS_PORT": str(port) for service, port in METRICS_PORTS.items()},
    }
    with background_stack(tmp_path_factory.mktemp("e2e") / "data", environment) as stack:
        yield stack
        assert stack.stop() == 0, stack.log.read_text()[-4000:]
        assert "Traceback" not in stack.log.read_text().rpartition("stopped after")[2]


@pytest.fixture
def client(stack: BackgroundStack) -> Iterator[Client]:
    with Client(stack.gateway_address) as client:
        yield client
