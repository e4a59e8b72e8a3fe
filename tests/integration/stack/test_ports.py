import os
import socket
from collections.abc import Iterator

import pytest

from services.stack.errors import SettingError, StackError
from services.stack.ports import Endpoint, check
from tests.support.ports import free_port


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as server:  # as gRPC opens its ports
        yield server.getsockname()[1]


def test_a_free_port_is_fine() -> None:
    check(Endpoint("127.0.0.1", free_port(), "IMAGEBLUR_MAILBOX_PORT"))


def test_a_taken_port_is_told_with_its_holder_and_a_remedy(taken_port: int) -> None:
    with pytest.raises(StackError) as failure:
        check(Endpoint("127.0.0.1", taken_port, "IMAGEBLUR_GATEWAY_ADDRESS", "127.0.0.1:{port}"))
    sentence = str(failure.value)
    assert sentence.startswith(f"port {taken_port} is in use (by pid {os.getpid()}): set IMAGEBLUR_GATEWAY_ADDRESS=")
    assert sentence.endswith("or stop that program")
    remedy = int(sentence.partition("=127.0.0.1:")[2].split()[0])
    check(Endpoint("127.0.0.1", remedy, "IMAGEBLUR_GATEWAY_ADDRESS"))


def test_a_port_taken_on_one_address_is_not_free_on_all(taken_port: int) -> None:
    with pytest.raises(StackError, match="in use"):
        check(Endpoint("0.0.0.0", taken_port, "IMAGEBLUR_GATEWAY_ADDRESS"))


def test_an_address_of_another_machine_is_a_wrong_setting() -> None:
    with pytest.raises(SettingError, match=r"IMAGEBLUR_GATEWAY_ADDRESS: cannot listen on 192\.0\.2\.1:"):
        check(Endpoint("192.0.2.1", free_port(), "IMAGEBLUR_GATEWAY_ADDRESS"))
