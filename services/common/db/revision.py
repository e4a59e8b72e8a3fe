"""The revision of the database that this version needs: here, a program can compare it without loading SQLAlchemy."""

import sqlite3
from contextlib import closing
from pathlib import Path

HEAD = "0023"
"""The newest revision; every service compares the database with it when it starts, without Alembic."""


def is_current(database: Path) -> bool:
    """Return whether this SQLite database has that revision; False if there is none, or it cannot be read now."""
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=rw", timeout=0, uri=True)) as connection:
            found: tuple[str] | None = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error:
        return False
    return found == (HEAD,)
