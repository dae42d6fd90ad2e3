"""Schema 6: the library of finished videos: stars, folders, what a job was promoted from, a search that reads
every alphabet, and drafts of what is being typed.

`jobs.search_text` is stored folded from here on (`storage/search_text.py`), so that a search needs no LIKE.
"""

from __future__ import annotations

import sqlite3

from backend.storage.search_text import fold

_STATEMENTS = (
    """
    CREATE TABLE folders (
      folder_id  TEXT NOT NULL PRIMARY KEY CHECK (folder_id GLOB 'fld_[a-z0-9]*'),
      name       TEXT NOT NULL CHECK (name <> ''),
      folded     TEXT NOT NULL UNIQUE,
      created_at INTEGER NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE drafts (
      name      TEXT NOT NULL PRIMARY KEY CHECK (name <> '' AND name NOT GLOB '*[^a-z0-9-]*'),
      body_json TEXT NOT NULL CHECK (body_json GLOB '{*}'),
      revision  INTEGER NOT NULL CHECK (revision > 0),
      saved_at  INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    # Whose voices speak in a job: the request alone would have to be parsed for every row that is looked at.
    """
    CREATE TABLE job_voices (
      voice_id TEXT NOT NULL,
      seq      INTEGER NOT NULL REFERENCES jobs(seq) ON DELETE CASCADE,
      PRIMARY KEY (voice_id, seq)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX job_voices_of_job ON job_voices(seq)",
    "ALTER TABLE jobs ADD COLUMN starred INTEGER NOT NULL DEFAULT 0 CHECK (starred IN (0, 1))",
    "ALTER TABLE jobs ADD COLUMN folder_id TEXT REFERENCES folders(folder_id) ON DELETE SET NULL",
    "ALTER TABLE jobs ADD COLUMN promoted_from TEXT REFERENCES jobs(job_id) ON DELETE SET NULL",
    "CREATE INDEX jobs_folder ON jobs(folder_id) WHERE folder_id IS NOT NULL",
    "CREATE INDEX jobs_promoted_from ON jobs(promoted_from) WHERE promoted_from IS NOT NULL",
    # All that a list can be filtered by: counting what matches reads this and not the rows, which hold the scripts.
    """
    CREATE INDEX jobs_listed ON jobs(seq, deleted_at, state, fallback_reason, cancel_requested_at, selected_engine,
      owner, batch_id, starred, folder_id, draft)
    """,
    """
    CREATE TRIGGER jobs_promotion_is_fixed BEFORE UPDATE OF promoted_from ON jobs
    WHEN NEW.promoted_from IS NOT OLD.promoted_from AND NEW.promoted_from IS NOT NULL
    BEGIN SELECT RAISE(ABORT, 'what a job was promoted from never changes'); END
    """,
    "DROP TRIGGER stages_move_while_running",
    """
    CREATE TRIGGER stages_move_while_running BEFORE UPDATE ON stages
    WHEN NEW.state <> OLD.state
      AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.job_id = OLD.job_id
        -- a retry, and a promoted draft, are born with the completed stages of their source
        AND (j.state = 'running' OR (j.state = 'queued' AND j.attempt = 0
             AND (j.retry_of IS NOT NULL OR j.promoted_from IS NOT NULL))))
    BEGIN SELECT RAISE(ABORT, 'stages move only while the job runs'); END
    """,
    """
    INSERT OR IGNORE INTO job_voices (voice_id, seq)
    SELECT json_extract(request_json, '$.voice_id'), seq FROM jobs
    WHERE json_type(request_json, '$.voice_id') = 'text'
    """,
    """
    INSERT OR IGNORE INTO job_voices (voice_id, seq)
    SELECT json_extract(s.value, '$.voice_id'), j.seq FROM jobs j, json_each(j.request_json, '$.speakers') s
    WHERE s.type = 'object' AND json_type(s.value, '$.voice_id') = 'text'
    """,
)


def upgrade(connection: sqlite3.Connection) -> None:
    """Add to schema 5. The caller holds the transaction."""
    for statement in _STATEMENTS:
        connection.execute(statement)
    connection.create_function("fold", 1, fold, deterministic=True)
    connection.execute("UPDATE jobs SET search_text = fold(search_text) WHERE search_text <> ''")
