"""How long images, e-mails and mailings wait for another attempt."""

import pytest

from services.common.domain.retries import (
    EMAIL_RETRIES,
    IMAGE_RETRIES,
    MAILING_RETRIES,
    MAX_EMAIL_ATTEMPTS,
    RetryPolicy,
)


@pytest.mark.parametrize(
    ("policy", "delays", "longest"),
    [(IMAGE_RETRIES, [1, 2, 4], 60), (EMAIL_RETRIES, [1, 2, 4, 8, 16, 32], 1800), (MAILING_RETRIES, [2, 4, 8], 300)],
)
def test_delays_double_up_to_the_longest(policy: RetryPolicy, delays: list[float], longest: float) -> None:
    assert [policy.delay(failures) for failures in range(1, len(delays) + 1)] == delays
    assert policy.delay(12) == policy.delay(1_000_000) == longest


def test_an_email_is_tried_for_hours() -> None:
    assert 4 * 3600 < sum(EMAIL_RETRIES.delay(failures) for failures in range(1, MAX_EMAIL_ATTEMPTS)) < 24 * 3600
