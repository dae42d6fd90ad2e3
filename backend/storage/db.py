"""The one door to SQLite: one writer connection, two read-only readers, transactions that cannot be torn.

Beside them one connection that only asks whether anything was committed: `version`.

Runs in the service process, on its event loop; SQL runs on aiosqlite's threads. A transaction is one
coroutine in a task of its own: aiosqlite does not stop its thread when the awaiting coroutine is
cancelled, so a transaction spread over the caller's awaits could be left open. Here the caller may
vanish at any await and the transaction still commits or rolls back as a whole.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite

from backend.models.codes import ErrorCode
from backend.models.records import NewEvent
from backend.storage.errors import StoreBusy, StoreError, StoreUnusable, translate_sqlite

T = TypeVar("T")
Params = Mapping[str, Any] | Sequence[Any]
EventHook = Callable[[tuple[NewEvent, ...]], None]

# STRICT tables arrived in 3.37 (sqlite.org/stricttables.html); RETURNING in 3.35.
MIN_SQLITE_VERSION = (3, 37, 0)
# How long SQLite itself waits for a foreign lock (a backup program, a shell) before giving up.
BUSY_TIMEOUT_MS = 5_000
# How long a transaction waits for the ones before it: two busy timeouts, then the caller is told.
WRITE_WAIT_S = 10.0
# Two readers keep a slow list from holding up a status poll; more would only share two cores.
READERS = 2

_COMMON_PRAGMAS = (
    f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}",
    "PRAGMA foreign_keys=ON",
    "PRAGMA trusted_schema=OFF",
)
# WAL + NORMAL may lose the last commits on power loss; at minutes per job FULL costs nothing.
_WRITER_PRAGMAS = (*_COMMON_PRAGMAS, "PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL")
_READER_PRAGMAS = (*_COMMON_PRAGMAS, "PRAGMA query_only=ON")
# A number that differs after a commit of anybody else (sqlite.org/pragma.html#pragma_data_version). It comes from
# the log's shared memory: no file is read, so the event loop itself may ask.
_VERSION = "PRAGMA data_version"

logger = logging.getLogger(__name__)


def check_sqlite_version(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> None:
    """Raise `StoreUnusable` when Python is linked with a SQLite that is too old."""
    if version < MIN_SQLITE_VERSION:
        found = ".".join(map(str, version))
        needed = ".".join(map(str, MIN_SQLITE_VERSION))
        raise StoreUnusable(
            ErrorCode.INTERNAL_ERROR,
            f"This Python is linked with SQLite {found}, but {needed} or newer is needed.",
            hint="Use Python from python.org or a newer system; delete .venv and start again.",
        )


class Transaction:
    """What a transaction body may do. Every call is one hop to the writer's thread."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self.events: list[NewEvent] = []

    async def all(self, sql: str, params: Params = ()) -> list[sqlite3.Row]:
        """Run one statement and return all its rows (also those of RETURNING)."""
        return list(await self._connection.execute_fetchall(sql, params))

    async def one(self, sql: str, params: Params = ()) -> sqlite3.Row | None:
        """Run one statement and return its first row."""
        rows = await self.all(sql, params)
        return rows[0] if rows else None

    async def run(self, sql: str, params: Params = ()) -> None:
        """Run one statement whose rows do not matter."""
        await self.all(sql, params)


