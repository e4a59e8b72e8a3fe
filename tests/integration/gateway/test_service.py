"""Subscriptions, health, reflection and what happens when something that is needed is away."""

import functools
import time
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from imageblur.v1 import subscription_service_pb2 as pb
from sqlalchemy import func, select, update

from services.common.db.engine import Database
from services.common.db.models import Email, Subscriber
from services.common.domain.errors import ConfigurationError
from services.common.infra.signing.tokens import Tokens
from services.gateway.settings import GatewaySettings
from services.gateway.subscriptions.servicer import RESPONSE_SECONDS
from tests.integration.gateway.conftest import SECRET, Gateway
from tests.integration.gateway.test_orders import fields, refused
from tests.support.valkey import ValkeyServer
from tests.support.waiting import eventually


def subscriber(database: Database) -> Subscriber:
    with database.read() as session:
        return session.scalars(select(Subscriber)).one()


def test_answers_and_their_time_do_not_tell_who_is_known(gateway: Gateway, database: Database) -> None:
    gateway.subscription.Subscribe(pb.SubscribeRequest(email="pending@example.org"))
    gateway.subscription.Subscribe(pb.SubscribeRequest(email="known@example.org"))
    with database.write() as session:
        session.execute(update(Subscriber).where(Subscriber.email.like("known%")).values(state="CONFIRMED"))
    answers: list[tuple[str, bytes]] = []
    for name in ("known", "pending", "new", "new"):
        if answers[-1:] and name == "new":
            with database.write() as session:
                session.execute(update(Subscriber).where(Subscriber.email.like("new%")).values(state="SUPPRESSED"))
        address = f"{name}@example.org"
        calls: list[Callable[[], Message]] = [
            functools.partial(gateway.subscription.Subscribe, pb.SubscribeRequest(email=address)),
            functools.partial(gateway.subscription.Unsubscribe, pb.UnsubscribeRequest(email=address)),
        ]
        for call in calls:
            begin = time.monotonic()
            answer = call()
            answers.append((type(answer).__name__, answer.SerializeToString()))
            # Slower than what any of them takes, in steps: what differs by milliseconds is not seen.
            assert time.monotonic() - begin >= RESPONSE_SECONDS
    assert len(set(answers)) == 2


def test_who_is_unsubscribed_by_address_is_told_once(gateway: Gateway, database: Database) -> None:
    gateway.subscription.Subscribe(pb.SubscribeRequest(email="ann@example.org"))
    with database.write() as session:
        session.execute(update(Subscriber).values(state="CONFIRMED"))
    for _ in range(2):
        gateway.subscription.Unsubscribe(pb.UnsubscribeRequest(email="ann@example.org"))
    with database.read() as session:
        assert sorted(session.scalars(select(Email.kind))) == ["CONFIRM", "GOODBYE"]


def test_subscribe_confirm_unsubscribe(gateway: Gateway, database: Database) -> None:
    for email in ("Ann@example.org", "ann@example.org"):
        answer = gateway.subscription.Subscribe(pb.SubscribeRequest(email=email, locale="ru-RU"))
        assert answer.confirmation_required
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Email)) == 1
    row = subscriber(database)
    assert (row.state, row.locale) == ("PENDING", "ru")
    confirm = Tokens(SECRET).make("confirm", row.id, row.token_version)
    for _ in range(2):
        gateway.subscription.ConfirmSubscription(pb.ConfirmSubscriptionRequest(token=confirm))
    assert subscriber(database).state == "CONFIRMED"
    unsubscribe = Tokens(SECRET).make("unsubscribe", row.id, row.token_version)
    for _ in range(2):
        gateway.subscription.Unsubscribe(pb.UnsubscribeRequest(token=unsubscribe))
    assert subscriber(database).state == "UNSUBSCRIBED"
    request = pb.ConfirmSubscriptionRequest(token=confirm)
    error = refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.subscription.ConfirmSubscription, request)
    assert fields(error) == {"token": "is no longer valid: subscribe again"}


