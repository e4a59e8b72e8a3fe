"""How many rows a statement changed."""

from typing import Any, cast

from sqlalchemy import CursorResult, Result


def rows_changed(result: Result[Any]) -> int:
    """Return the number of rows that an INSERT, UPDATE or DELETE changed."""
    return cast("CursorResult[Any]", result).rowcount  # what a session returns for these statements


def changed_one(result: Result[Any]) -> bool:
    """Return whether a statement about one row found it."""
    return rows_changed(result) == 1
