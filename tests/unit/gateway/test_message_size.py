"""Fields and regions of encoded messages are counted before the messages are parsed."""

import asyncio
import tracemalloc

import pytest
from google.protobuf.message import DecodeError
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import order_pb2

from services.common.domain.errors import MessageTooLarge
from services.common.infra.fair_executor import FairExecutor
from services.gateway.rpc.messages import message_parser
from services.gateway.rpc.messages.message_parser import MessageParser
from services.gateway.rpc.messages.message_size import CountLimits, check_counts

REGION = order_pb2.Region(box=order_pb2.Rect(left=0.1, top=0.1, width=0.2, height=0.2))
LIMITS = CountLimits(regions=100, fields=2_000)
ORDER = pb.BlurOrderRequest.DESCRIPTOR


def order(*regions: int, excluded: int = 0) -> bytes:
    spec = order_pb2.BlurSpec(exclude_regions=[REGION] * excluded)
    images = [pb.InputImage(data=b"x" * 500, spec=order_pb2.BlurSpec(regions=[REGION] * n)) for n in regions]
    return pb.BlurOrderRequest(order=pb.OrderHeader(spec=spec), images=images).SerializeToString()


def test_regions_of_all_images_count_together() -> None:
    check_counts(order(50, 20, excluded=30), ORDER, LIMITS)
    with pytest.raises(MessageTooLarge, match="more than 100 regions: use StreamBlurOrder"):
        check_counts(order(50, 21, excluded=30), ORDER, LIMITS)


@pytest.mark.parametrize(
    "data",
    [
        b"\x12\0" * 4_000_000,  # empty images
        b"\x18\x01" * 4_000_000,  # unknown numbers
        b"\x12\x02\x1a\0" * 2_000_000,  # images, each with an empty spec
    ],
)
def test_millions_of_fields_are_refused_without_memory_for_them(data: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(MessageTooLarge):
            check_counts(data, ORDER, LIMITS)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "data",
    [b"\x12", b"\x12\xff", b"\xff" * 20, b"\x0b", b"\0" * 10_000, b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"],
)
def test_malformed_messages_are_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        check_counts(data, ORDER, LIMITS)


def test_every_field_type_is_passed_over() -> None:
    # A varint of two bytes, 64 bits, 32 bits, bytes; then a region that counts.
    known = order(1)
    unknown = b"\xa0\x06\x80\x01" + b"\xa1\x06" + bytes(8) + b"\xa5\x06" + bytes(4) + b"\xa2\x06\x03abc"
    with pytest.raises(MessageTooLarge):
        check_counts(unknown + known, ORDER, CountLimits(regions=0, fields=2_000))


class NeverParsed:
    DESCRIPTOR = ORDER

    @classmethod
    def FromString(cls, _message: bytes) -> None:  # noqa: N802 - as protobuf names it
        pytest.fail("it was parsed")


@pytest.mark.parametrize("regions", [2_001, 20_000])
def test_a_message_of_too_many_regions_is_not_parsed(regions: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message_parser, "rate_limit_key", lambda: "caller")
    thread = FairExecutor("parsing")
    parser = MessageParser(thread, max_images=10, max_regions=2_000)
    with pytest.raises(MessageTooLarge, match="more than 2000 regions"):
        asyncio.run(parser.parse(order(regions), NeverParsed.FromString))
    thread.close()
