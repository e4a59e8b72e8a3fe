"""Domains go where the gateway understood them to be."""

import pytest
from email_validator import validate_email

from services.mailer.mime.addresses import parse_recipient


@pytest.mark.parametrize("domain", ["straße.de", "пример.рф", "βόλος.com", "example.org", "BÜCHER.example.com"])
def test_a_domain_is_mailed_to_as_it_was_accepted(domain: str) -> None:
    accepted = validate_email(f"a@{domain}", check_deliverability=False)
    assert parse_recipient(accepted.normalized).address.domain == accepted.ascii_domain
