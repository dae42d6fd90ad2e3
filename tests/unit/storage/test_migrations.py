"""Old databases become new ones, with a copy kept; newer and foreign ones are left alone."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from backend.storage.errors import StoreUnusable
from backend.storage.migrations import MIGRATIONS
from backend.storage.migrations.runner import APPLICATION_ID, KEEP_BACKUPS, migrate
from backend.storage.setup import prepare_directories
from backend.storage.store import open_store
from backend.utils.clock import ManualClock

# One SQL dump per old schema, `schema_v<number>.sql`, committed with the migration that leaves it behind.
FIXTURES = Path(__file__).parent / "fixtures"


def m0002_for_tests(connection: sqlite3.Connection) -> None:
    """What a next migration looks like: a column and an index."""
    connection.execute("ALTER TABLE voices ADD COLUMN colour TEXT NOT NULL DEFAULT 'none'")
    connection.execute("CREATE INDEX voices_colour ON voices(colour)")


def m0003_that_fails(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE half (x INTEGER) STRICT")
    raise sqlite3.OperationalError("the third migration breaks")


def schema_of(path: Path) -> dict[str, object]:
    """What a schema means, without the accidents of how its text was written."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
        ).fetchall()
        schema: dict[str, object] = {"version": connection.execute("PRAGMA user_version").fetchone()}
        for kind, name, sql in rows:
            if kind == "table":
                # CHECKs appear only in the text; columns are compared by the pragma, so their order in
                # the text (ALTER TABLE appends) does not matter.
                schema[name] = (
                    sorted(connection.execute("SELECT * FROM pragma_table_xinfo(?)", (name,)).fetchall()),
                    sorted(re.findall(r"CHECK\s*\(.*?\)\s*(?:,|$)", " ".join(sql.split()))),
                    sorted(
                        row[2:]
                        for row in connection.execute("SELECT * FROM pragma_foreign_key_list(?)", (name,))
                    ),
                    connection.execute(
                        "SELECT strict, wr FROM pragma_table_list WHERE name = ?", (name,)
                    ).fetchall(),
                )
            else:
                schema[name] = " ".join(sql.split())
        return schema


def make(path: Path, migrations=MIGRATIONS) -> Path | None:
    return migrate(path, migrations, backups_dir=path.parent / "backups")


def execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def test_every_old_schema_has_a_fixture() -> None:
    numbers = sorted(int(path.stem.removeprefix("schema_v")) for path in FIXTURES.glob("schema_v*.sql"))
    assert numbers == list(range(1, len(MIGRATIONS)))


def test_every_old_database_upgrades_to_the_schema_of_a_fresh_one(tmp_path: Path) -> None:
    fresh = tmp_path / "fresh.db"
    make(fresh)
    for path in FIXTURES.glob("schema_v*.sql"):
        old = tmp_path / f"{path.stem}.db"
        with closing(sqlite3.connect(old)) as connection:
            connection.executescript(path.read_text(encoding="utf-8"))
        assert make(old) is not None
        assert schema_of(old) == schema_of(fresh), path.stem


async def test_jobs_of_schema_1_go_on_living_after_the_upgrade(tmp_path: Path) -> None:
    layout = prepare_directories(tmp_path / "data", tmp_path / "logs")
    with closing(sqlite3.connect(layout.database)) as connection:
        connection.executescript((FIXTURES / "schema_v1.sql").read_text(encoding="utf-8"))
        connection.execute("DELETE FROM settings_kv")  # the queue of the fixture is paused
        connection.commit()
    store = await open_store(layout, ManualClock())
    try:
        done = await store.jobs.get_view("job_succeeded00")
        assert (done.job.title, done.job.idempotency_key, done.job.batch_id) == ("六月公告", "order-7", None)
        assert [item.file.deleted_at for item in done.artifacts] == [None] * 4
        claimed = await store.jobs.claim("boot-b", lease_ms=1000)
        assert claimed is not None
        assert claimed.job.job_id == "job_waiting0000"
        assert len((await store.jobs.delete("job_succeeded00")).files) == 4
    finally:
        await store.close()


def test_a_dump_is_enough_to_bring_an_old_database_back(tmp_path: Path) -> None:
    """How a fixture is made and used: `iterdump` and the two numbers that it leaves out."""
    path, again = tmp_path / "sqlite.db", tmp_path / "again.db"
    make(path)
    with closing(sqlite3.connect(path)) as connection:
        dump = "\n".join(connection.iterdump())
    dump += f"\nPRAGMA user_version={len(MIGRATIONS)};\nPRAGMA application_id={APPLICATION_ID};"
    with closing(sqlite3.connect(again)) as connection:
        connection.executescript(dump)
    assert schema_of(again) == schema_of(path)
    assert make(again) is None


