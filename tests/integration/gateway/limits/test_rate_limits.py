"""Rate limits: counted once for all gateways, for each caller apart, with the time after which to come again."""

import asyncio
import math
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
import redis
from google.rpc import error_details_pb2
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import subscription_service_pb2
from pydantic import SecretStr
from redis import asyncio as aioredis
from sqlalchemy import func, select

from services.common.db.access import api_keys
from services.common.db.access.audit import AuditContext
from services.common.db.engine import Database
from services.common.db.mail import mailboxes
from services.common.db.models import Order
from services.common.domain.api_keys import Role
from services.common.domain.errors import ResourceExhausted
from services.common.domain.mailboxes import MailboxHasher
from services.common.infra.messaging.broker import Broker
from services.common.infra.rate_limiter import RateLimiter, Spacing
from services.common.infra.signing.visitors import VisitorProof
from services.gateway.rpc import key_cache
from services.gateway.rpc.callers import Caller, CurrentCall
from services.gateway.rpc.limits import rate_limits
from services.gateway.rpc.limits.rate_limits import Rate, RateLimits
from services.gateway.settings import GatewaySettings
from tests.integration.gateway.conftest import Gateway, running
from tests.integration.gateway.operator.test_keys import bearer, known, reason
from tests.integration.gateway.test_orders import HEADER, PICTURE, assert_nothing_left, details, refused
from tests.support.valkey import ValkeyServer
from tests.support.waiting import eventually

