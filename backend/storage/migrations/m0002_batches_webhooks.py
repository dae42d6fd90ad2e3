"""Schema 2: batches of jobs, webhooks with their outbox, and artifacts that were given up for space.

A delivery is a row written in the transaction of the event it tells of, so that neither can be without the other.
An artifact with `released_at` no longer keeps its file: the row stays, so that a retry sees what is missing.
"""

from __future__ import annotations

import sqlite3

_STATEMENTS = (
    """
    CREATE TABLE batches (
      seq             INTEGER PRIMARY KEY AUTOINCREMENT,
      batch_id        TEXT NOT NULL UNIQUE CHECK (batch_id GLOB 'batch_[a-z0-9]*'),
      owner           TEXT NOT NULL DEFAULT '',
      title           TEXT NOT NULL DEFAULT '',
      idempotency_key TEXT,
      request_sha256  TEXT NOT NULL,
      items_json      TEXT NOT NULL CHECK (items_json GLOB '[[]*]'),
      created_at      INTEGER NOT NULL
    ) STRICT
    """,
    "ALTER TABLE jobs ADD COLUMN batch_id TEXT REFERENCES batches(batch_id) ON DELETE SET NULL",
    """
    CREATE TABLE webhooks (
      hook_id     TEXT NOT NULL PRIMARY KEY CHECK (hook_id GLOB 'hook_[a-z0-9]*'),
      url         TEXT NOT NULL CHECK (url <> ''),
      events_json TEXT NOT NULL CHECK (events_json GLOB '[[]*]'),
      secret      TEXT NOT NULL CHECK (secret GLOB 'whsec_?*'),
      created_at  INTEGER NOT NULL
    ) STRICT
    """,
    # `url` is set for the webhook that a job names itself; a registered one has its own row.
    """
    CREATE TABLE webhook_deliveries (
      delivery_id INTEGER PRIMARY KEY AUTOINCREMENT,
      message_id  TEXT NOT NULL UNIQUE,
      hook_id     TEXT REFERENCES webhooks(hook_id) ON DELETE CASCADE,
      url         TEXT,
      job_id      TEXT REFERENCES jobs(job_id) ON DELETE CASCADE,
      type        TEXT NOT NULL CHECK (type IN ('job.completed','job.failed','job.cancelled','webhook.test')),
      state       TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending','delivered','failed')),
      attempts    INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
      due_at      INTEGER,
      last_status INTEGER,
      last_error  TEXT,
      created_at  INTEGER NOT NULL,
      finished_at INTEGER,
      CHECK ((hook_id IS NULL) = (url IS NOT NULL)),
      CHECK ((job_id IS NULL) = (type = 'webhook.test')),
      CHECK ((state = 'pending') = (due_at IS NOT NULL)),
      CHECK ((state = 'pending') = (finished_at IS NULL))
    ) STRICT
    """,
    "ALTER TABLE artifacts ADD COLUMN released_at INTEGER",
    "CREATE UNIQUE INDEX batches_idempotency ON batches(owner, idempotency_key) WHERE idempotency_key IS NOT NULL",
    "CREATE INDEX jobs_batch ON jobs(batch_id) WHERE batch_id IS NOT NULL",
    "CREATE INDEX webhook_deliveries_due ON webhook_deliveries(due_at) WHERE state = 'pending'",
    "CREATE INDEX webhook_deliveries_of_hook ON webhook_deliveries(hook_id, delivery_id)",
    "CREATE INDEX webhook_deliveries_ended ON webhook_deliveries(finished_at) WHERE finished_at IS NOT NULL",
    # A job ends once, so each receiver is told once.
    """
    CREATE UNIQUE INDEX webhook_deliveries_once ON webhook_deliveries(job_id, COALESCE(hook_id, ''))
      WHERE job_id IS NOT NULL
    """,
    # What retention looks for.
    "CREATE INDEX job_events_progress ON job_events(job_id) WHERE type = 'progress'",
    "CREATE INDEX jobs_deleted ON jobs(deleted_at) WHERE deleted_at IS NOT NULL",
    "CREATE INDEX files_purged ON files(purged_at) WHERE purged_at IS NOT NULL",
    """
    CREATE TRIGGER jobs_batch_is_fixed BEFORE UPDATE OF batch_id ON jobs
    WHEN NEW.batch_id IS NOT OLD.batch_id AND NEW.batch_id IS NOT NULL
    BEGIN SELECT RAISE(ABORT, 'a job never changes its batch'); END
    """,
    """
    CREATE TRIGGER artifacts_of_open_jobs_stay BEFORE UPDATE OF released_at ON artifacts
    WHEN NEW.released_at IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.job_id = NEW.job_id AND j.finished_at IS NOT NULL)
    BEGIN SELECT RAISE(ABORT, 'a job that has not ended needs its artifacts'); END
    """,
    """
    CREATE TRIGGER webhook_deliveries_end_is_final BEFORE UPDATE ON webhook_deliveries
    WHEN OLD.state <> 'pending'
    BEGIN SELECT RAISE(ABORT, 'a delivery ends once'); END
    """,
    "DROP VIEW file_holders",
    """
    CREATE VIEW file_holders (file_id, holder) AS
      SELECT a.file_id, a.job_id FROM artifacts a JOIN jobs j USING (job_id)
        WHERE j.deleted_at IS NULL AND a.released_at IS NULL
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
    """Add to schema 1. The caller holds the transaction."""
    for statement in _STATEMENTS:
        connection.execute(statement)