class Database:
    """An open database. `open()` and `close()` are idempotent; migrations have run before.

    `on_events` is called on the event loop after each commit that wrote event rows.
    """

    def __init__(self, path: Path, *, on_events: EventHook | None = None) -> None:
        self._path = path
        self._on_events = on_events
        self._writer: aiosqlite.Connection | None = None
        self._readers: list[aiosqlite.Connection] = []
        self._reads_in_flight: list[int] = []
        self._watch: sqlite3.Connection | None = None
        self._write_lock: asyncio.Lock | None = None
        self._transactions: set[asyncio.Task[Any]] = set()

    async def open(self) -> None:
        """Connect. Raises `StoreUnusable` with a sentence for a person."""
        if self._writer is not None:
            return
        check_sqlite_version()
        # Made here, not in the constructor: on Python 3.9 and older a lock binds its loop at once,
        # and the same object may be opened again by another loop.
        self._write_lock = asyncio.Lock()
        try:
            self._writer = await self._connect(f"{self._path.absolute().as_uri()}?mode=rw", _WRITER_PRAGMAS)
            (mode,) = next(iter(await self._writer.execute_fetchall("PRAGMA journal_mode")))
            if mode != "wal":
                raise StoreUnusable(
                    ErrorCode.INTERNAL_ERROR,
                    "The disk of the data folder does not support the database's write-ahead log.",
                    hint="Move the data folder to a local disk; network shares do not work.",
                )
            for _ in range(READERS):
                reader = await self._connect(f"{self._path.absolute().as_uri()}?mode=ro", _READER_PRAGMAS)
                self._readers.append(reader)
            self._reads_in_flight = [0] * READERS
            self._watch = await asyncio.to_thread(_watch_over, self._path)
        except sqlite3.Error as error:
            await self.close()
            raise StoreUnusable(
                ErrorCode.INTERNAL_ERROR,
                f"The database {self._path.name} cannot be opened: {error}.",
                hint="Restore the newest file from data/backups, or move the database away to start empty.",
            ) from error
        except BaseException:
            await self.close()
            raise

    async def _connect(self, uri: str, pragmas: Sequence[str]) -> aiosqlite.Connection:
        connection = await aiosqlite.connect(uri, uri=True, isolation_level=None)
        try:
            connection.row_factory = sqlite3.Row
            for pragma in pragmas:
                await connection.execute_fetchall(pragma)
        except BaseException:
            await connection.close()
            raise
        return connection

    async def close(self) -> None:
        """Wait for transactions that are under way, then close all connections."""
        while self._transactions:
            await asyncio.wait(set(self._transactions))
        writer, self._writer = self._writer, None
        readers, self._readers = self._readers, []
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.close()
        for connection in (*readers, *([writer] if writer else [])):
            # The last connection to close checkpoints the log.
            await connection.close()

    def version(self) -> int | None:
        """A number that stays the same as long as nothing is committed; None when it cannot be told right now.

        Take it before a read: what was read then holds while the number does. Some microseconds, no file access.
        """
        if self._watch is None:
            return None
        try:
            (version,) = self._watch.execute(_VERSION).fetchone()
        except sqlite3.OperationalError:  # a lock of another program; a plain read waits for it
            return None
        return int(version)

    async def write(self, body: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run `body` in one BEGIN IMMEDIATE transaction; awaits nothing but SQL inside.

        Any exception rolls back. When the caller is cancelled the transaction goes on to its end, so
        a caller that must know the outcome asks the database. Raises `StoreBusy`, `StoreError`.
        """
        task = asyncio.get_running_loop().create_task(self._transact(body), name="store-transaction")
        self._transactions.add(task)
        task.add_done_callback(self._transactions.discard)
        return await asyncio.shield(task)

    async def _transact(self, body: Callable[[Transaction], Awaitable[T]]) -> T:
        lock, writer = self._write_lock, self._writer
        if lock is None or writer is None:
            raise StoreError(ErrorCode.NOT_READY, "The database is closed.")
        if not lock.locked():
            await lock.acquire()
        else:
            try:
                await asyncio.wait_for(lock.acquire(), WRITE_WAIT_S)
            except asyncio.TimeoutError as error:
                raise StoreBusy(
                    ErrorCode.NOT_READY,
                    "The database is busy: earlier writes have not finished.",
                    hint="Try again in a few seconds.",
                ) from error
        transaction = Transaction(writer)
        committing = False
        try:
            try:
                await writer.execute_fetchall("BEGIN IMMEDIATE")
                result = await body(transaction)
                committing = True
                await writer.execute_fetchall("COMMIT")
            except BaseException:
                # Queued behind whatever the thread still does; does nothing after a COMMIT.
                await writer.rollback()
                if committing and transaction.events:
                    # A cancel met the COMMIT, which may have succeeded: a wake-up too many is harmless.
                    self._announce(tuple(transaction.events))
                raise
        except sqlite3.Error as error:
            raise translate_sqlite(error) from error
        finally:
            lock.release()
        if transaction.events:
            self._announce(tuple(transaction.events))
        return result

    def _announce(self, events: tuple[NewEvent, ...]) -> None:
        if self._on_events is None:
            return
        try:
            self._on_events(events)
        except Exception:
            # The commit stands; a broken listener must not turn it into a failure of the writer.
            logger.exception("a listener to committed events failed")

    async def all(self, sql: str, params: Params = ()) -> list[sqlite3.Row]:
        """Rows of one reading statement: one consistent snapshot that sees every earlier commit."""
        if not self._readers:
            raise StoreError(ErrorCode.NOT_READY, "The database is closed.")
        index = min(range(len(self._readers)), key=self._reads_in_flight.__getitem__)
        self._reads_in_flight[index] += 1
        try:
            rows = await self._readers[index].execute_fetchall(sql, params)
            return list(rows)
        except sqlite3.Error as error:
            raise translate_sqlite(error) from error
        finally:
            self._reads_in_flight[index] -= 1

    async def one(self, sql: str, params: Params = ()) -> sqlite3.Row | None:
        """The first row of one reading statement."""
        rows = await self.all(sql, params)
        return rows[0] if rows else None


def _watch_over(path: Path) -> sqlite3.Connection:
    """A connection for `Database.version`. It never waits for a lock: whoever asks is the event loop."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    # Opened on a thread, used on the loop's alone.
    watch = sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False)
    watch.execute("PRAGMA query_only=ON")
    return watch
