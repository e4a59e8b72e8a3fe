"""INSERT … ON CONFLICT, which SQLAlchemy has for each database apart."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table, inspect
from sqlalchemy.dialects import sqlite
from sqlalchemy.orm import Session

from services.common.db.models import Base, table

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql


def insert_if_absent(session: Session, model: type[Base], values: Mapping[str, Any]) -> bool:
    """Insert a row unless it conflicts with one that exists; return whether it was inserted.

    A conflicting insert of another transaction is waited for.
    """
    insert = _insert(session, model).values(**values).on_conflict_do_nothing()
    return session.execute(insert.returning(*inspect(model).primary_key)).first() is not None


def insert_all_if_absent(session: Session, model: type[Base], rows: Sequence[Mapping[str, Any]]) -> set[Any]:
    """Insert rows except for those that conflict with others; return the primary keys of those inserted."""
    (key,) = inspect(model).primary_key
    statement = _insert(session, model).on_conflict_do_nothing().returning(key)
    return set(session.scalars(statement, list(rows))) if rows else set()


def insert_or_update(
    session: Session, model: type[Base], values: Mapping[str, Any], rows: Sequence[Mapping[str, Any]] = ()
) -> None:
    """Insert rows, or set these values in those with the same primary keys.

    Args:
        session: The transaction.
        model: Whose table.
        values: What all rows have; with the primary key if there is one row only.
        rows: What each row has besides: its primary key.
    """
    key = [column.name for column in inspect(model).primary_key]
    changed = {name: value for name, value in values.items() if name not in key}
    statement = _insert(session, table(model)).values(**values)
    session.execute(statement.on_conflict_do_update(index_elements=key, set_=changed), list(rows) or None)


def _insert(session: Session, model: type[Base] | Table) -> "sqlite.Insert | postgresql.Insert":
    if session.get_bind().dialect.name == "sqlite":
        return sqlite.insert(model)
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - loads each of its drivers' dialects

    return postgresql.insert(model)
