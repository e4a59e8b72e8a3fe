"""What an error of the database says, which is logged."""

import contextlib
from uuid import uuid4

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from services.common.db.engine import Database
from services.common.db.models import Order
from services.common.domain.errors import Unavailable
from tests.support.descriptors import descriptors


def test_an_error_shows_no_values(database: Database) -> None:
    with pytest.raises(IntegrityError) as caught, database.write() as session:
        session.execute(insert(Order).values(id=uuid4(), email="ann@example.org", locale="en", total=1))
    said, _, _details = str(caught.value).partition("DETAIL:")  # logs leave PostgreSQL's details out
    assert "orders" in said
    assert "ann@" not in said


def test_without_descriptors_the_database_is_unavailable(database: Database) -> None:
    """A connection to PostgreSQL needs one for its socket, and one to wait for it."""
    outcomes = []
    for left in range(4):
        with contextlib.closing(Database(database.engine.url.render_as_string(hide_password=False))) as other:
            with descriptors(left):
                try:
                    other.ping()
                    outcomes.append("answered")
                except Unavailable:
                    outcomes.append("unavailable")
            other.ping()
    assert (outcomes[0], outcomes[-1]) == ("unavailable", "answered"), outcomes
