"""API keys that operators make, and who may do what."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import grpc
import pytest
from imageblur.v1 import operator_pb2
from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1.operator_service_pb2_grpc import OperatorServiceStub

from services.common.db.engine import Database
from services.common.domain.api_keys import Role
from services.gateway.rpc import key_cache
from services.gateway.settings import GatewaySettings
from tests.integration.gateway.conftest import running
from tests.integration.gateway.operator.operating import Orders, audited
from tests.integration.gateway.operator.test_keys import bearer, known, make, reason, with_key
from tests.integration.gateway.test_orders import order, refused

__all__ = ["make"]


def test_keys_are_made_listed_rotated_and_revoked(operator: OperatorServiceStub) -> None:
    made = [
        operator.CreateApiKey(pb.CreateApiKeyRequest(name=f"key {number}", role=operator_pb2.API_KEY_ROLE_VIEWER))
        for number in range(3)
    ]
    assert len({answer.key for answer in made}) == 3
    first = made[0].api_key
    assert made[0].key.startswith(first.hint)
    assert first.created_by == "anonymous"
    seen: set[str] = set()
    token = ""
    while True:
        page = operator.ListApiKeys(pb.ListApiKeysRequest(page_size=2, page_token=token))
        seen |= {key.api_key_id for key in page.api_keys}
        token = page.next_page_token
        if not token:
            break
    assert seen == {answer.api_key.api_key_id for answer in made}
    rotated = operator.RotateApiKey(pb.RotateApiKeyRequest(api_key_id=first.api_key_id))
    assert rotated.key != made[0].key
    assert rotated.api_key.api_key_id == first.api_key_id
    for _ in range(2):
        revoked = operator.RevokeApiKey(pb.RevokeApiKeyRequest(api_key_id=first.api_key_id)).api_key
        assert revoked.HasField("revoke_time")
    refused(
        grpc.StatusCode.FAILED_PRECONDITION, operator.RotateApiKey, pb.RotateApiKeyRequest(api_key_id=first.api_key_id)
    )
    assert len(operator.ListApiKeys(pb.ListApiKeysRequest()).api_keys) == 2
    assert len(operator.ListApiKeys(pb.ListApiKeysRequest(include_inactive=True)).api_keys) == 3
    entries = operator.ListAuditEntries(pb.ListAuditEntriesRequest(action="CreateApiKey", page_size=2))
    assert len(entries.entries) == 2
    assert entries.next_page_token
    assert all(answer.key not in str(entries) for answer in made)


def test_a_viewer_looks_and_an_administrator_acts(
    settings: GatewaySettings, make: Callable[..., str], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_cache, "REFRESH_SECONDS", 0.05)
    looks: list[tuple[str, Any]] = [
        ("ListQueues", pb.ListQueuesRequest()),
        ("ListWorkers", pb.ListWorkersRequest()),
        ("ListOrders", pb.ListOrdersRequest()),
        ("ListFailures", pb.ListFailuresRequest()),
        ("GetStatistics", pb.GetStatisticsRequest()),
        ("ListAuditEntries", pb.ListAuditEntriesRequest()),
    ]
    acts: list[tuple[str, Any]] = [
        ("PauseQueue", pb.PauseQueueRequest(queue="blur")),
        ("ResumeQueue", pb.ResumeQueueRequest(queue="blur")),
        ("PurgeQueue", pb.PurgeQueueRequest(queue="mail")),
        ("RetryFailures", pb.RetryFailuresRequest(all=True)),
        ("DismissFailures", pb.DismissFailuresRequest(all=True)),
        ("CreateApiKey", pb.CreateApiKeyRequest(role=operator_pb2.API_KEY_ROLE_CLIENT)),
        ("ListApiKeys", pb.ListApiKeysRequest()),
    ]
    with running(settings.model_copy(update={"require_keys": True})) as gateway:
        operator = OperatorServiceStub(gateway.channel)
        client, viewer, admin = make(Role.CLIENT), make(Role.VIEWER), make(Role.ADMIN)
        for key in (client, viewer, admin):
            known(gateway, key)
        before = audited(database)
        for name, request in (*looks, *acts):
            call = getattr(operator, name)
            refused(grpc.StatusCode.UNAUTHENTICATED, call, request)
            error = refused(grpc.StatusCode.PERMISSION_DENIED, with_key(call, client), request)
            assert reason(error) == "ROLE_NOT_ALLOWED"
        for name, request in acts:
            refused(grpc.StatusCode.PERMISSION_DENIED, with_key(getattr(operator, name), viewer), request)
        asks = pb.ListOrdersRequest(filter=Orders(email="ann@example.org"))
        refused(grpc.StatusCode.PERMISSION_DENIED, with_key(operator.ListOrders, viewer), asks)
        assert audited(database) == before
        for name, request in looks:
            getattr(operator, name)(request, metadata=bearer(viewer))
        for name, request in (*looks, *acts):
            getattr(operator, name)(request, metadata=bearer(admin))
        assert {principal for principal, _, _ in audited(database)[len(before) :]} == {f"key:{key_of(database, admin)}"}


def key_of(database: Database, key: str) -> UUID:
    from tests.integration.gateway.operator.test_keys import key_id

    return key_id(database, key)


def test_without_keys_on_another_address_strangers_are_no_operators(settings: GatewaySettings) -> None:
    open_to_all = GatewaySettings.model_validate(
        {**settings.model_dump(), "allow_anonymous": True, "gateway_address": "0.0.0.0:0"}
    )
    with running(open_to_all) as gateway:
        order(gateway)
        operator = OperatorServiceStub(gateway.channel)
        error = refused(grpc.StatusCode.PERMISSION_DENIED, operator.ListQueues, pb.ListQueuesRequest())
        assert reason(error) == "ROLE_NOT_ALLOWED"
