"""Keys: each wrong one gets its code, before anything of the call is read; what is changed holds everywhere, soon."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import subscription_service_pb2
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from services.common.db.access import api_keys
from services.common.db.access.api_keys import ActiveKey
from services.common.db.access.audit import AuditContext
from services.common.db.engine import Database
from services.common.db.models import ApiKey, AuditEntry, IdempotencyKey
from services.common.domain.api_keys import HINT_LENGTH, Role, digest, new_key
from services.gateway.rpc import access, key_cache
from services.gateway.settings import GatewaySettings
from tests.integration.gateway.conftest import Gateway, running
from tests.integration.gateway.test_orders import HEADER, PICTURE, details, refused
from tests.support.waiting import eventually

TEST = AuditContext("test", "Test")
LIMITS = pb.GetLimitsRequest()
UNKNOWN_ORDER = pb.StatusRequest(order_id=str(uuid4()))
Make = Callable[..., str]


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_cache, "REFRESH_SECONDS", 0.05)


@pytest.fixture
def make(database: Database) -> Make:
    """Makes a key, which gateways know of after their next look."""

    def make(role: Role = Role.CLIENT, seconds: int | None = None) -> str:
        with database.write() as session:
            return api_keys.create(session, TEST, name="a test's", role=role, seconds=seconds).key

    return make


def bearer(key: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {key}"),)


def with_key(call: Any, key: str) -> Callable[[Any], Any]:
    return lambda request: call(request, metadata=bearer(key))


def known(gateway: Gateway, key: str) -> None:
    """Wait until a key opens the gateway."""

    def opens() -> bool:
        return refused_now(with_key(gateway.blur.GetLimits, key)) is None

    eventually(opens)


def reason(error: grpc.RpcError) -> str:
    info = details(error, error_details_pb2.ErrorInfo)
    assert info.domain == "imageblur"  # type: ignore[attr-defined]
    return str(info.reason)  # type: ignore[attr-defined]


def key_id(database: Database, key: str) -> UUID:
    with database.read() as session:
        return session.scalars(select(ApiKey.id).where(ApiKey.digest == digest(key))).one()


def test_without_a_key_nothing_is_answered_but_health_and_reflection(locked: Gateway) -> None:
    for call, request in (
        (locked.blur.GetLimits, LIMITS),
        (locked.blur.Status, UNKNOWN_ORDER),
        (locked.subscription.Subscribe, subscription_service_pb2.SubscribeRequest(email="a@example.org")),
    ):
        error = refused(grpc.StatusCode.UNAUTHENTICATED, call, request)
        assert reason(error) == "API_KEY_REQUIRED"
    health = health_pb2_grpc.HealthStub(locked.channel)
    serving = health_pb2.HealthCheckResponse.SERVING
    assert health.Check(health_pb2.HealthCheckRequest()).status == serving  # type: ignore[attr-defined]
    assert "imageblur.v1.BlurService" in ProtoReflectionDescriptorDatabase(locked.channel).get_services()


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer ",
        "Bearer x",
        "Basic aW1hZ2VibHVyOng=",
        pytest.param(f"Bearer {new_key()}", id="unknown"),
        "Bearer " + "k" * 7000,
        "",
        "Bearer  ' OR 1=1",
    ],
)
def test_what_is_no_key_opens_nothing(locked: Gateway, authorization: str) -> None:
    def call(request: pb.GetLimitsRequest) -> object:
        return locked.blur.GetLimits(request, metadata=(("authorization", authorization),))

    assert reason(refused(grpc.StatusCode.UNAUTHENTICATED, call, LIMITS)) == "API_KEY_INVALID"


def test_two_keys_at_once_open_nothing(locked: Gateway, make: Make) -> None:
    key = make()
    known(locked, key)

    def call(request: pb.GetLimitsRequest) -> object:
        return locked.blur.GetLimits(request, metadata=bearer("another") + bearer(key))

    assert reason(refused(grpc.StatusCode.UNAUTHENTICATED, call, LIMITS)) == "API_KEY_INVALID"


def test_a_key_opens_and_a_revoked_one_soon_does_not_on_any_gateway(
    settings: GatewaySettings, locked: Gateway, make: Make, database: Database
) -> None:
    key = make()
    with running(settings.model_copy(update={"require_keys": True})) as other:
        for gateway in (locked, other):
            known(gateway, key)
        with database.write() as session:
            api_keys.revoke(session, TEST, key_id_of(session, key))
        for gateway in (locked, other):
            call = with_key(gateway.blur.GetLimits, key)
            error = eventually(partial(refused_now, call))
            assert error
            assert reason(error) == "API_KEY_INVALID"


def key_id_of(session: Any, key: str) -> UUID:
    found: UUID = session.scalars(select(ApiKey.id).where(ApiKey.digest == digest(key))).one()
    return found


def refused_now(call: Callable[[Any], Any]) -> grpc.RpcError | None:
    try:
        call(LIMITS)
    except grpc.RpcError as error:
        return error
    return None


def test_an_expired_key_opens_nothing(
    locked: Gateway, make: Make, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = make(seconds=3600)
    known(locked, key)
    read, seen = api_keys.active_keys, list[list[ActiveKey]]()

    def watched(session: Session) -> list[ActiveKey]:
        seen.append(read(session))
        return seen[-1]

    monkeypatch.setattr(api_keys, "active_keys", watched)
    with database.write() as session:
        session.execute(update(ApiKey).values(expires_at=api_keys._time(session) + 3_000_000))
    # After that it is not read again before its time is over: the gateway has to know by itself.
    eventually(lambda: seen and all((found.seconds or 3600) <= 3 for found in seen[-1]))
    monkeypatch.setattr(key_cache, "REFRESH_SECONDS", 3600.0)
    error = eventually(lambda: refused_now(with_key(locked.blur.GetLimits, key)))
    assert error
    assert reason(error) == "API_KEY_INVALID"


def test_a_rotated_key_is_the_same_caller_and_the_former_one_ends(
    locked: Gateway, make: Make, database: Database
) -> None:
    former = make()
    known(locked, former)
    request = pb.BlurOrderRequest(
        order=pb.OrderHeader(email="ann@example.org", request_id=str(uuid4())), images=[PICTURE]
    )
    first = locked.blur.BlurOrder(request, metadata=bearer(former)).order.order_id
    identity = key_id(database, former)
    with database.write() as session:
        new = api_keys.rotate(session, TEST, identity, grace_seconds=3600).key
    known(locked, new)
    for key in (former, new):
        assert locked.blur.BlurOrder(request, metadata=bearer(key)).order.order_id == first
    with database.read() as session:
        assert session.scalars(select(IdempotencyKey.principal)).all() == [f"key:{identity}"]
    with database.write() as session:
        newest = api_keys.rotate(session, TEST, identity, grace_seconds=0).key
    known(locked, newest)
    for key in (former, new):
        assert reason(refused(grpc.StatusCode.UNAUTHENTICATED, with_key(locked.blur.GetLimits, key), LIMITS)) == (
            "API_KEY_INVALID"
        )


def test_request_ids_of_two_keys_do_not_meet(locked: Gateway, make: Make) -> None:
    one, two = make(), make()
    request = pb.BlurOrderRequest(order=HEADER, images=[PICTURE])
    request.order.request_id = str(uuid4())
    orders = set()
    for key in (one, two):
        known(locked, key)
        orders.add(locked.blur.BlurOrder(request, metadata=bearer(key)).order.order_id)
    assert len(orders) == 2


def test_a_viewer_looks_and_changes_nothing(locked: Gateway, make: Make) -> None:
    admin, viewer = make(Role.ADMIN), make(Role.VIEWER)
    for key in (admin, viewer):
        known(locked, key)
    placed = locked.blur.BlurOrder(pb.BlurOrderRequest(order=HEADER, images=[PICTURE]), metadata=bearer(admin)).order
    asked = pb.StatusRequest(order_id=placed.order_id)
    assert locked.blur.Status(asked, metadata=bearer(viewer)).order.counts.total == 1
    for call, request in (
        (locked.blur.BlurOrder, pb.BlurOrderRequest(order=HEADER, images=[PICTURE])),
        (locked.blur.DeleteOrder, pb.DeleteOrderRequest(order_id=placed.order_id)),
        (locked.blur.CancelOrder, pb.CancelOrderRequest(order_id=placed.order_id)),
        (locked.blur.SendImages, pb.SendImagesRequest(order_id=placed.order_id)),
        (locked.subscription.Unsubscribe, subscription_service_pb2.UnsubscribeRequest(email="a@example.org")),
    ):
        error = refused(grpc.StatusCode.PERMISSION_DENIED, with_key(call, viewer), request)
        assert reason(error) == "ROLE_NOT_ALLOWED"

    def download(request: pb.DownloadImagesRequest) -> object:
        return list(locked.blur.DownloadImages(request, metadata=bearer(viewer)))

    refused(grpc.StatusCode.PERMISSION_DENIED, download, pb.DownloadImagesRequest(order_id=placed.order_id))
    assert locked.blur.Status(asked, metadata=bearer(viewer)).order.order_id == placed.order_id


def test_methods_that_no_table_names_are_for_administrators() -> None:
    assert access.allowed_roles("/imageblur.v1.OperatorService/SomethingNew") == {Role.ADMIN}
    assert access.allowed_roles("/another.Service/Method") == {Role.ADMIN}


def test_nothing_of_a_stranger_s_message_is_read(locked: Gateway) -> None:
    sent = 0

    def images() -> Iterator[pb.StreamBlurOrderRequest]:
        nonlocal sent
        yield pb.StreamBlurOrderRequest(start=pb.OrderStart(order=HEADER, image_count=1))
        yield pb.StreamBlurOrderRequest(image=pb.ImageStart(filename="a.jpg"))
        for _ in range(500):
            sent += 1
            yield pb.StreamBlurOrderRequest(chunk=bytes(1 << 20))

    error = refused(grpc.StatusCode.UNAUTHENTICATED, locked.blur.StreamBlurOrder, images())
    assert reason(error) == "API_KEY_REQUIRED"
    assert sent < 100
    assert locked.files() == []


def test_while_keys_cannot_be_read_nobody_is_called_a_stranger(
    locked: Gateway, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = make()
    known(locked, key)
    monkeypatch.setattr(key_cache, "TRUST_SECONDS", -3600.0)
    for sent in (key, new_key()):
        refused(grpc.StatusCode.UNAVAILABLE, with_key(locked.blur.GetLimits, sent), LIMITS)
    assert reason(refused(grpc.StatusCode.UNAUTHENTICATED, locked.blur.GetLimits, LIMITS)) == "API_KEY_REQUIRED"


def test_a_wrong_key_is_refused_where_none_is_needed(gateway: Gateway) -> None:
    gateway.blur.GetLimits(LIMITS)
    call = with_key(gateway.blur.GetLimits, new_key())
    assert reason(refused(grpc.StatusCode.UNAUTHENTICATED, call, LIMITS)) == "API_KEY_INVALID"


def test_keys_are_in_no_log_and_in_no_row(
    locked: Gateway, make: Make, database: Database, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    good, bad = make(), new_key()
    with caplog.at_level(logging.DEBUG):
        known(locked, good)
        refused(grpc.StatusCode.UNAUTHENTICATED, with_key(locked.blur.GetLimits, bad), LIMITS)
        refused(grpc.StatusCode.NOT_FOUND, with_key(locked.blur.Status, good), UNKNOWN_ORDER)
    told = capfd.readouterr()
    said = caplog.text + told.out + told.err
    assert "GetLimits" in said
    with database.read() as session:
        rows = repr([vars(row) for row in (*session.scalars(select(ApiKey)), *session.scalars(select(AuditEntry)))])
    for key in (good, bad):
        secret = key[HINT_LENGTH:]
        assert secret not in said
        assert secret not in rows


def test_the_last_use_is_written_down(locked: Gateway, make: Make, database: Database) -> None:
    key = make()
    known(locked, key)

    def used() -> int | None:
        with database.read() as session:
            return session.scalar(select(ApiKey.last_used_at))

    eventually(used)


def test_reflection_is_for_whom_a_setting_says(settings: GatewaySettings, make: Make) -> None:
    with running(settings.model_copy(update={"require_keys": True, "reflection": "keys"})) as gateway:
        with pytest.raises(grpc.RpcError) as caught:
            ProtoReflectionDescriptorDatabase(gateway.channel).get_services()
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        known(gateway, make())
    with running(settings.model_copy(update={"reflection": "off"})) as gateway:
        with pytest.raises(grpc.RpcError) as caught:
            ProtoReflectionDescriptorDatabase(gateway.channel).get_services()
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def create_key(database_url: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "services.gateway", "create-key", *arguments],
        env=os.environ | {"IMAGEBLUR_DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_key_of_a_file_is_added_once(locked: Gateway, database: Database, database_url: str, tmp_path: Path) -> None:
    key, file = new_key(), tmp_path / "key"
    file.write_text(f"{key}\n", "ascii")
    for _ in range(2):  # the second time it is there
        made = create_key(database_url, "--role", "client", "--key-file", str(file), "web")
        assert made.returncode == 0, made.stderr
        assert key not in made.stdout + made.stderr
    known(locked, key)
    with database.read() as session:
        (row,) = session.scalars(select(ApiKey)).all()
    assert (row.name, row.role) == ("web", Role.CLIENT)


@pytest.mark.parametrize("text", ["", "secret", "imageblur_short", None])
def test_a_file_without_a_key_is_refused(database_url: str, tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "key"
    if text is not None:
        file.write_text(text, "ascii")
    made = create_key(database_url, "--key-file", str(file), "web")
    assert made.returncode == 1
    assert str(file) in made.stderr
    assert "API key" in made.stderr or text is None


def test_the_first_key_is_created_without_a_server_and_audited(
    locked: Gateway, database: Database, database_url: str
) -> None:
    made = create_key(database_url, "Ada")
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    assert key not in made.stderr
    known(locked, key)
    with database.read() as session:
        row = session.scalars(select(ApiKey)).one()
        entry = session.scalars(select(AuditEntry)).one()
    assert (row.name, row.role, row.created_by) == ("Ada", Role.ADMIN, "command line")
    assert (entry.principal, entry.action, entry.subject) == ("command line", "CreateApiKey", f"apiKeys/{row.id}")
