"""The grown form: PostgreSQL, S3, TLS, keys, two of all. A few kills and outages, where S3 makes a difference."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import grpc
import pytest
from imageblur.v1 import blur_service_pb2 as pb
from imageblur_client import Security

from tests.faults import audit, leak_checks
from tests.faults.fleet import Fleet, kill_service
from tests.faults.kill_at_stage import Kill, held, strike
from tests.faults.launching import running_fleet
from tests.faults.recording_client import Customer
from tests.faults.report import Line
from tests.faults.samples import many
from tests.support.postgres import PostgresServer
from tests.support.s3 import S3Server
from tests.support.waiting import eventually

KILLS = [
    Kill("gateway", "upload", "upload"),
    Kill("gateway", "before the commit", "gateway-commit"),
    # Not while a child works on a file: that one is not named after its order, as it is in a folder.
    Kill("blur_worker", "storing", "worker-storing"),
    Kill("blur_worker", "stored, before the finish", "worker-finish"),
    Kill("mailer", "after the server's 250, before the commit", "mailer-sent", repeats=1),
]


@pytest.fixture(scope="module")
def fleet(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer, s3_server: S3Server
) -> Iterator[Fleet]:
    """Two of each service on PostgreSQL and S3."""
    with running_fleet("grown", tmp_path_factory.mktemp("grown"), postgres_server, s3_server) as fleet:
        yield fleet


@pytest.fixture(scope="module")
def customer(fleet: Fleet) -> Iterator[Customer]:
    """Its clients."""
    with Customer(fleet.gateways, security=fleet.security) as customer:
        eventually(lambda: _knows_the_key(customer))
        _, images = audit.ended(customer, customer.order())
        customer.reference.update({image.filename: image.output_sha256.hex() for image in images})
        yield customer


def _knows_the_key(customer: Customer) -> bool:
    """Whether both gateways have learnt of a key that was made a moment ago."""
    with contextlib.suppress(grpc.RpcError):
        return all(stub.GetLimits(pb.GetLimitsRequest(), timeout=5).max_images for stub in customer.stubs)
    return False


def test_without_the_key_nobody_is_served(fleet: Fleet) -> None:
    for security in (replace(fleet.security, key="ib_wrong"), Security()):
        with Customer(fleet.gateways, security=security) as stranger, pytest.raises(grpc.RpcError) as caught:
            stranger.stubs[0].GetLimits(pb.GetLimitsRequest(), timeout=10)
        codes = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNAVAILABLE}  # the latter without TLS
        assert caught.value.code() in codes


def test_kills_lose_nothing(fleet: Fleet, customer: Customer, tell: Callable[[Line], None]) -> None:
    struck = [(kill, strike(fleet, customer, kill)) for kill in KILLS]
    customer.loose |= {hit.accepted.order_id for kill, hit in struck if kill.victim == "blur_worker"}
    mailers_killed = [hit.at for kill, hit in struck if kill.victim == "mailer"]
    for kill, hit in struck:
        settled = audit.settle(fleet, customer, hit.accepted, repeats=kill.repeats, mailers_killed=mailers_killed)
        seconds = max(0.0, settled.at - hit.at)
        tell(Line(f"kill -9 {kill.victim}", kill.stage, fleet.kind, hit.seen, seconds, repeats=settled.repeats))
    leak_checks.calm(fleet, customer)


def test_an_order_waits_for_a_store_that_is_away(
    fleet: Fleet, customer: Customer, s3_server: S3Server, tell: Callable[[Line], None]
) -> None:
    accepted, _ = held(fleet, customer, "worker-storing")
    s3_server.kill()
    at = time.time()
    fleet.stages.disarm("worker-storing")
    try:
        # Uploads are sent away, and accepted when the store is back.
        later = customer.order_soon()
        eventually(lambda: any("blob store" in words for words in customer.refusals), within=40)
    finally:
        s3_server.start()
    for order in (accepted, later.result(90)):
        # An original whose image was recorded as the store went is left to the sweep.
        customer.loose.add(order.order_id)
        settled = audit.settle(fleet, customer, order)
    tell(Line("S3 killed and started again", "storing", fleet.kind, "1 RUNNING", settled.at - at))
    leak_checks.calm(fleet, customer)


def test_a_worker_killed_in_the_midst_of_many_loses_none(fleet: Fleet, customer: Customer) -> None:
    accepted = customer.order(many(24))
    eventually(lambda: customer.status(accepted.order_id)[0].counts.succeeded > 2)
    kill_service(fleet.one("blur_worker"))
    customer.loose.add(accepted.order_id)
    audit.settle(fleet, customer, accepted)
    leak_checks.calm(fleet, customer)
