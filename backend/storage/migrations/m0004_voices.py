"""Schema 4: what enrolment makes of a voice: its reference, its match, and how near that comes.

`match_state` holds what is done; that a match is being refined is not stored, because a crash would make it a lie.
`match_tries` counts refinements that were begun, so that one that kills its worker is not begun for ever.
"""

from __future__ import annotations

import sqlite3

_STATEMENTS = (
    "ALTER TABLE voices ADD COLUMN reference_file_id TEXT REFERENCES files(file_id)",
    "ALTER TABLE voices ADD COLUMN profile_file_id TEXT REFERENCES files(file_id)",
    "ALTER TABLE voices ADD COLUMN note TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE voices ADD COLUMN nearest_preset TEXT",
    "ALTER TABLE voices ADD COLUMN match_state TEXT NOT NULL DEFAULT 'none'"
    " CHECK (match_state IN ('none','fast','refined','failed'))",
    "ALTER TABLE voices ADD COLUMN match_tries INTEGER NOT NULL DEFAULT 0 CHECK (match_tries >= 0)",
    "ALTER TABLE voices ADD COLUMN match_reason TEXT CHECK (match_reason <> '')",
    "ALTER TABLE voices ADD COLUMN similarity_json TEXT CHECK (similarity_json IS NULL OR similarity_json GLOB '{*}')",
    "CREATE INDEX voices_reference ON voices(reference_file_id)",
    "CREATE INDEX voices_profile ON voices(profile_file_id)",
    "CREATE INDEX voices_to_refine ON voices(created_at) WHERE match_state = 'fast' AND deleted_at IS NULL",
    """
    CREATE TRIGGER voices_match_begins_with_its_files BEFORE INSERT ON voices
    WHEN NEW.match_state IN ('fast','refined') AND (NEW.reference_file_id IS NULL OR NEW.profile_file_id IS NULL)
    BEGIN SELECT RAISE(ABORT, 'a match needs its reference and its profile'); END
    """,
    """
    CREATE TRIGGER voices_match_has_its_files BEFORE UPDATE OF match_state, reference_file_id, profile_file_id ON voices
    WHEN NEW.match_state IN ('fast','refined') AND (NEW.reference_file_id IS NULL OR NEW.profile_file_id IS NULL)
    BEGIN SELECT RAISE(ABORT, 'a match needs its reference and its profile'); END
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
      SELECT v.reference_file_id, v.voice_id FROM voices v
        WHERE v.deleted_at IS NULL AND v.reference_file_id IS NOT NULL
      UNION ALL
      SELECT v.profile_file_id, v.voice_id FROM voices v WHERE v.deleted_at IS NULL AND v.profile_file_id IS NOT NULL
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
    """Add to schema 3. The caller holds the transaction."""
    for statement in _STATEMENTS:
        connection.execute(statement)
