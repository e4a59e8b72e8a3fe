"""Use cases with fakes of their ports, over a SQLite file that is copied for each test."""

import pytest

from tests.support.fakes import FakeBlobs, FakeBroker


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def broker() -> FakeBroker:
    return FakeBroker()


@pytest.fixture
def blobs() -> FakeBlobs:
    return FakeBlobs()
