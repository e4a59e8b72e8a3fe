"""Loaded once, by the process that the services of a stack are forked from: what blur worker and gateway import.

That has nearly all that any two of them share. The rest of pages, mailer and scheduler is loaded by their own forks, at
the same time: all services wait for this process.

No import starts a thread, not even gRPC's, which does so with its first channel or server.
"""

import contextlib
import gc
import sys
import tempfile
from importlib import import_module
from pathlib import Path

from setproctitle import setproctitle
from sqlalchemy.orm import configure_mappers

from services.common.db.engine import Database
from services.common.domain.errors import Unavailable
from services.common.infra.process.page_out import page_out_libraries

_MODULES = (
    "jinja2",
    "services.blur_worker.app",
    "services.common.infra.messaging.dramatiq_worker",
    "services.common.migrations",
    "services.gateway.server",
    "sqlalchemy.dialects.sqlite",
)

setproctitle(f"{sys.executable} -m {__name__}")
for _name in _MODULES:
    import_module(_name)
# What each service would otherwise do to its own copy.
configure_mappers()
with contextlib.suppress(OSError, Unavailable), tempfile.TemporaryDirectory(prefix="imageblur-") as _folder:
    _database = Database(f"sqlite:///{Path(_folder) / 'empty.db'}")
    _database.ping()
    with _database.write():
        pass
    _database.close()
# The collector writes to the objects that it looks at, which would copy their memory for each service.
gc.freeze()
gc.enable()
page_out_libraries()
