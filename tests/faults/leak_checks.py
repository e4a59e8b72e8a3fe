"""What must not be left once a fault is over: work in rows, blobs, messages, processes, temporary files.

Each check raises AssertionError with what it has found.
"""

import fcntl
import os
from collections.abc import Callable, Collection
from pathlib import Path

import psutil
import redis
from sqlalchemy import select

from services.common.db import models
from services.common.db.orders import blob_cleanup
from services.common.domain.retries import RETRYABLE
from services.common.infra.process.fork_server import SOCKETS
from services.stack.supervision.cleanup import find_by_token
from services.stack.supervision.process_registry import read_registry
from tests.faults.fleet import Fleet
from tests.faults.recording_client import Customer
from tests.support.blob_keys import SCRATCH, blob_keys
from tests.support.waiting import eventually

# A killed worker's message comes back after the broker's heartbeat timeout of 20 s.
CALM_SECONDS = 60.0


def calm(fleet: Fleet, customer: Customer) -> None:
    """Wait until nothing is left of what was done."""
    for check in (check_rows, check_broker, check_processes, check_temporary):
        eventually(lambda check=check: _passes(check, fleet), CALM_SECONDS, every=0.2)  # type: ignore[misc]
    eventually(lambda: _passes(check_blobs, fleet, customer.loose), CALM_SECONDS, every=0.2)
    sweep_late(fleet)
    check_blobs(fleet)


def sweep_late(fleet: Fleet) -> None:
    """What the sweep does ten minutes later for images whose worker was killed between its commit and the removal."""
    with fleet.database.read() as session:
        ended = blob_cleanup.list_not_cleaned_up(session, older_than=0, limit=1_000_000)
    fleet.store.delete(*(key for image in ended for key in image.keys))


def check_rows(fleet: Fleet) -> None:
    """No row says that something is still to be done."""
    with fleet.database.read() as session:
        for table, column, rest in (
            (models.Order, models.Order.state, ("QUEUED", "RUNNING")),
            (models.Image, models.Image.state, ("QUEUED", "RUNNING")),
            (models.Delivery, models.Delivery.state, ("WAITING", "QUEUED", "SENDING")),
            (models.Email, models.Email.state, ("QUEUED", "SENDING")),
            (models.Mailing, models.Mailing.state, ("PREPARING", "SENDING")),
            (models.WebhookEvent, models.WebhookEvent.state, ("QUEUED", "SENDING")),
        ):
            found = session.execute(select(table.id, column).where(column.in_(rest))).all()
            assert not found, f"{table.__tablename__} not ended: {found}"


def check_blobs(fleet: Fleet, loose: Collection[str] = ()) -> None:
    """Every blob has an owner, every result its blob, and no original outlives its image."""
    there = {tuple(key.split("/")[1:]) for key in blob_keys(fleet.store)}
    with fleet.database.read() as session:
        unowned = {str(order_id) for order_id in session.scalars(select(models.UnownedBlobs.order_id))}
        open_orders = select(models.Order.id).where(models.Order.state != "EXPIRED")
        owners = {str(order_id) for order_id in session.scalars(open_orders)}
        rows = session.scalars(select(models.Image)).all()
        states = {(str(row.order_id), f"{row.position:06d}"): row.state for row in rows}
        # Those may be tried again.
        kept = {(str(row.order_id), f"{row.position:06d}") for row in rows if row.reason in RETRYABLE}
    for order_id, kind, name in there:
        if order_id in unowned:
            continue
        assert order_id in owners, f"nobody owns {order_id}/{kind}/{name}"
        state = states.get((order_id, name))
        assert state, f"a piece of a blob is left: {order_id}/{kind}/{name}"
        needed = kind == "result" or state in {"QUEUED", "RUNNING"} or order_id in loose
        needed = needed or (order_id, name) in kept
        assert needed, f"the original {order_id}/{name} is left of an image that is {state}"
    for (order_id, name), state in states.items():
        if state == "SUCCEEDED" and order_id in owners:
            assert (order_id, "result", name) in there, f"the result of {order_id}/{name} is gone"


def check_broker(fleet: Fleet) -> None:
    """Neither queue holds anything, nor does a dead worker."""
    with redis.Redis.from_url(fleet.valkey.url) as client:
        left = sorted(key for key in client.keys("dramatiq:*") if not key.endswith(b"__heartbeats__"))
    assert not left, left


def check_processes(fleet: Fleet) -> None:
    """Whatever runs belongs to a service that the supervisor knows."""
    run = read_registry(fleet.stack.data_folder.processes)
    assert run, "the stack has ended"
    known = {record.pid for record in run.processes}
    assert len(known) == 8, f"not all services run: {[record.name for record in run.processes]}"
    strays = [process for process in find_by_token(run.token) if _group(process) not in known]
    assert not strays, strays


def check_temporary(fleet: Fleet) -> None:
    """No temporary file of a dead process is left, and no live one keeps any while it has nothing to do."""
    beside_blobs = fleet.store.folder.glob(f"{SCRATCH}*") if fleet.store.folder else ()
    for path in (*fleet.temporary.iterdir(), *beside_blobs):
        if path.name.startswith("pymp-"):  # the socket of multiprocessing's fork server
            assert str(path) in Path("/proc/net/unix").read_text(), f"{path.name} is nobody's"
            continue
        assert path.name.startswith(SCRATCH), f"what is {path.name}?"
        names = [file.name for file in path.iterdir() if not (file.match(SOCKETS) or _is_live_socket(file))]
        assert names == ["lock"], f"files are left in {path.name}"
        assert _locked(path / "lock"), f"{path.name} is nobody's"


def _is_live_socket(file: Path) -> bool:
    """Return whether a process listens there, such as a worker for direct calls."""
    return file.is_socket() and str(file) in Path("/proc/net/unix").read_text()


def _passes(check: Callable[..., None], *arguments: object) -> bool:
    check(*arguments)
    return True


def _group(process: psutil.Process) -> int:
    try:
        return os.getpgid(process.pid)
    except ProcessLookupError:
        return 0


def _locked(path: Path) -> bool:
    with path.open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