def test_tokens_of_another_purpose_or_key_are_refused(gateway: Gateway, database: Database) -> None:
    gateway.subscription.Subscribe(pb.SubscribeRequest(email="ann@example.org"))
    row = subscriber(database)
    for token in (
        "",
        "x.y.z",
        Tokens(SECRET).make("unsubscribe", row.id, 1),
        Tokens(SECRET + "!").make("confirm", row.id, 1),
    ):
        request = pb.ConfirmSubscriptionRequest(token=token)
        refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.subscription.ConfirmSubscription, request)
    assert subscriber(database).state == "PENDING"


def test_unsubscribing_a_stranger_answers_the_same(gateway: Gateway) -> None:
    gateway.subscription.Unsubscribe(pb.UnsubscribeRequest(email="nobody@example.org"))
    error = refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.subscription.Unsubscribe, pb.UnsubscribeRequest())
    assert set(fields(error)) == {"subscriber"}


def test_health_follows_what_the_gateway_needs(gateway: Gateway, valkey_server: ValkeyServer) -> None:
    health = health_pb2_grpc.HealthStub(gateway.channel)

    def status(service: str = "") -> int:
        return int(health.Check(health_pb2.HealthCheckRequest(service=service)).status)  # type: ignore[attr-defined]

    assert status() == status("imageblur.v1.BlurService") == health_pb2.HealthCheckResponse.SERVING
    valkey_server.stop()
    try:
        eventually(lambda: status() == health_pb2.HealthCheckResponse.NOT_SERVING)
    finally:
        valkey_server.start()
    eventually(lambda: status() == health_pb2.HealthCheckResponse.SERVING)


def test_reflection_lists_the_services(gateway: Gateway) -> None:
    services = ProtoReflectionDescriptorDatabase(gateway.channel).get_services()
    assert {"imageblur.v1.BlurService", "imageblur.v1.SubscriptionService", "grpc.health.v1.Health"} <= set(services)


def test_the_gateway_is_not_open_by_accident(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEBLUR_SECRET_KEY", SECRET)
    monkeypatch.setenv("IMAGEBLUR_GATEWAY_ADDRESS", "0.0.0.0:50051")
    with pytest.raises(ConfigurationError, match=r"^IMAGEBLUR_GATEWAY_ADDRESS: .*IMAGEBLUR_ALLOW_ANONYMOUS"):
        GatewaySettings.load()
    monkeypatch.setenv("IMAGEBLUR_ALLOW_ANONYMOUS", "true")
    assert GatewaySettings.load().gateway_address == "0.0.0.0:50051"


@pytest.mark.parametrize("address", ["localhost:1", "[::1]:1", "127.0.0.1:0", "unix:/tmp/socket"])
def test_loopback_needs_no_permission(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("IMAGEBLUR_SECRET_KEY", SECRET)
    monkeypatch.setenv("IMAGEBLUR_GATEWAY_ADDRESS", address)
    assert GatewaySettings.load().gateway_address == address


@pytest.mark.parametrize("method", ["Status", "BlurOrder"])
def test_rubbish_is_an_invalid_argument(gateway: Gateway, method: str) -> None:
    call: Any = gateway.channel.unary_unary(f"/imageblur.v1.BlurService/{method}")
    error = refused(grpc.StatusCode.INVALID_ARGUMENT, call, b"\xff" * 50)
    assert set(fields(error)) == {"message"}


def test_rubbish_in_a_stream_is_an_invalid_argument(gateway: Gateway) -> None:
    call: Any = gateway.channel.stream_unary("/imageblur.v1.BlurService/StreamBlurOrder")
    error = refused(grpc.StatusCode.INVALID_ARGUMENT, call, iter([b"\xff" * 50]))
    assert set(fields(error)) == {"message"}


def test_health_survives_a_blob_folder_that_goes_and_comes_back(gateway: Gateway) -> None:
    health = health_pb2_grpc.HealthStub(gateway.channel)

    def status() -> int:
        return int(health.Check(health_pb2.HealthCheckRequest()).status)  # type: ignore[attr-defined]

    away = gateway.folder.rename(gateway.folder.with_name("away"))
    eventually(lambda: status() == health_pb2.HealthCheckResponse.NOT_SERVING)
    away.rename(gateway.folder)
    eventually(lambda: status() == health_pb2.HealthCheckResponse.SERVING)