ORDER = pb.BlurOrderRequest(order=HEADER, images=[PICTURE])


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Nothing is counted in the database."""
    return sqlite_url


@pytest.fixture
def limited(settings: GatewaySettings) -> GatewaySettings:
    """Three orders and two subscriptions, which come back slowly."""
    return settings.model_copy(update={"max_orders_per_minute": 3, "max_subscriptions_per_hour": 2})


@pytest.fixture
def gateways(limited: GatewaySettings) -> Iterator[tuple[Gateway, Gateway]]:
    with running(limited) as one, running(limited) as two:
        yield one, two


def retry_seconds(error: grpc.RpcError) -> float:
    retry: Any = details(error, error_details_pb2.RetryInfo)
    return float(retry.retry_delay.ToTimedelta().total_seconds())


def test_two_gateways_count_together_and_say_when_to_come_again(
    gateways: tuple[Gateway, Gateway], database: Database
) -> None:
    one, two = gateways
    for gateway in (one, two, one):
        gateway.blur.BlurOrder(ORDER)
    files = one.files()
    for gateway in (two, one, two, one):
        error = refused(grpc.StatusCode.RESOURCE_EXHAUSTED, gateway.blur.BlurOrder, ORDER)
        assert reason(error) == "RATE_LIMIT_EXCEEDED"
        assert 0 < retry_seconds(error) <= 20
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Order)) == 3
    assert one.files() == files


def test_a_refused_order_leaves_nothing(
    gateways: tuple[Gateway, Gateway], database: Database, valkey: redis.Redis
) -> None:
    valkey.set("imageblur:rate:orders:ipv4:127.0.0.1", 2**52)
    refused(grpc.StatusCode.RESOURCE_EXHAUSTED, gateways[0].blur.BlurOrder, ORDER)
    assert_nothing_left(gateways[0], database)


def test_keys_are_counted_apart(limited: GatewaySettings, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_cache, "REFRESH_SECONDS", 0.05)
    with running(limited.model_copy(update={"require_keys": True})) as gateway:
        for _ in range(2):
            with database.write() as session:
                key = api_keys.create(
                    session, AuditContext("test", "Test"), name="", role=Role.CLIENT, seconds=None
                ).key
            known(gateway, key)
            for _ in range(3):
                gateway.blur.BlurOrder(ORDER, metadata=bearer(key))
            with pytest.raises(grpc.RpcError) as caught:
                gateway.blur.BlurOrder(ORDER, metadata=bearer(key))
            assert reason(caught.value) == "RATE_LIMIT_EXCEEDED"


def test_subscriptions_are_counted_whatever_the_address(gateways: tuple[Gateway, Gateway]) -> None:
    one, two = gateways
    for number, gateway in enumerate((one, two)):
        gateway.subscription.Subscribe(subscription_service_pb2.SubscribeRequest(email=f"{number}@example.org"))
    request = subscription_service_pb2.SubscribeRequest(email="third@example.org")
    error = refused(grpc.StatusCode.RESOURCE_EXHAUSTED, one.subscription.Subscribe, request)
    assert retry_seconds(error) > 60
    one.blur.BlurOrder(ORDER)  # is counted apart


def test_subscribing_works_without_the_broker(gateways: tuple[Gateway, Gateway], valkey_server: ValkeyServer) -> None:
    valkey_server.stop()
    try:
        request = subscription_service_pb2.SubscribeRequest(email="a@example.org")
        for _ in range(3):
            assert gateways[0].subscription.Subscribe(request).confirmation_required
    finally:
        valkey_server.start()


def test_a_bucket_fills_again(
    valkey: redis.Redis, valkey_server: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def drive() -> float:
        async with aioredis.Redis.from_url(valkey_server.url) as client:
            limits, rate = RateLimits(client), Rate("tests", 2, 4_000)
            await limits.count(rate, "ann")
            await limits.count(rate, "ann")
            with pytest.raises(ResourceExhausted) as caught:
                await limits.count(rate, "ann")
            with pytest.raises(ResourceExhausted):
                limits.check(rate, "ann")
            limits.check(rate, "bob")
            await limits.count(rate, "bob")
            # As a client does that keeps to it: for the broker and for the gateway the time passes.
            passed = caught.value.retry_seconds
            valkey.decrby("imageblur:rate:tests:ann", math.ceil(passed * 1_000_000))
            monkeypatch.setattr(rate_limits, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + passed))
            limits.check(rate, "ann")
            await limits.count(rate, "ann")
            return passed

    assert 0 < asyncio.run(drive()) <= 2_000
    assert 0 < valkey.pttl("imageblur:rate:tests:ann") <= 4_000_000


def test_callers_without_a_key_are_counted_by_host() -> None:
    anonymous = Caller(Role.CLIENT)
    for peer, counted in (
        ("ipv4:192.0.2.1:50000", "ipv4:192.0.2.1"),
        ("ipv6:%5B2001:db8::1%5D:50000", "ipv6:2001:db8::/64"),
        ("unix:", "unix"),
    ):
        assert CurrentCall(anonymous, peer, "BlurOrder").rate_limit_key == counted


def notified(address: str) -> pb.BlurOrderRequest:
    return pb.BlurOrderRequest(order=pb.OrderHeader(email=address, notify=True), images=[PICTURE])


def test_a_caller_writes_to_a_few_strangers_only(settings: GatewaySettings, database: Database) -> None:
    hasher = MailboxHasher(*settings.signing_keys)
    with database.write() as session:
        mailboxes.confirm(session, hasher.hash("friend@example.org"))
    with running(settings.model_copy(update={"max_unconfirmed_per_hour": 2})) as gateway:
        first = gateway.blur.BlurOrder(notified("a@example.org")).order
        gateway.blur.BlurOrder(notified("b@example.org"))
        files = gateway.files()
        error = refused(grpc.StatusCode.RESOURCE_EXHAUSTED, gateway.blur.BlurOrder, notified("c@example.org"))
        assert reason(error) == "RATE_LIMIT_EXCEEDED"
        assert retry_seconds(error) > 60
        assert gateway.files() == files, "nothing of it is kept"
        later = pb.SendImagesRequest(order_id=first.order_id, when_ready=True)
        assert reason(refused(grpc.StatusCode.RESOURCE_EXHAUSTED, gateway.blur.SendImages, later))
        gateway.blur.BlurOrder(notified("Friend+x@example.org"))
        gateway.blur.BlurOrder(ORDER)  # which is not e-mailed
    trusting = {"max_unconfirmed_per_hour": 2, "unconfirmed_addresses": "results"}
    with running(settings.model_copy(update=trusting)) as gateway:
        gateway.blur.BlurOrder(notified("c@example.org"))


def test_each_visitor_of_the_pages_is_counted_for_itself(limited: GatewaySettings) -> None:
    secret = SecretStr("s" * 32)
    pages, forger = VisitorProof("s" * 32), VisitorProof("f" * 32)

    def place(gateway: Gateway, metadata: tuple[tuple[str, str], ...]) -> None:
        gateway.blur.BlurOrder(ORDER, metadata=metadata)

    with running(limited.model_copy(update={"visitor_secret": secret})) as gateway:
        for _ in range(3):
            place(gateway, pages.metadata("192.0.2.1"))
        with pytest.raises(grpc.RpcError) as caught:
            place(gateway, pages.metadata("192.0.2.1"))
        assert reason(caught.value) == "RATE_LIMIT_EXCEEDED"
        place(gateway, pages.metadata("192.0.2.2"))
        # Who does not know the secret is counted by its own address, whatever it claims.
        for number in range(3):
            place(gateway, forger.metadata(f"192.0.2.{number + 10}"))
        with pytest.raises(grpc.RpcError) as caught:
            place(gateway, forger.metadata("192.0.2.20"))
        assert reason(caught.value) == "RATE_LIMIT_EXCEEDED"


def test_nobody_waits_longer_because_the_brokers_clock_was_set_back(queues: Broker) -> None:
    limiter, spacing = RateLimiter(queues.client), Spacing(interval=0.2, tolerance=0.8)
    assert limiter.take("caller", spacing) == 0
    queues.client.set("imageblur:rate:caller", str((int(time.time()) + 86_400) * 1_000_000))
    assert 0 < limiter.take("caller", spacing) <= spacing.interval
    eventually(lambda: limiter.take("caller", spacing) == 0, within=30)
