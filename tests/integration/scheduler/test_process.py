"""The scheduler as one of several services of a process."""

import os
import subprocess
import sys
from pathlib import Path

from services.common import migrations
from services.common.db.engine import Database
from tests.support.valkey import ValkeyServer

ASKED_AT_ONCE = """
from services.common.infra.process.stop_requests import StopRequest
from services.scheduler.__main__ import main

request = StopRequest()
request.make()
request.run(main)
"""


def test_it_ends_if_it_is_asked_to_stop_before_it_has_started(tmp_path: Path, valkey_server: ValkeyServer) -> None:
    database = Database(f"sqlite:///{tmp_path}/x.db")
    migrations.upgrade(database)
    database.close()
    environment = os.environ | {
        "IMAGEBLUR_DATABASE_URL": f"sqlite:///{tmp_path}/x.db",
        "IMAGEBLUR_BROKER_URL": valkey_server.url,
        "IMAGEBLUR_BLOB_URL": str(tmp_path / "blobs"),
    }
    subprocess.run([sys.executable, "-c", ASKED_AT_ONCE], env=environment, check=True, timeout=60)
