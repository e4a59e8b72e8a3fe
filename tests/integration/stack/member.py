"""A service for test_together: records in the file `events` what happens to it."""

import sys
import threading

from services.common.domain.errors import ConfigurationError
from services.common.infra.process.stop_requests import on_stop


def serve(name: str, behaviour: str) -> None:
    """Behave like a service."""
    stopped = threading.Event()
    on_stop(stopped.set)
    _record(f"up:{name}")
    match behaviour:
        case "misconfigured":
            raise ConfigurationError("IMAGEBLUR_NONSENSE: must be sense")
        case "broken":
            raise ValueError("not caught")
        case "ends":
            return
        case "exits":
            sys.exit("cannot listen")
        case "stubborn":
            stopped = threading.Event()
    stopped.wait()
    _record(f"down:{name}")


def _record(event: str) -> None:
    with open("events", "a", encoding="utf-8") as file:  # noqa: PTH123 - of the working folder
        file.write(event + "\n")
