"""Schema 7: keys that were made on the page, kept only as hashes."""

from __future__ import annotations

import sqlite3

_STATEMENTS = (
    """
    CREATE TABLE api_keys (
      key_id       TEXT NOT NULL PRIMARY KEY CHECK (key_id GLOB 'key_[a-z0-9]*'),
      name         TEXT NOT NULL CHECK (name <> ''),
      sha256       TEXT NOT NULL UNIQUE CHECK (length(sha256) = 64 AND sha256 NOT GLOB '*[^0-9a-f]*'),
      prefix       TEXT NOT NULL CHECK (length(prefix) BETWEEN 1 AND 12),
      created_at   INTEGER NOT NULL,
      last_used_at INTEGER
    ) STRICT, WITHOUT ROWID
    """,
)


def upgrade(connection: sqlite3.Connection) -> None:
    """Add to schema 6. The caller holds the transaction."""
    for statement in _STATEMENTS:
        connection.execute(statement)
