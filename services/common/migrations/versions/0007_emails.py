"""Tables take the names of the glossary: `letters` become `emails`, `errands` become `operator_jobs`.

On PostgreSQL the former names stay as views for services of the version before, which run beside their successors
during an upgrade; the next revision drops them. On SQLite nothing runs during an upgrade.

Revision: 0007. Revises: 0006.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

RENAMED = {"letters": "emails", "errands": "operator_jobs"}


def upgrade() -> None:
    """Go to this revision."""
    for former, name in RENAMED.items():
        _rename(former, name)
        if op.get_bind().dialect.name == "postgresql":
            op.execute(f"CREATE VIEW {former} AS SELECT * FROM {name}")  # noqa: S608 - names from above


def _rename(former: str, name: str) -> None:
    """Rename a table with its constraints and indexes."""
    bind = op.get_bind()
    if bind.dialect.name == "postgresql":
        op.rename_table(former, name)
        constraints = sa.text("SELECT conname FROM pg_constraint WHERE conrelid = CAST(:name AS regclass)")
        for constraint in bind.scalars(constraints, {"name": name}).all():
            op.execute(f"ALTER TABLE {name} RENAME CONSTRAINT {constraint} TO {_renamed(constraint, former, name)}")
        indexes = sa.text("SELECT indexname FROM pg_indexes WHERE tablename = :name AND indexname LIKE :former || '%'")
        for index in bind.scalars(indexes, {"name": name, "former": former}).all():
            op.execute(f"ALTER INDEX {index} RENAME TO {_renamed(index, former, name)}")
        return
    # SQLite renames neither indexes nor constraints: copy the table.
    statements = sa.text(
        "SELECT type, sql FROM sqlite_master WHERE tbl_name = :former AND sql <> '' ORDER BY type DESC"
    )
    parts = bind.execute(statements, {"former": former}).all()
    for kind, sql in parts:
        if kind == "table":
            op.execute(sql.replace(former, name))
            op.execute(f"INSERT INTO {name} SELECT * FROM {former}")  # noqa: S608 - names from above
            op.drop_table(former)
        else:
            op.execute(sql.replace(former, name))


def _renamed(identifier: str, former: str, name: str) -> str:
    return name + identifier.removeprefix(former)
