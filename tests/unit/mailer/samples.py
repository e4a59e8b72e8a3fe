"""Sample e-mails."""

from datetime import UTC, datetime

from services.common.domain.errors import Reason
from services.mailer.content.email_content import (
    ConfirmSubscription,
    FailedImage,
    Goodbye,
    Newsletter,
    OrderReady,
    OrderUnconfirmed,
)
from services.mailer.content.newsletter_markup import parse, split_subject

ORDER_ID = "3f2b8a52-5f4e-4d4b-9f63-8f7d2f1c9a10"
URL = "https://blur.example.org/unsubscribe?token=" + "aB-_9." * 20


def order_ready(**changes: object) -> OrderReady:
    values: dict[str, object] = {
        "order_id": ORDER_ID,
        "total": 3,
        "succeeded": 2,
        "ordered_at": datetime(2026, 11, 24, 9, 5, tzinfo=UTC),
        "failures": [FailedImage(position=3, reason=Reason.CORRUPT, message="The PNG file is damaged or incomplete")],
        "unlisted_failures": 0,
        "expires_at": datetime(2026, 12, 1, 9, 5, tzinfo=UTC),
        "part": 1,
        "parts": 1,
        "first_position": 1,
        "last_position": 2,
    }
    return OrderReady(**(values | changes))  # type: ignore[arg-type]


def unconfirmed(url: str | None = None, **changes: object) -> OrderUnconfirmed:
    values: dict[str, object] = {
        "order_id": ORDER_ID,
        "total": 3,
        "succeeded": 2,
        "ordered_at": datetime(2026, 11, 24, 9, 5, tzinfo=UTC),
        "expires_at": datetime(2026, 12, 1, 9, 5, tzinfo=UTC),
        "token": "T.o-k_en",
        "url": url,
    }
    return OrderUnconfirmed(**(values | changes))  # type: ignore[arg-type]


def confirm(url: str | None = None) -> ConfirmSubscription:
    return ConfirmSubscription(token="T.o-k_en", url=url)


def newsletter(
    url: str | None = None, *, orders: int = 12, images: int = 1340, failed: int = 1, text: str = "", **more: str | None
) -> Newsletter:
    title, body = split_subject(text)
    values: dict[str, object] = {"token": "T.o-k_en", **more}
    return Newsletter(
        orders=orders,
        images=images,
        failed=failed,
        begin=datetime(2026, 11, 16, 9, tzinfo=UTC),
        end=datetime(2026, 11, 23, 9, tzinfo=UTC),
        url=url,
        title=title,
        text=tuple(parse(body, {"orders": str(orders)})),
        **values,  # type: ignore[arg-type]
    )


def goodbye(home_url: str | None = None) -> Goodbye:
    return Goodbye(home_url=home_url)
