"""Schema 1: jobs with stages, artifacts, attempts and events; files, voices, avatars; workers; flags.

The CHECKs and triggers are the state machine: what they refuse cannot happen, whoever writes.
All times are ms since 1970 UTC. `*_json` columns hold JSON text (json_valid() may not be
used here: older SQLite calls it unsafe under trusted_schema=OFF).
"""

from __future__ import annotations

import sqlite3

_TABLES = (
    """
    CREATE TABLE files (
      file_id       TEXT NOT NULL PRIMARY KEY CHECK (file_id GLOB 'file_[a-z0-9]*'),
      kind          TEXT NOT NULL CHECK (kind IN ('upload','voice','avatar','artifact','preview')),
      rel_path      TEXT NOT NULL
                    CHECK (rel_path <> '' AND rel_path NOT LIKE '/%' AND instr(rel_path, '\\') = 0
                           AND instr('/' || rel_path || '/', '/../') = 0),
      bytes         INTEGER NOT NULL CHECK (bytes >= 0),
      sha256        TEXT NOT NULL CHECK (length(sha256) = 64 AND sha256 NOT GLOB '*[^0-9a-f]*'),
      media_type    TEXT NOT NULL,
      original_name TEXT,
      meta_json     TEXT NOT NULL DEFAULT '{}' CHECK (meta_json GLOB '{*}'),
      created_at    INTEGER NOT NULL,
      deleted_at    INTEGER,
      purged_at     INTEGER CHECK (purged_at IS NULL OR deleted_at IS NOT NULL)
    ) STRICT
    """,
    """
    CREATE TABLE jobs (
      seq                 INTEGER PRIMARY KEY AUTOINCREMENT,
      job_id              TEXT NOT NULL UNIQUE CHECK (job_id GLOB 'job_[a-z0-9]*'),
      owner               TEXT NOT NULL DEFAULT '',
      title               TEXT NOT NULL DEFAULT '',
      search_text         TEXT NOT NULL DEFAULT '',
      state               TEXT NOT NULL DEFAULT 'queued'
                          CHECK (state IN ('queued','running','succeeded','failed','cancelled')),
      priority            INTEGER NOT NULL DEFAULT 0 CHECK (priority BETWEEN -100 AND 100),
      request_json        TEXT NOT NULL CHECK (request_json GLOB '{*}'),
      request_sha256      TEXT NOT NULL,
      idempotency_key     TEXT,
      engine_plan_json    TEXT NOT NULL CHECK (engine_plan_json GLOB '[[]*]'),
      selected_engine     TEXT NOT NULL,
      fallback_reason     TEXT CHECK (fallback_reason <> ''),
      attempt             INTEGER NOT NULL DEFAULT 0 CHECK (attempt >= 0),
      lost_attempts       INTEGER NOT NULL DEFAULT 0 CHECK (lost_attempts BETWEEN 0 AND 3),
      run_after           INTEGER NOT NULL DEFAULT 0,
      served_seq          INTEGER NOT NULL DEFAULT 0,
      lease_owner         TEXT,
      lease_expires_at    INTEGER,
      cancel_requested_at INTEGER,
      progress            REAL NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 100),
      stage               TEXT CHECK (stage IN ('script','speech','video','finish')),
      message             TEXT NOT NULL DEFAULT '',
      eta_s               REAL CHECK (eta_s >= 0),
      seed                INTEGER NOT NULL,
      draft               INTEGER NOT NULL DEFAULT 0 CHECK (draft IN (0, 1)),
      notice_json         TEXT CHECK (notice_json IS NULL OR notice_json GLOB '{*}'),
      result_file_id      TEXT REFERENCES files(file_id),
      retry_of            TEXT REFERENCES jobs(job_id) ON DELETE SET NULL,
      error_code          TEXT,
      error_message       TEXT,
      error_hint          TEXT,
      created_at          INTEGER NOT NULL,
      started_at          INTEGER,
      finished_at         INTEGER,
      updated_at          INTEGER NOT NULL,
      deleted_at          INTEGER,
      CHECK ((state = 'running') = (lease_owner IS NOT NULL)),
      CHECK ((state = 'running') = (lease_expires_at IS NOT NULL)),
      CHECK ((state IN ('succeeded','failed','cancelled')) = (finished_at IS NOT NULL)),
      CHECK (state = 'queued' OR state = 'cancelled' OR (attempt > 0 AND started_at IS NOT NULL)),
      CHECK (NOT (state IN ('queued','succeeded','failed') AND cancel_requested_at IS NOT NULL)),
      CHECK (state <> 'cancelled' OR cancel_requested_at IS NOT NULL),
      CHECK ((state = 'failed') = (error_code IS NOT NULL)),
      CHECK ((state = 'failed') = (error_message IS NOT NULL)),
      CHECK ((state = 'succeeded') = (result_file_id IS NOT NULL)),
      CHECK ((state = 'succeeded') = (progress = 100)),
      CHECK (deleted_at IS NULL OR state IN ('succeeded','failed','cancelled'))
    ) STRICT
    """,
    """
    CREATE TABLE stages (
      job_id      TEXT NOT NULL REFERENCES jobs(job_id) ON DELETE CASCADE,
      name        TEXT NOT NULL CHECK (name IN ('script','speech','video','finish')),
      position    INTEGER NOT NULL CHECK (position >= 0),
      state       TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending','running','completed','failed')),
      attempt     INTEGER NOT NULL DEFAULT 0,
      started_at  INTEGER,
      finished_at INTEGER,
      detail      TEXT NOT NULL DEFAULT '',
      PRIMARY KEY (job_id, name),
      UNIQUE (job_id, position),
      CHECK ((state IN ('completed','failed')) = (finished_at IS NOT NULL)),
      CHECK (state = 'pending' OR started_at IS NOT NULL)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE artifacts (
      job_id     TEXT NOT NULL REFERENCES jobs(job_id) ON DELETE CASCADE,
      name       TEXT NOT NULL CHECK (name <> '' AND instr(name, '/') = 0 AND instr(name, '\\') = 0),
      stage      TEXT NOT NULL CHECK (stage IN ('script','speech','video','finish')),
      file_id    TEXT NOT NULL REFERENCES files(file_id),
      created_at INTEGER NOT NULL,
      PRIMARY KEY (job_id, name)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE job_inputs (
      job_id  TEXT NOT NULL REFERENCES jobs(job_id) ON DELETE CASCADE,
      role    TEXT NOT NULL CHECK (role <> ''),
      file_id TEXT NOT NULL REFERENCES files(file_id),
      PRIMARY KEY (job_id, role)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE attempts (
      attempt_id    INTEGER PRIMARY KEY AUTOINCREMENT,
      job_id        TEXT NOT NULL REFERENCES jobs(job_id) ON DELETE CASCADE,
      attempt       INTEGER NOT NULL CHECK (attempt > 0),
      stage         TEXT NOT NULL CHECK (stage IN ('script','speech','video','finish')),
      engine        TEXT NOT NULL,
      worker_id     TEXT,
      started_at    INTEGER NOT NULL,
      finished_at   INTEGER,
      outcome       TEXT CHECK (outcome IN ('succeeded','failed','skipped','cancelled','lost','released')),
      exit_code     INTEGER,
      error_code    TEXT,
      error_message TEXT,
      detail        TEXT NOT NULL DEFAULT '',
      CHECK ((outcome IS NULL) = (finished_at IS NULL)),
      CHECK (outcome <> 'failed' OR error_code IS NOT NULL)
    ) STRICT
    """,
    """
    CREATE TABLE job_events (
      event_id  INTEGER PRIMARY KEY AUTOINCREMENT,
      job_id    TEXT NOT NULL REFERENCES jobs(job_id) ON DELETE CASCADE,
      type      TEXT NOT NULL,
      data_json TEXT NOT NULL CHECK (data_json GLOB '{*}'),
      at        INTEGER NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE voices (
      voice_id     TEXT NOT NULL PRIMARY KEY CHECK (voice_id GLOB 'voice_[a-z0-9]*'),
      name         TEXT NOT NULL,
      file_id      TEXT REFERENCES files(file_id),
      engine       TEXT NOT NULL,
      status       TEXT NOT NULL CHECK (status IN ('processing','ready','failed')),
      language     TEXT,
      gender       TEXT,
      consent_json TEXT CHECK (consent_json IS NULL OR consent_json GLOB '{*}'),
      profile_json TEXT NOT NULL DEFAULT '{}' CHECK (profile_json GLOB '{*}'),
      created_at   INTEGER NOT NULL,
      deleted_at   INTEGER
    ) STRICT
    """,
    """
    CREATE TABLE avatars (
      avatar_id         TEXT NOT NULL PRIMARY KEY CHECK (avatar_id GLOB 'avatar_[a-z0-9]*'),
      name              TEXT NOT NULL,
      file_id           TEXT NOT NULL REFERENCES files(file_id),
      thumbnail_file_id TEXT REFERENCES files(file_id),
      source_file_id    TEXT REFERENCES files(file_id),
      profile_json      TEXT NOT NULL DEFAULT '{}' CHECK (profile_json GLOB '{*}'),
      created_at        INTEGER NOT NULL,
      deleted_at        INTEGER
    ) STRICT
    """,
    """
    CREATE TABLE workers (
      worker_id   TEXT NOT NULL PRIMARY KEY,
      boot_id     TEXT NOT NULL,
      engine      TEXT NOT NULL,
      pid         INTEGER NOT NULL,
      pid_started TEXT NOT NULL,
      command     TEXT NOT NULL,
      started_at  INTEGER NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE settings_kv (
      key        TEXT NOT NULL PRIMARY KEY,
      value_json TEXT NOT NULL CHECK (value_json GLOB '{*}'),
      updated_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
)

_INDEXES = (
    "CREATE UNIQUE INDEX jobs_idempotency ON jobs(owner, idempotency_key) WHERE idempotency_key IS NOT NULL",
    "CREATE INDEX jobs_ready ON jobs(priority DESC, seq) WHERE state = 'queued'",
    "CREATE INDEX jobs_waiting ON jobs(owner, priority, seq) WHERE state = 'queued'",
    "CREATE INDEX jobs_delayed ON jobs(run_after) WHERE state = 'queued'",
    "CREATE INDEX jobs_running ON jobs(lease_owner) WHERE state = 'running'",
    "CREATE INDEX jobs_served ON jobs(owner, served_seq)",
    "CREATE INDEX jobs_last_served ON jobs(served_seq)",
    "CREATE INDEX jobs_finished ON jobs(finished_at) WHERE finished_at IS NOT NULL",
    "CREATE INDEX jobs_retry_of ON jobs(retry_of) WHERE retry_of IS NOT NULL",
    "CREATE INDEX jobs_result ON jobs(result_file_id) WHERE result_file_id IS NOT NULL",
    "CREATE UNIQUE INDEX stages_one_running ON stages(job_id) WHERE state = 'running'",
    "CREATE INDEX artifacts_file ON artifacts(file_id)",
    "CREATE INDEX job_inputs_file ON job_inputs(file_id)",
    "CREATE INDEX attempts_of_job ON attempts(job_id, attempt_id)",
    "CREATE UNIQUE INDEX attempts_one_open ON attempts(job_id) WHERE finished_at IS NULL",
    "CREATE INDEX job_events_of_job ON job_events(job_id, event_id)",
    # A job has exactly one terminal state, so it has at most one terminal event.
    "CREATE UNIQUE INDEX job_events_one_end ON job_events(job_id) WHERE type IN ('completed','failed','cancelled')",
    # A place holds one file at a time; rows of purged files may have had it before.
    "CREATE UNIQUE INDEX files_place ON files(rel_path) WHERE purged_at IS NULL",
    "CREATE INDEX files_live ON files(created_at) WHERE deleted_at IS NULL",
    "CREATE INDEX files_to_purge ON files(deleted_at) WHERE deleted_at IS NOT NULL AND purged_at IS NULL",
    "CREATE INDEX voices_file ON voices(file_id)",
    "CREATE INDEX avatars_file ON avatars(file_id)",
    "CREATE INDEX avatars_thumbnail ON avatars(thumbnail_file_id)",
    "CREATE INDEX avatars_source ON avatars(source_file_id)",
    "CREATE INDEX workers_of_boot ON workers(boot_id)",
)

_TRIGGERS = (
    """
    CREATE TRIGGER jobs_begin_queued BEFORE INSERT ON jobs
    WHEN NEW.state <> 'queued' OR NEW.attempt <> 0
    BEGIN SELECT RAISE(ABORT, 'a job begins queued'); END
    """,
    """
    CREATE TRIGGER jobs_identity_is_fixed BEFORE UPDATE OF seq, job_id, owner, request_json, request_sha256, seed,
      retry_of, created_at ON jobs
    WHEN NEW.seq IS NOT OLD.seq OR NEW.job_id IS NOT OLD.job_id OR NEW.owner IS NOT OLD.owner
      OR NEW.request_json IS NOT OLD.request_json OR NEW.request_sha256 IS NOT OLD.request_sha256
      OR NEW.seed IS NOT OLD.seed OR NEW.created_at IS NOT OLD.created_at
      OR (NEW.retry_of IS NOT OLD.retry_of AND NEW.retry_of IS NOT NULL)
    BEGIN SELECT RAISE(ABORT, 'what a job is about never changes'); END
    """,
    """
    CREATE TRIGGER jobs_end_is_final BEFORE UPDATE ON jobs
    WHEN OLD.state IN ('succeeded','failed','cancelled')
      AND (NEW.state IS NOT OLD.state OR NEW.attempt IS NOT OLD.attempt OR NEW.progress IS NOT OLD.progress
           OR NEW.result_file_id IS NOT OLD.result_file_id OR NEW.error_code IS NOT OLD.error_code
           OR NEW.error_message IS NOT OLD.error_message OR NEW.finished_at IS NOT OLD.finished_at
           OR NEW.fallback_reason IS NOT OLD.fallback_reason OR NEW.draft IS NOT OLD.draft
           OR NEW.selected_engine IS NOT OLD.selected_engine
           OR NEW.cancel_requested_at IS NOT OLD.cancel_requested_at)
    BEGIN SELECT RAISE(ABORT, 'a terminal state is never left'); END
    """,
    """
    CREATE TRIGGER jobs_queued_moves BEFORE UPDATE OF state ON jobs
    WHEN OLD.state = 'queued' AND NEW.state NOT IN ('queued','running','cancelled')
    BEGIN SELECT RAISE(ABORT, 'a queued job can only be claimed or cancelled'); END
    """,
    """
    CREATE TRIGGER jobs_claims_count BEFORE UPDATE OF state, attempt ON jobs
    WHEN NEW.attempt <> OLD.attempt + (OLD.state = 'queued' AND NEW.state = 'running')
    BEGIN SELECT RAISE(ABORT, 'each claim is one attempt'); END
    """,
    """
    CREATE TRIGGER jobs_progress_only_grows BEFORE UPDATE OF progress ON jobs
    WHEN NEW.attempt = OLD.attempt AND NEW.progress < OLD.progress
    BEGIN SELECT RAISE(ABORT, 'progress never goes backwards within an attempt'); END
    """,
    """
    CREATE TRIGGER jobs_cancel_wins BEFORE UPDATE OF state, cancel_requested_at ON jobs
    WHEN OLD.cancel_requested_at IS NOT NULL AND OLD.state = 'running'
      AND (NEW.state NOT IN ('running','cancelled') OR NEW.cancel_requested_at IS NOT OLD.cancel_requested_at)
    BEGIN SELECT RAISE(ABORT, 'a requested cancel is never withdrawn'); END
    """,
    """
    CREATE TRIGGER jobs_success_is_proven BEFORE UPDATE OF state ON jobs
    WHEN NEW.state = 'succeeded' AND OLD.state <> 'succeeded'
      AND (EXISTS (SELECT 1 FROM stages s WHERE s.job_id = NEW.job_id AND s.state <> 'completed')
           OR NOT EXISTS (SELECT 1 FROM stages s WHERE s.job_id = NEW.job_id)
           OR NOT EXISTS (SELECT 1 FROM artifacts a JOIN files f USING (file_id)
                          WHERE a.job_id = NEW.job_id AND f.file_id = NEW.result_file_id
                            AND f.deleted_at IS NULL AND f.bytes > 0))
    BEGIN SELECT RAISE(ABORT, 'success needs every stage completed and a result file'); END
    """,
    """
    CREATE TRIGGER jobs_end_leaves_nothing_open BEFORE UPDATE OF state ON jobs
    WHEN OLD.state = 'running' AND NEW.state <> 'running'
      AND (EXISTS (SELECT 1 FROM stages s WHERE s.job_id = NEW.job_id AND s.state = 'running')
           OR EXISTS (SELECT 1 FROM attempts a WHERE a.job_id = NEW.job_id AND a.finished_at IS NULL))
    BEGIN SELECT RAISE(ABORT, 'a job that stops running leaves no stage and no hop open'); END
    """,
    """
    CREATE TRIGGER stages_move_while_running BEFORE UPDATE ON stages
    WHEN NEW.state <> OLD.state
      AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.job_id = OLD.job_id
        -- a retry is born with the completed stages of its source
        AND (j.state = 'running' OR (j.state = 'queued' AND j.attempt = 0 AND j.retry_of IS NOT NULL)))
    BEGIN SELECT RAISE(ABORT, 'stages move only while the job runs'); END
    """,
    """
    CREATE TRIGGER attempts_belong_to_the_claim BEFORE INSERT ON attempts
    WHEN NOT EXISTS (SELECT 1 FROM jobs j WHERE j.job_id = NEW.job_id AND j.state = 'running'
                     AND j.attempt = NEW.attempt)
    BEGIN SELECT RAISE(ABORT, 'a hop belongs to the attempt that runs'); END
    """,
    """
    CREATE TRIGGER artifacts_need_a_live_file BEFORE INSERT ON artifacts
    WHEN EXISTS (SELECT 1 FROM files f WHERE f.file_id = NEW.file_id AND f.deleted_at IS NOT NULL)
    BEGIN SELECT RAISE(ABORT, 'the file was deleted'); END
    """,
    """
    CREATE TRIGGER job_inputs_need_a_live_file BEFORE INSERT ON job_inputs
    WHEN EXISTS (SELECT 1 FROM files f WHERE f.file_id = NEW.file_id AND f.deleted_at IS NOT NULL)
    BEGIN SELECT RAISE(ABORT, 'the file was deleted'); END
    """,
    """
    CREATE TRIGGER files_in_use_stay BEFORE UPDATE OF deleted_at ON files
    WHEN NEW.deleted_at IS NOT NULL AND OLD.deleted_at IS NULL
      AND EXISTS (SELECT 1 FROM file_holders h WHERE h.file_id = NEW.file_id)
    BEGIN SELECT RAISE(ABORT, 'a live row still references the file'); END
    """,
    """
    CREATE TRIGGER files_deleted_stay_deleted BEFORE UPDATE ON files
    WHEN (OLD.deleted_at IS NOT NULL AND NEW.deleted_at IS NULL) OR NEW.sha256 <> OLD.sha256
      OR NEW.bytes <> OLD.bytes OR NEW.rel_path <> OLD.rel_path
    BEGIN SELECT RAISE(ABORT, 'a stored file never changes'); END
    """,
)

# Who keeps a file from being deleted. Inputs of finished jobs do not (a user may delete a voice that an
# old job used); the collector spares them all the same, see storage/files.py.
_VIEWS = (
    """
    CREATE VIEW file_holders (file_id, holder) AS
      SELECT a.file_id, a.job_id FROM artifacts a JOIN jobs j USING (job_id) WHERE j.deleted_at IS NULL
      UNION ALL
      SELECT i.file_id, i.job_id FROM job_inputs i JOIN jobs j USING (job_id) WHERE j.state IN ('queued','running')
      UNION ALL
      SELECT v.file_id, v.voice_id FROM voices v WHERE v.deleted_at IS NULL AND v.file_id IS NOT NULL
      UNION ALL
      SELECT p.file_id, p.avatar_id FROM avatars p WHERE p.deleted_at IS NULL
      UNION ALL
      SELECT p.thumbnail_file_id, p.avatar_id FROM avatars p
        WHERE p.deleted_at IS NULL AND p.thumbnail_file_id IS NOT NULL
      UNION ALL
      SELECT p.source_file_id, p.avatar_id FROM avatars p WHERE p.deleted_at IS NULL AND p.source_file_id IS NOT NULL
    """,
)


def upgrade(connection: sqlite3.Connection) -> None:
    """Create everything. The caller holds the transaction."""
    for statement in (*_TABLES, *_INDEXES, *_VIEWS, *_TRIGGERS):
        connection.execute(statement)
