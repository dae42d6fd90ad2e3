"""docs/architecture.md describes the house that stands: words, rooms, failures, folders, limits."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

from backend.engines import gpu_lanes, gpu_pool, restart_policy
from backend.engines.classify import POISONING, POLICIES, FailurePolicy
from backend.engines.worker_types import WorkerLimits
from backend.models.codes import INPUT_CODES, STAGE_ORDER, JobState, JobStatus, StageState
from backend.models.records import AttemptOutcome, public_status
from backend.services import failure_desk, retention, stage_io
from backend.services.gpu_fleet import BUILD_EDGE, GPU_ENGINES
from backend.services.job_progress import SPANS
from backend.services.job_view import ARTIFACT_KEYS
from backend.services.ladder import MAX_RUNGS
from backend.storage.migrations import MIGRATIONS
from backend.storage.migrations.runner import KEEP_BACKUPS
from backend.storage.setup import LOCK_NAME, layout_of
from backend.storage.sweep import ORPHAN_AGE_S
from backend.utils.ids import ID_PATTERN
from tests.contract.docs_pages import ROOT, column, page, section, tables, words
from tests.unit.house.test_rooms import ALLOWED, HEAVY
from workers.speech import cache as speech_cache

PAGE = page("docs/architecture.md")


def test_the_stages_are_written_with_their_files_and_their_share_of_the_progress() -> None:
    (table,) = tables(section(PAGE, "## A job"))
    assert column(table) == [stage.value for stage in STAGE_ORDER]
    assert [row[3] for row in table[1:]] == [f"{low:g}–{high:g}" for low, high in SPANS.values()]
    files = {name for row in table[1:] for name in words(row[2])}
    kept = {stage_io.PORTRAIT_FILE, stage_io.SILENT_FILE, stage_io.RESULT_FILE, *stage_io.TRACK_FILES}
    assert files == kept | set(ARTIFACT_KEYS.values())


def test_every_status_is_written_with_the_states_it_comes_from() -> None:
    table = tables(section(PAGE, "## One vocabulary"))[0]
    assert column(table) == [status.value for status in JobStatus]
    for row in table[1:]:
        fell_back, cancel = "fallback reason" in row[1], "cancel was asked" in row[1]
        states = [JobState(word) for word in words(row[1])]
        assert states
        for state in states:
            status = public_status(state, fell_back=fell_back, cancel_requested=cancel)
            assert status.value == words(row[0])[0], row


def test_the_moves_of_the_states_are_those_that_the_database_allows(tmp_path: Path) -> None:
    table = tables(section(PAGE, "## One vocabulary"))[1]
    assert column(table) == [state.value for state in JobState]
    written = {words(row[0])[0]: set(words(row[1])) for row in table[1:]}
    ends = {"succeeded", "failed", "cancelled"}
    assert all(not written[end] for end in ends)
    assert written["queued"] == {"running", "cancelled"}
    assert written["running"] == {"queued", *ends}
    db = sqlite3.connect(tmp_path / "empty.db")
    for migration in MIGRATIONS:
        migration(db)
    triggers = "\n".join(sql for (sql,) in db.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger'"))
    named = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    db.close()
    assert "OLD.state = 'queued' AND NEW.state NOT IN ('queued','running','cancelled')" in triggers
    assert "OLD.state IN ('succeeded','failed','cancelled')" in triggers
    line = next(line for line in PAGE.splitlines() if line.startswith("Tables: "))
    assert set(words(line)) == {name for name in named if not name.startswith("sqlite_")}


def test_the_other_words_are_the_codes_own() -> None:
    line = next(line for line in PAGE.splitlines() if line.startswith("**Stages**"))
    expected = [*STAGE_ORDER, *StageState, *AttemptOutcome]
    assert words(line) == [word.value for word in expected]
    assert f"`{ID_PATTERN.pattern}`" in PAGE


def test_every_room_stands_and_may_import_what_is_written() -> None:
    rooms, imports = tables(section(PAGE, "## Rooms"))
    for room in column(rooms):
        assert (ROOT / room).exists(), room
    packages = {f"backend/{p.parent.name}" for p in (ROOT / "backend").glob("*/__init__.py")}
    assert packages <= set(column(rooms))
    assert {words(row[0])[0]: set(words(row[1])) for row in imports[1:]} == ALLOWED
    for name in HEAVY & {"numpy", "cv2", "onnxruntime", "torch"}:
        assert name in section(PAGE, "## Processes")


def test_modules_that_are_named_exist() -> None:
    named = {w for w in words(PAGE) if re.fullmatch(r"[\w/]+\.(py|sh|bat)", w)}
    assert len(named) > 5
    for name in named:
        assert (ROOT / name).is_file() or (ROOT / "backend" / name).is_file(), name


def test_the_failure_table_is_the_one_that_decides() -> None:
    codes, policies = tables(section(PAGE, "## Failures"))
    assert {words(row[0])[0]: words(row[1])[0] for row in codes[1:]} == {
        code.value: policy.value for code, policy in POLICIES.items()
    }
    assert column(policies) == [policy.value for policy in FailurePolicy]
    line = next(line for line in PAGE.splitlines() if line.startswith("Codes of inputs"))
    assert set(words(line)) == {code.value for code in INPUT_CODES}
    poison = next(line for line in PAGE.splitlines() if line.startswith("A worker that dies"))
    assert set(words(poison)) == {code.value for code in POISONING}


def test_the_times_are_those_of_the_code() -> None:
    text = section(PAGE, "## Failures")
    limits = WorkerLimits()
    assert f"once more after {failure_desk.BACKOFF_DELAY_MS / 1000:g} s" in text
    assert f"A second try comes after {failure_desk.RETRY_DELAY_MS / 1000:g} s" in text
    assert f"after {restart_policy.FIRST_DELAY_S:g}, 2, 4 … {restart_policy.MAX_DELAY_S:g} s" in text
    assert restart_policy.FAILURES_TO_OPEN == 5
    assert f"Five deaths in a row close the engine for {restart_policy.OPEN_S:g} s" in text
    assert f"after {limits.cancel_grace_s:g} s TERM, after {limits.term_grace_s:g} s more KILL" in text


def test_the_folders_of_the_data_are_those_that_are_made() -> None:
    (table,) = tables(section(PAGE, "## Data on disk"))
    layout = layout_of(Path("data"), Path("logs"))
    made = {
        path.relative_to(layout.data).as_posix()
        for path in (
            layout.database,
            layout.uploads,
            layout.outputs,
            layout.work,
            layout.checkpoints,
            layout.speech_cache,
            layout.models,
            layout.hf_cache,
            layout.backups,
        )
    }
    assert set(column(table)) == made
    text = section(PAGE, "## Data on disk")
    assert f"at most {speech_cache.MAX_BYTES >> 20} MiB" in text
    assert KEEP_BACKUPS == 5
    assert "the newest five" in text
    assert ORPHAN_AGE_S == 3600
    assert "older than an hour" in text
    assert f"`data/{LOCK_NAME}`" in PAGE


def test_what_is_said_of_gpus_and_the_ladder_is_what_the_code_does() -> None:
    text = section(PAGE, "## GPUs")
    assert f"for {gpu_pool.LOOK_WITHIN_S:g} s at most" in text
    assert f"at most {gpu_lanes.VRAM_WITHIN_S:g} s." in text
    assert f"(compute capability {'.'.join(map(str, BUILD_EDGE))})" in text
    (wan2gp,) = (engine for engine in GPU_ENGINES if engine.name == "wan2gp")
    assert f"without weights within {wan2gp.start_timeout_s:g} s" in text
    assert f"is replaced after {wan2gp.recycle_after_tasks} tasks" in text
    assert {engine.name for engine in GPU_ENGINES} <= set(words(text))
    assert f"at most {MAX_RUNGS} times" in section(PAGE, "### The ladder")
    days = retention.PARTS_KEPT_MS // retention.DAY_MS
    assert f"or {days} days after its end" in section(PAGE, "## Data on disk")
