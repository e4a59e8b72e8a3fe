"""The power fails: what was not synced is gone, and nothing that anybody was told of is."""

import contextlib
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest

from services.stack.supervision.launching import python_module
from tests.faults import audit, unsynced
from tests.faults.recording_client import Customer
from tests.faults.report import Line
from tests.faults.samples import many
from tests.faults.stack_on_lossy_disk import Machine
from tests.faults.test_uploads import Sender
from tests.faults.town import Town, count_repeats
from tests.support.disk import NoSmallDisk, PowerDisk, power_disk
from tests.support.postgres import PostgresServer
from tests.support.waiting import eventually

CUTS = 2
READERS = 40
DISK_MIB = 512


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[PowerDisk]:
    try:
        with power_disk(tmp_path / "disk", DISK_MIB) as disk:
            yield disk
    except NoSmallDisk as error:
        pytest.skip(f"only root can make a disk that loses its power: {error}")


@pytest.fixture(params=["sqlite", "postgresql"])
def machine(request: pytest.FixtureRequest, disk: PowerDisk) -> Iterator[Machine]:
    with _running(disk, request.param) as machine:
        yield machine


@contextlib.contextmanager
def _running(disk: PowerDisk, database: str, unsynced: str = "") -> Iterator[Machine]:
    server = PostgresServer(disk.folder, settings={}) if database == "postgresql" else None
    machine = Machine(disk.folder, disk, server)
    if unsynced:
        machine.command, machine.environment["UNSYNCED"] = python_module("tests.faults.unsynced"), unsynced
    with machine.running():
        yield machine
    if server:
        server.close()


def test_a_power_cut_loses_nothing_that_was_told(machine: Machine, tell: Callable[[Line], None]) -> None:
    kind = "postgresql" if machine.postgres else "sqlite"
    readers = [f"reader{number}@example.org" for number in range(READERS)]
    with Customer((machine.gateway, machine.gateway)) as customer:
        _, images = audit.ended(customer, customer.order())
        customer.reference.update({image.filename: image.output_sha256.hex() for image in images})
        for reader in readers:
            customer.subscribe(reader)
        cuts = []
        with Town(machine, customer) as town:
            for _ in range(CUTS):
                time.sleep(random.uniform(1.0, 4.0))  # the moment of the cut: whatever is under way then
                begun = time.time()
                cuts.append((begun, machine.cut_power()))
                town.check_told()
        repeats = town.check_all(readers, cuts)
    settled = time.time()
    seen = (
        f"{len(town.orders)} orders, {len(town.told)} results reported and {town.mailings} mailings during {CUTS} cuts"
    )
    tell(Line("power cut", "all", kind, seen, settled - cuts[-1][0], repeats=repeats))


@pytest.mark.parametrize("kind", ["", *unsynced.KINDS])
def test_a_cut_shows_each_sync_that_is_missing(disk: PowerDisk, kind: str) -> None:
    """Or the test above could not fail: what is not synced is lost, and its checks find that.

    On SQLite: PostgreSQL syncs within half a second what did not wait for it.
    """
    with _running(disk, "sqlite", kind) as machine, Customer((machine.gateway, machine.gateway)) as customer:
        _, images = audit.ended(customer, customer.order(notify=False))
        customer.reference.update({image.filename: image.output_sha256.hex() for image in images})
        town = Town(machine, customer)
        town.orders.append(customer.order())
        audit.ended(customer, town.orders[0])
        eventually(lambda: machine.emails()[town.orders[0].address], within=60)
        upload = Sender(customer, many(3))
        upload.create()
        upload.append_all()
        town.ask()
        town.orders.append(customer.order(many(12)))  # most of it is still to be blurred
        machine.cut_power()
        customer.patience = 15.0  # a result that is gone may come back: it is asked for again and again
        found = ""
        try:
            town.check_told()
            count_repeats(machine, {town.orders[0].address: 1}, ())
            town.orders.append(upload.complete())
            town.check_all(())
        except (AssertionError, grpc.RpcError) as error:
            found = str(error)
    assert bool(found) == bool(kind), found or "nobody has noticed it"
