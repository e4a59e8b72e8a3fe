import time
from uuid import uuid4

import pytest

from services.common.infra.signing import tokens as module
from services.common.infra.signing.tokens import BadToken, Tokens

SECRET = "a secret key that is only for tests, not for use"


def test_an_archive_token_is_for_one_order_and_nothing_else() -> None:
    tokens, order_id = Tokens(SECRET), uuid4()
    token = tokens.archive(order_id)
    assert tokens.read_archive(token) == order_id
    for purpose in ("confirm", "unsubscribe"):
        with pytest.raises(BadToken):
            tokens.read(purpose, token)


@pytest.mark.parametrize("change", [lambda t: t[:-1], lambda t: "A" + t, lambda t: t[:0], lambda t: t[::-1]])
def test_an_altered_one_is_not_relied_on(change: object) -> None:
    tokens = Tokens(SECRET)
    with pytest.raises(BadToken):
        tokens.read_archive(change(tokens.archive(uuid4())))  # type: ignore[operator]


def test_tokens_of_another_key_or_purpose() -> None:
    tokens = Tokens(SECRET)
    for other in (Tokens(SECRET + "!").archive(uuid4()), tokens.make("unsubscribe", uuid4(), 1)):
        with pytest.raises(BadToken):
            tokens.read_archive(other)


def test_it_ends_some_day_whatever_becomes_of_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    token = Tokens(SECRET).archive(uuid4())
    monkeypatch.setattr(module, "ARCHIVE_SECONDS", -1)
    with pytest.raises(BadToken):
        Tokens(SECRET).read_archive(token)


def test_it_is_valid_at_once_where_the_clock_is_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens, order_id = Tokens(SECRET), uuid4()
    with monkeypatch.context() as patch:
        made_at = time.time() + 3600
        patch.setattr("itsdangerous.timed.time.time", lambda: made_at)
        archive, receive = tokens.archive(order_id), tokens.make("receive", order_id, 1)
    assert tokens.read_archive(archive) == order_id
    assert tokens.read("receive", receive) == (order_id, 1)


def test_a_confirmation_ends_after_a_week(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        made_at = time.time() - module.CONFIRM_SECONDS - 60
        patch.setattr("itsdangerous.timed.time.time", lambda: made_at)
        token = Tokens(SECRET).make("confirm", uuid4(), 1)
    with pytest.raises(BadToken):
        Tokens(SECRET).read("confirm", token)
