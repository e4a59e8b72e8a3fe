"""Sample values of all e-mails, to preview their texts and to check them."""

from datetime import UTC, datetime

from services.common.domain.errors import Reason
from services.mailer.content.email_content import (
    ConfirmSubscription,
    Content,
    FailedImage,
    Goodbye,
    MailCheck,
    OrderReady,
    OrderUnconfirmed,
    Searched,
)

_ORDER = "3f2b8a52-5f4e-4d4b-9f63-8f7d2f1c9a10"
_SITE = "https://blur.example.org"
_TOKEN = "sample-token"  # noqa: S105 - a sample
_EXPIRES = datetime(2026, 12, 1, 9, 5, tzinfo=UTC)
_ORDERED = datetime(2026, 11, 24, 9, 5, tzinfo=UTC)


def sample_contents(email: str) -> list[Content]:
    """Return contents of an e-mail, the one to show first: with and without links, with all and no results.

    None of the newsletter, whose values are those of the service.
    """
    match email:
        case "order_ready":
            return [
                _order_ready(succeeded=38, parts=1, linked=True),
                _order_ready(succeeded=40, parts=3, linked=False),
                _order_ready(succeeded=0, parts=0, linked=True),
            ]
        case "order_unconfirmed":
            return [_unconfirmed(linked=True), _unconfirmed(linked=False)]
        case "confirm_subscription":
            return [
                ConfirmSubscription(token=_TOKEN, url=f"{_SITE}/confirm?token={_TOKEN}"),
                ConfirmSubscription(token=_TOKEN, url=None),
            ]
        case "goodbye":
            return [Goodbye(home_url=_SITE), Goodbye(home_url=None)]
        case "mail_check":
            return [MailCheck()]
        case _:
            return []


def _order_ready(*, succeeded: int, parts: int, linked: bool) -> OrderReady:
    failed = 40 - succeeded
    failure = FailedImage(position=3, reason=Reason.CORRUPT, message="the file is damaged or incomplete")
    return OrderReady(
        order_id=_ORDER,
        total=40,
        succeeded=succeeded,
        failures=[failure] if failed else [],
        unlisted_failures=max(0, failed - 1),
        ordered_at=_ORDERED,
        expires_at=_EXPIRES,
        part=min(1, parts),
        parts=parts,
        first_position=1,
        last_position=20,
        searched=Searched(images=40, empty=7, hidden=61, remaining=[5]) if linked else None,
        order_url=f"{_SITE}/orders/{_ORDER}" if linked else None,
        archive_url=f"{_SITE}/archive?token={_TOKEN}" if linked else None,
    )


def _unconfirmed(*, linked: bool) -> OrderUnconfirmed:
    return OrderUnconfirmed(
        order_id=_ORDER,
        total=40,
        succeeded=38,
        ordered_at=_ORDERED,
        expires_at=_EXPIRES,
        token=_TOKEN,
        url=f"{_SITE}/receive?token={_TOKEN}" if linked else None,
        order_url=f"{_SITE}/orders/{_ORDER}" if linked else None,
    )
