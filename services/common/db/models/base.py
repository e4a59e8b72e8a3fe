"""The base of the tables, and what their definitions and statements share."""

from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ColumnElement, Index, MetaData, Table, Uuid, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.schema import CreateIndex
from sqlalchemy.sql.compiler import DDLCompiler


class Base(DeclarativeBase):
    """Base of all tables."""

    metadata = MetaData(
        naming_convention={
            "ix": "%(table_name)s_%(column_0_N_name)s",
            "uq": "%(table_name)s_%(column_0_N_name)s_key",
            "ck": "%(table_name)s_%(constraint_name)s_check",
            "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
            "pk": "%(table_name)s_pkey",
        }
    )
    type_annotation_map = {int: BigInteger(), UUID: Uuid()}  # noqa: RUF012 - SQLAlchemy reads it as it is


def table(model: type[Base]) -> Table:
    """Return the table of a model, for statements that are built once: what runs for every image should cost little.

    A statement over a model is compiled, and its result mapped, each time: three milliseconds in an idle worker, where
    one over a table takes one.
    """
    assert isinstance(model.__table__, Table)
    return model.__table__


def sql_literal(state: StrEnum) -> ColumnElement[str]:
    """Return a state as part of a statement's text instead of a parameter, for what runs for every image.

    SQLite prepares a statement anew, each time, where a partial index may depend on a value that is bound.
    """
    return literal_column(f"'{state.value}'")


def one_of(column: str, states: type[StrEnum]) -> CheckConstraint:
    """Return the constraint that a column has one of these states."""
    listed = ", ".join(f"'{state}'" for state in states)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def partial_index(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """Return an index of the rows for which `where` is true."""
    # Not by arguments of the two dialects, for which each process would load both.
    return Index(name, *columns, unique=unique, info={"where": where})


@compiles(CreateIndex)
def _create_index(create: CreateIndex, compiler: DDLCompiler, **_: Any) -> str:
    statement: str = compiler.visit_create_index(create)  # type: ignore[no-untyped-call]
    where = create.element.info.get("where")
    return f"{statement} WHERE {where}" if where else statement
