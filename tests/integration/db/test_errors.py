"""What an error of the database says, which is logged."""

from uuid import uuid4

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from services.common.db.engine import Database
from services.common.db.models import Order


def test_an_error_shows_no_values(database: Database) -> None:
    with pytest.raises(IntegrityError) as caught, database.write() as session:
        session.execute(insert(Order).values(id=uuid4(), email="ann@example.org", locale="en", total=1))
    said, _, _details = str(caught.value).partition("DETAIL:")  # logs leave PostgreSQL's details out
    assert "orders" in said
    assert "ann@" not in said
