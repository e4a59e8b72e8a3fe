"""Loaded once, by the process that the services of a stack are forked from: what blur worker and gRPC calls import.

That has nearly all that any two services share. The rest of each is loaded by its own fork, at the same time: all of
them wait for this process.

No import starts a thread, not even gRPC's, which does so with its first channel or server.
"""

import gc
import sys
from importlib import import_module

from setproctitle import setproctitle
from sqlalchemy.orm import configure_mappers

from services.common.db.engine import Database
from services.common.infra.process.library_pages import release_code

_MODULES = (
    "grpc_health.v1.health_pb2_grpc",
    "imageblur.v1.blur_service_pb2_grpc",
    "imageblur.v1.operator_service_pb2_grpc",
    "imageblur.v1.subscription_service_pb2_grpc",
    "jinja2",
    "services.blur_worker.app",
    "services.common.infra.messaging.dramatiq_worker",
    "services.common.migrations",
    "sqlalchemy.dialects.sqlite",
)

gc.disable()  # here, too: a fork of the stack, it has loaded `collect_later` already
setproctitle(f"{sys.executable} -m {__name__}")
for _name in _MODULES:
    import_module(_name)
# What each service would otherwise do to its own copy.
configure_mappers()
_database = Database("sqlite:///file::memory:?uri=true")
_database.ping()
with _database.write():
    pass
_database.close()
# The collector writes to the objects that it looks at, which would copy their memory for each service.
gc.freeze()
gc.enable()
release_code()
