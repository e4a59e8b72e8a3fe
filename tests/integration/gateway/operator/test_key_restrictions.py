"""API keys that may call some RPCs only, with limits of their own, and what is kept of their use."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from imageblur.v1 import blur_service_pb2 as blur
from imageblur.v1 import operator_pb2
from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1 import subscription_service_pb2 as subscription
from imageblur.v1.operator_service_pb2_grpc import OperatorServiceStub
from imageblur.v1.subscription_service_pb2_grpc import SubscriptionServiceStub

from services.common.domain.api_keys import SCOPES, AddressClass, Role, address_class
from services.gateway.rpc import access
from tests.contract.test_access import METHODS
from tests.integration.gateway.conftest import Gateway
from tests.integration.gateway.operator.test_keys import known, make, reason, with_key
from tests.integration.gateway.test_orders import HEADER, PICTURE, fields
from tests.support.waiting import eventually

__all__ = ["make"]

Issue = Callable[..., pb.CreateApiKeyResponse]
CLIENT, VIEWER, ADMIN = (
    operator_pb2.API_KEY_ROLE_CLIENT,
    operator_pb2.API_KEY_ROLE_VIEWER,
    operator_pb2.API_KEY_ROLE_ADMIN,
)


@pytest.fixture
def admin(locked: Gateway, make: Callable[..., str]) -> str:
    key = make(Role.ADMIN)
    known(locked, key)
    return key


@pytest.fixture
def issue(locked: Gateway, admin: str) -> Issue:
    """Creates a key with the given fields, known to the gateway."""

    def issue(role: Any, **values: Any) -> pb.CreateApiKeyResponse:
        request = pb.CreateApiKeyRequest(name="a test's", role=role, **values)
        made: pb.CreateApiKeyResponse = with_key(OperatorServiceStub(locked.channel).CreateApiKey, admin)(request)
        known(locked, made.key)
        return made

    return issue


def refusal(call: Any, key: str, request: Any) -> str:
    with pytest.raises(grpc.RpcError) as caught:
        with_key(call, key)(request)
    return reason(caught.value)


def order(pictures: int = 1) -> blur.BlurOrderRequest:
    return blur.BlurOrderRequest(order=HEADER, images=[PICTURE] * pictures)


def test_a_key_calls_what_its_scopes_have_and_nothing_else(locked: Gateway, issue: Issue) -> None:
    key = issue(CLIENT, scopes=[operator_pb2.API_KEY_SCOPE_ORDERS]).key
    order_id = with_key(locked.blur.BlurOrder, key)(order()).order.order_id
    assert refusal(locked.blur.Status, key, blur.StatusRequest(order_id=order_id)) == "SCOPE_NOT_ALLOWED"
    assert refusal(locked.blur.BlurImage, key, blur.BlurImageRequest()) == "SCOPE_NOT_ALLOWED"
    subscriptions = SubscriptionServiceStub(locked.channel)
    request = subscription.SubscribeRequest(email="ann@example.org")
    assert refusal(subscriptions.Subscribe, key, request) == "SCOPE_NOT_ALLOWED"
    reader = issue(CLIENT, scopes=[operator_pb2.API_KEY_SCOPE_RESULTS]).key
    assert with_key(locked.blur.Status, reader)(blur.StatusRequest(order_id=order_id)).order.order_id == order_id
    assert refusal(locked.blur.CancelOrder, reader, blur.CancelOrderRequest(order_id=order_id)) == "SCOPE_NOT_ALLOWED"


def test_an_administrator_of_the_newsletter_cannot_give_itself_more(locked: Gateway, issue: Issue) -> None:
    key = issue(ADMIN, scopes=[operator_pb2.API_KEY_SCOPE_MAILINGS]).key
    stub = OperatorServiceStub(locked.channel)
    with_key(stub.ListMailings, key)(pb.ListMailingsRequest())
    for call, request in (
        (stub.CreateApiKey, pb.CreateApiKeyRequest(role=ADMIN)),
        (stub.ListOrders, pb.ListOrdersRequest()),
        (stub.ExportPersonalData, None),
    ):
        if request is not None:
            assert refusal(call, key, request) == "SCOPE_NOT_ALLOWED"
    caller = with_key(stub.GetCaller, key)(pb.GetCallerRequest())
    assert (caller.role, list(caller.scopes)) == (ADMIN, [operator_pb2.API_KEY_SCOPE_MAILINGS])
    assert caller.principal.startswith("key:")


def test_scopes_and_limits_are_replaced_and_a_wrong_one_is_refused(locked: Gateway, admin: str, issue: Issue) -> None:
    made = issue(CLIENT, limits=operator_pb2.ApiKeyLimits(images_per_day=10))
    assert made.api_key.limits.images_per_day == 10
    stub = OperatorServiceStub(locked.channel)
    restrict = with_key(stub.RestrictApiKey, admin)
    changed = restrict(
        pb.RestrictApiKeyRequest(api_key_id=made.api_key.api_key_id, scopes=[operator_pb2.API_KEY_SCOPE_INSTANT])
    ).api_key
    assert list(changed.scopes) == [operator_pb2.API_KEY_SCOPE_INSTANT]
    assert not changed.HasField("limits")

    def restricted() -> bool:
        try:
            with_key(locked.blur.BlurOrder, made.key)(order())
        except grpc.RpcError as error:
            return reason(error) == "SCOPE_NOT_ALLOWED"
        return False

    eventually(restricted)
    for field, values in (
        ("scopes[0]", {"scopes": [operator_pb2.API_KEY_SCOPE_KEYS]}),
        ("scopes[0]", {"scopes": [99]}),
        ("limits.images_per_day", {"limits": operator_pb2.ApiKeyLimits(images_per_day=-1)}),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            restrict(pb.RestrictApiKeyRequest(api_key_id=made.api_key.api_key_id, **values))
        assert set(fields(caught.value)) == {field}


def test_a_key_has_its_own_limit_of_orders(locked: Gateway, admin: str, issue: Issue) -> None:
    key = issue(CLIENT, limits=operator_pb2.ApiKeyLimits(orders_per_minute=2)).key
    for _ in range(2):
        with_key(locked.blur.BlurOrder, key)(order())
    assert refusal(locked.blur.BlurOrder, key, order()) == "RATE_LIMIT_EXCEEDED"
    for _ in range(3):  # costs nobody else anything
        with_key(locked.blur.BlurOrder, admin)(order())


def test_a_key_has_its_own_limit_of_images(locked: Gateway, issue: Issue) -> None:
    key = issue(CLIENT, limits=operator_pb2.ApiKeyLimits(images_per_day=3)).key
    with pytest.raises(grpc.RpcError) as caught:
        with_key(locked.blur.BlurOrder, key)(order(4))
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "4 images" in str(caught.value.details())
    with_key(locked.blur.BlurOrder, key)(order(2))
    assert refusal(locked.blur.BlurOrder, key, order(2)) == "RATE_LIMIT_EXCEEDED"
    # Fewer still fit, and an order that is only validated counts for nothing.
    validated = order(1)
    validated.order.validate_only = True
    with_key(locked.blur.BlurOrder, key)(validated)
    with_key(locked.blur.BlurOrder, key)(order(1))
    assert refusal(locked.blur.BlurOrder, key, order()) == "RATE_LIMIT_EXCEEDED"


def test_the_class_of_the_address_is_kept_and_not_the_address(locked: Gateway, admin: str, issue: Issue) -> None:
    made = issue(CLIENT)
    listing = with_key(OperatorServiceStub(locked.channel).ListApiKeys, admin)

    def used() -> bool:
        keys = {key.api_key_id: key for key in listing(pb.ListApiKeysRequest()).api_keys}
        key = keys[made.api_key.api_key_id]
        return bool(key.last_used_from == operator_pb2.ADDRESS_CLASS_LOOPBACK and key.HasField("last_used_time"))

    eventually(used)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", AddressClass.LOOPBACK),
        ("::1", AddressClass.LOOPBACK),
        ("::ffff:127.0.0.1", AddressClass.LOOPBACK),
        ("10.1.2.3", AddressClass.PRIVATE),
        ("192.168.1.1", AddressClass.PRIVATE),
        ("fd00::1", AddressClass.PRIVATE),
        ("fe80::1%eth0", AddressClass.PRIVATE),
        ("8.8.8.8", AddressClass.PUBLIC),
        ("2606:4700::1111", AddressClass.PUBLIC),
        ("", None),
        ("localhost", None),
    ],
)
def test_classes_of_addresses(address: str, expected: AddressClass | None) -> None:
    assert address_class(address) is expected


@pytest.mark.parametrize("path", [path for path, _ in METHODS])
def test_every_rpc_is_in_a_scope_of_the_roles_that_may_call_it(path: str) -> None:
    scope = access.scope_of(path)
    for role in access.allowed_roles(path):
        assert scope is None or scope in SCOPES[role], (path, role)