def test_an_upgrade_gives_the_fresh_schema_keeps_the_rows_and_leaves_a_copy(tmp_path: Path) -> None:
    path, fresh = tmp_path / "sqlite.db", tmp_path / "fresh.db"
    assert make(path) is None
    execute(path, "INSERT INTO settings_kv VALUES ('k', '{}', 1)")
    new = (*MIGRATIONS, m0002_for_tests)
    backup = make(path, new)
    make(fresh, new)
    assert schema_of(path) == schema_of(fresh)
    assert backup is not None
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT key FROM settings_kv").fetchall() == [("k",)]
    with closing(sqlite3.connect(backup)) as connection:
        assert connection.execute("SELECT key FROM settings_kv").fetchall() == [("k",)]
        assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert list(backup.parent.glob("*.part")) == []


def test_the_copy_holds_what_is_still_in_the_write_ahead_log(tmp_path: Path) -> None:
    path = tmp_path / "sqlite.db"
    make(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA wal_autocheckpoint=0")
        other.execute("INSERT INTO settings_kv VALUES ('in the log', '{}', 1)")
        backup = make(path, (*MIGRATIONS, m0002_for_tests))
    assert backup is not None
    with closing(sqlite3.connect(backup)) as connection:
        assert connection.execute("SELECT key FROM settings_kv").fetchall() == [("in the log",)]


def test_a_migration_that_fails_changes_nothing_and_names_a_fix(tmp_path: Path) -> None:
    path = tmp_path / "sqlite.db"
    make(path)
    before = schema_of(path)
    with pytest.raises(StoreUnusable, match="third migration breaks") as caught:
        make(path, (*MIGRATIONS, m0003_that_fails))
    assert caught.value.hint
    assert schema_of(path) == before


def test_earlier_migrations_stand_when_a_later_one_fails(tmp_path: Path) -> None:
    path = tmp_path / "sqlite.db"
    with pytest.raises(StoreUnusable):
        make(path, (*MIGRATIONS, m0002_for_tests, m0003_that_fails))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS) + 1,)
    make(path, (*MIGRATIONS, m0002_for_tests))


def test_opening_the_newest_schema_again_does_nothing(tmp_path: Path) -> None:
    path = tmp_path / "sqlite.db"
    make(path)
    assert make(path) is None
    assert not (tmp_path / "backups").exists()


def test_a_newer_database_is_refused_with_both_numbers_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "sqlite.db"
    make(path)
    execute(path, "PRAGMA user_version=99")
    with pytest.raises(StoreUnusable, match=rf"schema 99, known {len(MIGRATIONS)}"):
        make(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (99,)


@pytest.mark.parametrize("mark", ["CREATE TABLE theirs (x)", "PRAGMA user_version=1"])
def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path: Path, mark: str) -> None:
    path = tmp_path / "sqlite.db"
    execute(path, mark)
    before = path.read_bytes()
    with pytest.raises(StoreUnusable, match="another program"):
        make(path)
    assert path.read_bytes() == before


def test_only_the_newest_copies_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "sqlite.db"
    backups = tmp_path / "backups"
    backups.mkdir()
    for number in range(KEEP_BACKUPS + 3):
        (backups / f"sqlite-schema0000-2026010{number}T000000Z.db").touch()
    make(path)
    newest = make(path, (*MIGRATIONS, m0002_for_tests))
    assert newest is not None
    left = list(backups.glob("*.db"))
    assert len(left) == KEEP_BACKUPS
    assert newest in left


def test_our_databases_are_marked_as_ours(tmp_path: Path) -> None:
    make(tmp_path / "sqlite.db")
    with closing(sqlite3.connect(tmp_path / "sqlite.db")) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)


def test_jobs_of_schema_5_can_be_found_by_words_and_voices_after_the_upgrade(tmp_path: Path) -> None:
    path = tmp_path / "sqlite.db"
    make(path, MIGRATIONS[:5])
    speakers = '{"voice_id": "voice_a", "speakers": [{"voice_id": "voice_a"}, {"voice_id": "voice_b"}]}'
    requests = [(speakers,), ('{"voice_id": "voice_c", "speakers": null}',), ("{}",)]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(
            "INSERT INTO jobs (job_id, title, search_text, request_json, request_sha256, engine_plan_json,"
            " selected_engine, seed, created_at, updated_at)"
            " VALUES ('job_' || lower(hex(randomblob(8))), 'T', 'ÄRGER Ｔ', ?, 'x', '[]', 'draft', 1, 1, 1)",
            requests,
        )
    make(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT voice_id, seq FROM job_voices ORDER BY 1, 2").fetchall() == [
            ("voice_a", 1),
            ("voice_b", 1),
            ("voice_c", 2),
        ]
        assert connection.execute("SELECT DISTINCT search_text FROM jobs").fetchall() == [("ärger t",)]
        assert connection.execute(
            "SELECT DISTINCT starred, folder_id, promoted_from FROM jobs"
        ).fetchall() == [(0, None, None)]
