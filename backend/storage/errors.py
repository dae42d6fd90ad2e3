"""What can go wrong in the store, in the words of the product's error tree.

    ProductError
    └── StoreError               the database or the disk refused; SQLite's own error is the cause
        ├── StoreBusy            another program holds the database; try again soon (not_ready)
        └── StoreUnusable        start-up cannot go on: old SQLite, newer database, second instance

`sqlite3` exceptions never leave this package.
"""

from __future__ import annotations

import errno
import sqlite3

from backend.models.codes import ErrorCode
from backend.models.errors import ProductError


class StoreError(ProductError):
    """The database or the disk refused to do what was asked."""


class StoreBusy(StoreError):
    """Another program holds the database for longer than we are willing to wait."""

    temporary = True


class StoreUnusable(StoreError):
    """The store cannot be opened; `detail` says why and `hint` what to do. Meant for start-up."""


# Python 3.10's sqlite3 gives no error codes, so SQLite's fixed English messages are the evidence
# (sqlite3ErrStr in main.c).
_BUSY_TEXTS = ("database is locked", "database table is locked", "locking protocol")
_FULL_TEXT = "database or disk is full"


def disk_full() -> StoreError:
    """The sentence for a full disk, whoever met it first."""
    return StoreError(
        ErrorCode.DISK_FULL,
        "The disk that holds the data folder is full.",
        hint="Free some space or delete old jobs, then resume the queue.",
    )


def translate_sqlite(error: sqlite3.Error) -> StoreError:
    """The store's error for one of SQLite's."""
    text = str(error).lower()
    if any(busy in text for busy in _BUSY_TEXTS):
        return StoreBusy(
            ErrorCode.NOT_READY,
            "The database is held by another program at the moment.",
            hint="Close programs that have data/sqlite.db open and try again in a few seconds.",
        )
    if _FULL_TEXT in text:
        return disk_full()
    if isinstance(error, sqlite3.IntegrityError):
        return StoreError(
            ErrorCode.INTERNAL_ERROR, "The database refused a change that would break its rules."
        )
    return StoreError(ErrorCode.INTERNAL_ERROR, "The database could not do what was asked.")


def translate_os(error: OSError) -> StoreError:
    """The store's error for a failed file operation."""
    # EDQUOT does not exist on Windows.
    if error.errno in {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}:
        return disk_full()
    return StoreError(
        ErrorCode.INTERNAL_ERROR,
        "A file in the data folder could not be written or read.",
        hint="Check that the data folder is writable and that no other program holds its files.",
    )
