"""What operators are shown: no address in full, and honest percentiles."""

from collections import Counter

import pytest

from services.gateway.operator.mail.masked_addresses import mask_addresses
from services.gateway.operator.queues.statistics import percentiles


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("550 5.1.1 <ann@example.org>: no such user", "550 5.1.1 <a***@example.org>: no such user"),
        ("550 ann.lee+x@mail.example.org, bob@b.example", "550 a***@mail.example.org, b***@b.example"),
        ("452 (анна@пример.рф) later", "452 (а***@пример.рф) later"),
        ("421 try later", "421 try later"),
        (None, ""),
    ],
)
def test_addresses_are_hidden(text: str | None, shown: str) -> None:
    assert mask_addresses(text) == shown


def test_percentiles_are_values_that_there_were() -> None:
    values = list(range(100, 0, -1))
    assert list(percentiles(Counter(values), (50, 95, 100))) == [50, 95, 100]
    assert list(percentiles(Counter([7]), (50, 95))) == [7, 7]
