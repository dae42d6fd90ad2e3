"""Schema 5: how long videos took on this machine, so that an estimate can say what was measured.

A row is one video stage that succeeded. `model` and `gpu` are empty where there is none; `resolution` is what was
asked for, so that a machine which always has to go down to a smaller one learns what a request costs here.
"""

from __future__ import annotations

import sqlite3

_STATEMENTS = (
    """
    CREATE TABLE run_times (
      run_id        INTEGER PRIMARY KEY,
      engine        TEXT NOT NULL CHECK (engine <> ''),
      model         TEXT NOT NULL,
      resolution    TEXT NOT NULL CHECK (resolution <> ''),
      gpu           TEXT NOT NULL,
      speech_ms     INTEGER NOT NULL CHECK (speech_ms > 0),
      wall_ms       INTEGER NOT NULL CHECK (wall_ms > 0),
      peak_vram_mib INTEGER CHECK (peak_vram_mib > 0),
      at            INTEGER NOT NULL
    ) STRICT
    """,
    "CREATE INDEX run_times_key ON run_times(engine, model, resolution, gpu, at, run_id)",
)


def upgrade(connection: sqlite3.Connection) -> None:
    """Add to schema 4. The caller holds the transaction."""
    for statement in _STATEMENTS:
        connection.execute(statement)
