"""Metrics for Prometheus: every service counts what it does, and shows it at `/metrics` if it is told where.

A service is one process as far as its metrics go: what the blur worker's children do, they report with each result. So
nothing has to be added up over files that processes share (prometheus-client's multiprocess mode).
"""

from importlib.metadata import version

from prometheus_client import Gauge, start_http_server

from services.common.domain.errors import ConfigurationError
from services.common.infra import log

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Bounds of histograms: from a status asked for to an image that takes as long as it may."""

_INFO = Gauge("imageblur_build_info", "1 for the version that runs.", ["service", "version"])
_log = log.get(__name__)


def serve(service: str, host: str | None, port: int) -> int | None:
    """Show the metrics of this process from a thread of its own; the port, None without a host.

    Raises:
        ConfigurationError: The address cannot be listened on.
    """
    _INFO.labels(service, version("imageblur")).set(1)
    if not host:
        return None
    try:
        server, _ = start_http_server(port, host)
    except OSError as error:
        variable = f"IMAGEBLUR_{service.upper()}_METRICS_PORT"
        raise ConfigurationError(f"{variable}: cannot listen on {host}:{port}: {error.strerror or error}") from None
    _log.info("metrics", address=host, port=server.server_port)
    return int(server.server_port)
