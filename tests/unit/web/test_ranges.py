import pytest

from services.web.orders.ranges import ByteRange, parse_range


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-499", ByteRange(0, 499)),
        ("bytes=500-", ByteRange(500, None)),
        ("bytes=-500", ByteRange(-500, None)),
        (" bytes = 5 - 6 ", ByteRange(5, 6)),
        (None, None),
        ("", None),
        ("bytes=-", None),
        ("bytes=-0", None),
        ("bytes=5-4", None),
        ("bytes=0-1,5-6", None),
        ("items=0-1", None),
        ("bytes=a-b", None),
        ("bytes=99999999999999999999-", None),
    ],
)
def test_one_range_or_everything(header: str | None, part: ByteRange | None) -> None:
    assert parse_range(header) == part
