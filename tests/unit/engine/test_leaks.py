"""What is hidden does not show, whatever the image, its regions and their effects; `make fuzz` runs many more cases."""

import pytest

from tests.unit.engine.leaks import PROPERTIES, check


@pytest.mark.parametrize("name", PROPERTIES)
def test_nothing_hidden_shows(name: str) -> None:
    check(name, examples=60)
