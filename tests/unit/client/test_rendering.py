import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from imageblur.v1.blur_service_pb2 import FindModel, GetLimitsResponse
from imageblur.v1.order_pb2 import (
    Check,
    CheckState,
    Counts,
    Delivery,
    DeliveryState,
    Failure,
    Finding,
    FindingKind,
    Image,
    ImageState,
    Order,
    OrderState,
)
from imageblur_client.cli.follow import outcome
from imageblur_client.cli.render import (
    as_dict,
    counts,
    delivery_line,
    findings,
    image_lines,
    json_line,
    limits_lines,
    order_lines,
)
from imageblur_client.cli.text import count, local_time, plain, seconds, size


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_960, "1.0 MB"),
        (4_200_000, "4.2 MB"),
        (5 * 10**15, "5000.0 TB"),
    ],
)
def test_sizes(octets: int, text: str) -> None:
    assert size(octets) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0.25, "0.2 s"),
        (2.0, "2 s"),
        (75, "75 s"),
        (600, "10 min"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (604_800, "7 days"),
    ],
)
def test_times(amount: float, text: str) -> None:
    assert seconds(amount) == text


def test_counts_of_things() -> None:
    assert [count(n, "image") for n in (0, 1, 5000)] == ["0 images", "1 image", "5,000 images"]


def test_nothing_reaches_the_terminal_that_could_steer_it() -> None:
    assert plain("a\x1b[2J\r\nb\x9b\u202e\ud800") == "a\ufffd[2J\ufffd\ufffdb\ufffd\ufffd\ufffd"
    assert plain("\u043f\u0451\u0441 1.png") == "\u043f\u0451\u0441 1.png"
    image = Image(position=1, filename="\x1b]0;x\x07", state=ImageState.IMAGE_STATE_QUEUED)
    assert next(image_lines([image])) == "     1  queued     \ufffd]0;x\ufffd"
    assert json_line(image=as_dict(image)).isprintable()


def test_moments_name_their_time_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        assert local_time(Timestamp(seconds=1_795_438_800)) == "2026-11-23 14:00 CET"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_image_counts() -> None:
    assert counts(Counts(total=1, queued=1)) == "1: 0 blurred, 1 to do"
    of = Counts(total=9, succeeded=3, failed=2, cancelled=1, running=1, queued=2)
    assert counts(of) == "9: 3 blurred, 2 failed, 1 cancelled, 3 to do"


def test_an_order_shows_its_times_and_mail() -> None:
    order = Order(order_id="o", state=OrderState.ORDER_STATE_PARTIALLY_FAILED, email_hint="a***@b.org")
    order.expire_time.FromSeconds(1_795_438_800)
    order.deliveries.add(state=DeliveryState.DELIVERY_STATE_SENT, emails=2)

    lines = list(order_lines(order))

    assert lines[0] == "Order o: partially failed"
    assert lines[2].startswith("  kept     until 2026-11-23 ")
    assert lines[3] == "  mail     sent to a***@b.org in 2 e-mails"


def test_a_failed_delivery_says_why() -> None:
    refused = Delivery(state=DeliveryState.DELIVERY_STATE_FAILED, failure=Failure(message="550 no such user"))
    assert delivery_line(refused, to="a***@b.org") == "failed to a***@b.org: 550 no such user"


def test_states_of_a_newer_server_do_no_harm() -> None:
    order = Order.FromString(Order(order_id="o").SerializeToString() + b"\x10\x63")
    order.deliveries.append(Delivery.FromString(b"\x10\x63"))

    assert next(order_lines(order)) == "Order o: 99"
    assert list(order_lines(order))[-1] == "  mail     99"
    assert next(image_lines([Image.FromString(b"\x20\x63")])).split() == ["0", "99"]


@pytest.mark.parametrize(
    ("state", "mails", "code"),
    [
        (OrderState.ORDER_STATE_SUCCEEDED, [], 0),
        (OrderState.ORDER_STATE_SUCCEEDED, [DeliveryState.DELIVERY_STATE_SENT], 0),
        (OrderState.ORDER_STATE_SUCCEEDED, [DeliveryState.DELIVERY_STATE_FAILED], 1),
        (OrderState.ORDER_STATE_SUCCEEDED, [DeliveryState.DELIVERY_STATE_SENT, DeliveryState.DELIVERY_STATE_FAILED], 0),
        (OrderState.ORDER_STATE_PARTIALLY_FAILED, [], 1),
        (OrderState.ORDER_STATE_FAILED, [], 1),
        (OrderState.ORDER_STATE_CANCELLED, [], 1),
        (OrderState.ORDER_STATE_EXPIRED, [], 1),
    ],
)
def test_exit_codes_of_orders(state: OrderState.ValueType, mails: list[DeliveryState.ValueType], code: int) -> None:
    order = Order(state=state, deliveries=[Delivery(state=mail) for mail in mails])

    assert outcome(order) == code


@pytest.mark.parametrize(
    ("image", "text"),
    [
        (Image(), ""),
        (Image(check=Check(state=CheckState.CHECK_STATE_NOT_CHECKED)), ""),
        (Image(check=Check(state=CheckState.CHECK_STATE_CLEAN)), "  nothing found, clean"),
        (
            Image(
                findings=[Finding(applied=True), Finding()],
                check=Check(state=CheckState.CHECK_STATE_CLEAN, strengthened=True),
            ),
            "  2 found, 1 hidden, clean (made stronger)",
        ),
        (
            Image(
                findings=[Finding(applied=True)],
                check=Check(state=CheckState.CHECK_STATE_REMAINING, remaining=[Finding()]),
            ),
            "  1 found, 1 hidden, 1 STILL FOUND in the result: look at it",
        ),
        (
            Image(findings=[Finding(applied=True)], check=Check(state=CheckState.CHECK_STATE_NOT_CHECKED)),
            "  1 found, 1 hidden, not checked",
        ),
    ],
)
def test_what_was_found_in_an_image(image: Image, text: str) -> None:
    assert findings(image) == text


def test_limits_name_what_can_be_found_as_the_option_does() -> None:
    kinds = ("FACE", "TEXT", "CODE", "CUSTOM")
    models = [FindModel(kind=FindingKind.Value(f"FINDING_KIND_{kind}"), name="x\x1b") for kind in kinds]
    assert "finds    faces, text, codes, custom:x\ufffd" in list(limits_lines(GetLimitsResponse(find_models=models)))
    assert not any("finds" in line for line in limits_lines(GetLimitsResponse()))
