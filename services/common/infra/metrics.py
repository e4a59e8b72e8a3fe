"""Metrics for Prometheus: every service exposes its own at `/metrics` if a host is set.

A service has one process with metrics: the blur worker's child processes report theirs with each result. So files that
processes share (prometheus-client's multiprocess mode) are not needed.
"""

from prometheus_client import Gauge, start_http_server

from services.common.domain.errors import ConfigurationError
from services.common.infra import log
from services.common.infra.version import VERSION

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Bounds of histograms: from a status request to the longest time that an image may take."""

_INFO = Gauge("imageblur_build_info", "1, with the running version.", ["service", "version"])
_log = log.get(__name__)


def serve(service: str, host: str | None, port: int) -> int | None:
    """Expose the metrics of this process from a thread of its own; return the port, None without a host.

    Raises:
        ConfigurationError: The address cannot be listened on.
    """
    _INFO.labels(service, VERSION).set(1)
    if not host:
        return None
    try:
        server, _ = start_http_server(port, host)
    except OSError as error:
        variable = f"IMAGEBLUR_{service.upper()}_METRICS_PORT"
        raise ConfigurationError(f"{variable}: cannot listen on {host}:{port}: {error.strerror or error}") from None
    _log.info("metrics", address=host, port=server.server_port)
    return int(server.server_port)
