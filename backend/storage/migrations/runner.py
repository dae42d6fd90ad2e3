"""Brings a database file to the newest schema, once, before anything else opens it.

Runs in the service process at start-up, synchronously (call it from a thread). Each migration and its
new `user_version` commit together in one BEGIN IMMEDIATE; an existing database is backed up first.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from backend.models.codes import ErrorCode
from backend.storage.errors import StoreUnusable

Migration = Callable[[sqlite3.Connection], None]

# "AIO1": tells our database from another program's before we touch it.
APPLICATION_ID = 0x41494F31
# Enough to go back over a few bad updates; older ones only take disk.
KEEP_BACKUPS = 5
_BUSY_TIMEOUT_MS = 5_000


def migrate(path: Path, migrations: Sequence[Migration], *, backups_dir: Path) -> Path | None:
    """Create or upgrade the database at `path`; returns the backup made, if one was needed.

    Raises `StoreUnusable` for a newer database, a foreign file or a failed migration (which leaves
    the database as it was).
    """
    try:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
            # As the service will open it: a schema that needs trust must fail here.
            connection.execute("PRAGMA trusted_schema=OFF")
            version = _checked_version(connection, newest=len(migrations))
            if version == len(migrations):
                return None
            backup = _back_up(connection, version, backups_dir) if version else None
            if version == 0:
                # Both must come before the first page is written, in this order.
                connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
                connection.execute("PRAGMA journal_mode=WAL")
            for number, upgrade in enumerate(migrations[version:], start=version + 1):
                _apply(connection, number, upgrade)
            return backup
    except sqlite3.Error as error:
        raise StoreUnusable(
            ErrorCode.INTERNAL_ERROR,
            f"The database {path.name} cannot be opened or upgraded: {error}.",
            hint="Restore the newest file from data/backups, or move the database away to start empty.",
        ) from error


def _checked_version(connection: sqlite3.Connection, *, newest: int) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    application = int(connection.execute("PRAGMA application_id").fetchone()[0])
    has_tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] > 0
    if application != APPLICATION_ID and (version or has_tables):
        raise StoreUnusable(
            ErrorCode.INTERNAL_ERROR,
            "The file data/sqlite.db belongs to another program.",
            hint="Move it away; a new database is made at the next start.",
        )
    if version > newest:
        raise StoreUnusable(
            ErrorCode.INTERNAL_ERROR,
            f"The database was made by a newer version of this program (schema {version}, known {newest}).",
            hint="Update the program, or restore an older database from data/backups.",
        )
    return version


def _apply(connection: sqlite3.Connection, number: int, upgrade: Migration) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        upgrade(connection)
        broken = connection.execute("PRAGMA foreign_key_check").fetchall()
        if broken:
            raise sqlite3.IntegrityError(f"migration {number} leaves {len(broken)} dangling references")
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={number}")
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise


def _back_up(connection: sqlite3.Connection, version: int, backups_dir: Path) -> Path:
    """A consistent copy by SQLite's backup API (sqlite.org/backup.html), also while a log exists."""
    backups_dir.mkdir(parents=True, exist_ok=True)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    target = backups_dir / f"sqlite-schema{version:04d}-{stamp}.db"
    partial = target.with_suffix(".part")
    partial.unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(partial)) as copy:
        connection.backup(copy)
        # A copy in WAL mode would need its log beside it to be restored.
        copy.execute("PRAGMA journal_mode=DELETE")
    partial.replace(target)
    for old in sorted(backups_dir.glob("sqlite-schema*.db"), key=lambda item: item.stat().st_mtime)[
        :-KEEP_BACKUPS
    ]:
        old.unlink(missing_ok=True)
    return target
