"""How much work statements are for SQLite."""

import sqlite3

from sqlalchemy import event

from services.common.db.engine import Database

STEP = 100


class SQLiteWork:
    """Counts what SQLite executes for a database from now on, in hundreds of instructions of its virtual machine."""

    def __init__(self, database: Database) -> None:
        self.hundreds = 0
        database.engine.dispose()
        event.listen(database.engine, "connect", self._count)

    def _count(self, connection: sqlite3.Connection, _record: object) -> None:
        connection.set_progress_handler(self._another, STEP)

    def _another(self) -> None:
        self.hundreds += 1
