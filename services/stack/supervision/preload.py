"""Loaded once, by the process that the services of a stack are forked from: what they import.

No import starts a thread, not even gRPC's, which does so with its first channel or server.
"""

import gc
from importlib import import_module

from services.common.infra.page_out import page_out_libraries

_MODULES = (
    "aiosmtpd.controller",
    "grpc_health.v1.health_pb2",
    "psycopg",
    "services.blur_worker.app",
    "services.common.migrations",
    "services.gateway.server",
    "services.mailer.app",
    "services.scheduler.jobs",
    "services.web.server",
    "sqlalchemy.dialects.postgresql",
    "sqlalchemy.dialects.sqlite",
)

for _name in _MODULES:
    import_module(_name)
# The collector writes to the objects that it looks at, which would copy their memory for each service.
gc.collect()
gc.freeze()
page_out_libraries()
