"""Schema 3: the dictionary of the project, which says how names and rare words are read."""

from __future__ import annotations

import sqlite3

_STATEMENTS = (
    """
    CREATE TABLE dictionary (
      term       TEXT NOT NULL PRIMARY KEY CHECK (term <> ''),
      reading    TEXT NOT NULL CHECK (reading <> ''),
      language   TEXT NOT NULL CHECK (language IN ('zh','en','ja')),
      created_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
)


def upgrade(connection: sqlite3.Connection) -> None:
    """Add to schema 2. The caller holds the transaction."""
    for statement in _STATEMENTS:
        connection.execute(statement)
