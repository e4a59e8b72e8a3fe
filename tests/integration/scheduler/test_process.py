"""The scheduler as one of several services of a process."""

import threading
from pathlib import Path

import pytest

from services.common import migrations
from services.common.db.engine import Database
from services.common.infra.stop_requests import StopRequest
from services.scheduler.__main__ import main
from tests.support.valkey import ValkeyServer


def test_it_ends_if_it_is_asked_to_stop_before_it_has_started(
    tmp_path: Path, valkey_server: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(f"sqlite:///{tmp_path}/x.db")
    migrations.upgrade(database)
    database.close()
    monkeypatch.setenv("IMAGEBLUR_DATABASE_URL", f"sqlite:///{tmp_path}/x.db")
    monkeypatch.setenv("IMAGEBLUR_BROKER_URL", valkey_server.url)
    monkeypatch.setenv("IMAGEBLUR_BLOB_URL", str(tmp_path / "blobs"))
    request = StopRequest()
    request.make()
    scheduler = threading.Thread(target=request.run, args=(main,), daemon=True)
    scheduler.start()
    scheduler.join(20)
    assert not scheduler.is_alive()
