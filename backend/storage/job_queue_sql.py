"""The SQL of the queue, as named constants: what is hot here has an EXPLAIN test.

`FENCED` is the fence: a write counts only while the same claim still owns the job.
"""

from __future__ import annotations

FENCED = "job_id = :job_id AND attempt = :attempt AND lease_owner = :lease_owner AND state = 'running'"

INSERT_JOB = """
INSERT INTO jobs (job_id, owner, title, search_text, priority, request_json, request_sha256, idempotency_key,
                  engine_plan_json, selected_engine, fallback_reason, seed, draft, notice_json, retry_of,
                  batch_id, folder_id, promoted_from, created_at, updated_at)
VALUES (:job_id, :owner, :title, :search_text, :priority, :request_json, :request_sha256, :idempotency_key,
        :engine_plan_json, :selected_engine, :fallback_reason, :seed, :draft, :notice_json, :retry_of,
        :batch_id, :folder_id, :promoted_from, :now, :now)
RETURNING *
"""

INSERT_STAGES = """
INSERT INTO stages (job_id, name, position) SELECT :job_id, value, key FROM json_each(:names)
"""

INSERT_VOICES = "INSERT INTO job_voices (voice_id, seq) SELECT DISTINCT value, :seq FROM json_each(:voices)"

# A file that goes in this very moment is no input: the stage that misses it says so.
INSERT_INPUTS = """
INSERT INTO job_inputs (job_id, role, file_id)
SELECT :job_id, i.key, f.file_id FROM json_each(:inputs) i JOIN files f ON f.file_id = i.value
WHERE f.deleted_at IS NULL
"""

BY_IDEMPOTENCY_KEY = "SELECT * FROM jobs WHERE owner = :owner AND idempotency_key = :key"

# `state = 'queued'` lets the partial index answer; the LIMIT keeps the count as cheap as the limit.
COUNT_QUEUED = "SELECT count(*) FROM (SELECT 1 FROM jobs WHERE state = 'queued' LIMIT :limit)"

# Order: priority, then the owner served longest ago, then first come first served. `served_seq`
# counts claims instead of reading a clock, so that two claims in one millisecond keep their order. The plus
# keeps SQLite from the index on run_after: nearly every waiting job is due, so that of the order is better.
CLAIM = """
UPDATE jobs SET state = 'running', attempt = attempt + 1, lease_owner = :lease_owner,
  lease_expires_at = :now + :lease_ms, started_at = COALESCE(started_at, :now), updated_at = :now,
  served_seq = (SELECT COALESCE(MAX(served_seq), 0) + 1 FROM jobs),
  progress = 0, stage = NULL, message = '', eta_s = NULL
WHERE state = 'queued' AND seq = (
  SELECT j.seq FROM jobs j
  WHERE j.state = 'queued' AND +j.run_after <= :now
    AND (:engines IS NULL OR j.selected_engine IN (SELECT value FROM json_each(:engines)))
    AND NOT EXISTS (SELECT 1 FROM settings_kv WHERE key = 'queue_paused')
  ORDER BY j.priority DESC,
    (SELECT COALESCE(MAX(s.served_seq), 0) FROM jobs s WHERE s.owner = j.owner), j.seq
  LIMIT 1)
RETURNING *
"""

NEXT_WAKE = "SELECT MIN(run_after) FROM jobs WHERE state = 'queued' AND run_after > :now"

# The order in which CLAIM will serve what waits now: owners take turns within a priority, in the order in
# which their turns come now. Exact for the highest priority that waits; below it an estimate, because
# serving those above changes whose turn it is.
_SERVED = "(SELECT COALESCE(MAX(s.served_seq), 0) FROM jobs s WHERE s.owner = {owner})"

POSITIONS = f"""
SELECT job_id, ROW_NUMBER() OVER (ORDER BY priority DESC, turn, served, first_seq) AS position FROM (
  SELECT j.job_id, j.priority,
    ROW_NUMBER() OVER (PARTITION BY j.owner, j.priority ORDER BY j.seq) AS turn,
    MIN(j.seq) OVER (PARTITION BY j.owner, j.priority) AS first_seq,
    {_SERVED.format(owner="j.owner")} AS served
  FROM jobs j WHERE j.state = 'queued')
"""

# The same place for the one job `j` by counting instead of sorting all that wait: those of a higher priority,
# the owner's own before it, and of every other owner as many as have their turn before it.
_TURN = """(SELECT count(*) FROM jobs w WHERE w.state = 'queued' AND w.owner = j.owner
  AND w.priority = j.priority AND w.seq <= j.seq)"""
_POSITION_OF_J = f"""(
  SELECT {_TURN} + (SELECT count(*) FROM jobs w WHERE w.state = 'queued' AND w.priority > j.priority)
    + COALESCE(SUM(MIN(o.waiting, {_TURN} - ((o.served, o.first_seq) > ({_SERVED.format(owner="j.owner")},
        (SELECT MIN(w.seq) FROM jobs w WHERE w.state = 'queued' AND w.owner = j.owner
         AND w.priority = j.priority))))), 0)
  FROM (SELECT count(*) AS waiting, MIN(w.seq) AS first_seq, {_SERVED.format(owner="w.owner")} AS served
        FROM jobs w WHERE w.state = 'queued' AND w.priority = j.priority AND w.owner <> j.owner
        GROUP BY w.owner) o)"""

POSITION = f"SELECT {_POSITION_OF_J} FROM jobs j WHERE j.job_id = :job_id AND j.state = 'queued'"

# INDEXED BY: without statistics SQLite would rather read all jobs in order than sort the few that run.
OWNED_BY_OTHERS = """
SELECT * FROM jobs INDEXED BY jobs_running WHERE state = 'running' AND lease_owner <> :boot
  AND substr(lease_owner, 1, length(:boot) + 1) <> :boot || '/' ORDER BY seq
"""

OWNED_BY_BOOT = """
SELECT * FROM jobs INDEXED BY jobs_running WHERE state = 'running'
  AND (lease_owner = :boot OR substr(lease_owner, 1, length(:boot) + 1) = :boot || '/') ORDER BY seq
"""

CHECK_FENCE = f"SELECT * FROM jobs WHERE {FENCED}"

RENEW_LEASE = f"UPDATE jobs SET lease_expires_at = :expires WHERE {FENCED} RETURNING cancel_requested_at"

# 99: one hundred means that the result was verified, which only SUCCEED may say.
PROGRESS = f"""
UPDATE jobs SET progress = MAX(progress, MIN(:percent, 99.0)), stage = COALESCE(:stage, stage),
  message = COALESCE(:message, message), eta_s = :eta_s, updated_at = :now
WHERE {FENCED} RETURNING *
"""

BEGIN_STAGE = """
UPDATE stages SET state = 'running', attempt = :attempt, started_at = :now, finished_at = NULL, detail = :detail
WHERE job_id = :job_id AND name = :name AND state <> 'completed' RETURNING name
"""

COMPLETE_STAGE = """
UPDATE stages SET state = 'completed', finished_at = :now, detail = COALESCE(:detail, detail)
WHERE job_id = :job_id AND name = :name AND state = 'running' AND attempt = :attempt RETURNING name
"""

# Stages to be redone lose their completion; what is not named keeps its work.
RESET_STAGES = """
UPDATE stages SET state = 'pending', finished_at = NULL, detail = ''
WHERE job_id = :job_id AND (state IN ('running','failed')
  OR (state = 'completed' AND name IN (SELECT value FROM json_each(:redo))))
"""

DROP_ARTIFACTS = """
DELETE FROM artifacts WHERE job_id = :job_id AND stage IN (SELECT value FROM json_each(:redo)) RETURNING file_id
"""

DROP_ARTIFACT = "DELETE FROM artifacts WHERE job_id = :job_id AND name = :name RETURNING file_id"

# The stage will write its files to the same places again, so a collector that unlinked them by the old row
# might hit the new bytes. Hence purged at once: until they are overwritten the old bytes are orphans,
# which the sweep takes when the job has ended.
FORGET_FILES = """
UPDATE files SET deleted_at = :now, purged_at = :now
WHERE deleted_at IS NULL AND file_id IN (SELECT value FROM json_each(:file_ids))
  AND substr(rel_path, 1, length(:folder)) = :folder
  AND NOT EXISTS (SELECT 1 FROM file_holders h WHERE h.file_id = files.file_id)
"""

FAIL_STAGES = """
UPDATE stages SET state = 'failed', finished_at = :now WHERE job_id = :job_id AND state = 'running'
"""

CLOSE_HOP = """
UPDATE attempts SET finished_at = :now, outcome = :outcome, exit_code = :exit_code, error_code = :error_code,
  error_message = :error_message, detail = CASE WHEN :detail = '' THEN detail ELSE :detail END
WHERE job_id = :job_id AND finished_at IS NULL
"""

OPEN_HOP = """
INSERT INTO attempts (job_id, attempt, stage, engine, worker_id, started_at, detail)
VALUES (:job_id, :attempt, :stage, :engine, :worker_id, :now, :detail) RETURNING attempt_id
"""

SET_WORKER = "UPDATE attempts SET worker_id = :worker_id WHERE job_id = :job_id AND finished_at IS NULL"

REQUEUE = f"""
UPDATE jobs SET state = 'queued', lease_owner = NULL, lease_expires_at = NULL, run_after = :run_after,
  selected_engine = COALESCE(:engine, selected_engine), fallback_reason = COALESCE(:reason, fallback_reason),
  lost_attempts = lost_attempts + :lost, message = :message, eta_s = NULL, updated_at = :now
WHERE {FENCED} RETURNING *
"""

SUCCEED = f"""
UPDATE jobs SET state = 'succeeded', lease_owner = NULL, lease_expires_at = NULL, progress = 100,
  stage = 'finish', message = :message, eta_s = NULL, draft = :draft, notice_json = :notice_json,
  result_file_id = :result_file_id, finished_at = :now, updated_at = :now
WHERE {FENCED} RETURNING *
"""

FAIL = f"""
UPDATE jobs SET state = 'failed', lease_owner = NULL, lease_expires_at = NULL, message = :error_message,
  eta_s = NULL, error_code = :error_code, error_message = :error_message, error_hint = :error_hint,
  lost_attempts = lost_attempts + :lost, finished_at = :now, updated_at = :now
WHERE {FENCED} RETURNING *
"""

FINISH_CANCELLED = f"""
UPDATE jobs SET state = 'cancelled', lease_owner = NULL, lease_expires_at = NULL, message = :message,
  eta_s = NULL, cancel_requested_at = COALESCE(cancel_requested_at, :now), finished_at = :now, updated_at = :now
WHERE {FENCED} RETURNING *
"""

CANCEL_QUEUED = """
UPDATE jobs SET state = 'cancelled', cancel_requested_at = :now, finished_at = :now, updated_at = :now,
  message = :message, eta_s = NULL
WHERE job_id = :job_id AND state = 'queued' RETURNING *
"""

FLAG_CANCEL = """
UPDATE jobs SET cancel_requested_at = :now, updated_at = :now
WHERE job_id = :job_id AND state = 'running' AND cancel_requested_at IS NULL RETURNING *
"""

# Once: a stage that is redone adds nothing.
ADD_SEARCHED = """
UPDATE jobs SET search_text = search_text || char(10) || :text
WHERE job_id = :job_id AND NOT instr(search_text, :text)
"""

SOFT_DELETE = """
UPDATE jobs SET deleted_at = :now, updated_at = :now, idempotency_key = NULL
WHERE job_id = :job_id AND deleted_at IS NULL AND state IN ('succeeded','failed','cancelled')
  AND NOT (:spare_starred AND starred = 1) RETURNING *
"""

# Artifacts of the job that nobody else holds: shared ones stay for the retries that use them.
DELETE_FREED_ARTIFACTS = """
UPDATE files SET deleted_at = :now
WHERE deleted_at IS NULL AND file_id IN (SELECT file_id FROM artifacts WHERE job_id = :job_id)
  AND NOT EXISTS (SELECT 1 FROM file_holders h WHERE h.file_id = files.file_id)
RETURNING *
"""

INSERT_FILE = """
INSERT INTO files (file_id, kind, rel_path, bytes, sha256, media_type, original_name, meta_json, created_at)
VALUES (:file_id, :kind, :rel_path, :bytes, :sha256, :media_type, :original_name, :meta_json, :now)
RETURNING *
"""

PUT_ARTIFACT = """
INSERT INTO artifacts (job_id, name, stage, file_id, created_at)
VALUES (:job_id, :name, :stage, :file_id, :now)
"""

SHARE_STAGES = """
UPDATE stages SET state = 'completed', started_at = source.started_at, finished_at = source.finished_at,
  detail = 'taken over from ' || :source_id
FROM (SELECT name, started_at, finished_at FROM stages WHERE job_id = :source_id AND state = 'completed') AS source
WHERE stages.job_id = :job_id AND stages.name = source.name
  AND stages.name IN (SELECT value FROM json_each(:names))
"""

SHARE_ARTIFACTS = """
INSERT INTO artifacts (job_id, name, stage, file_id, created_at)
SELECT :job_id, name, stage, file_id, :now FROM artifacts
WHERE job_id = :source_id AND stage IN (SELECT value FROM json_each(:names))
"""

# A file that was deleted with its voice or portrait, or replaced, is no input any more.
SHARE_INPUTS = """
INSERT INTO job_inputs (job_id, role, file_id)
SELECT :job_id, i.role, i.file_id FROM job_inputs i JOIN files f USING (file_id)
WHERE i.job_id = :source_id AND f.deleted_at IS NULL
"""

INSERT_EVENT = """
INSERT INTO job_events (job_id, type, data_json, at) VALUES (:job_id, :type, :data_json, :now) RETURNING event_id
"""

# The outbox: one row for each registered webhook that wants the event, one for the webhook that the job names.
# The message's id is made here, so it stays the same however often it is sent.
QUEUE_DELIVERIES = """
INSERT INTO webhook_deliveries (message_id, hook_id, url, job_id, type, due_at, created_at)
SELECT 'msg_' || lower(hex(randomblob(16))), h.hook_id, NULL, :job_id, :type, :now, :now FROM webhooks h
WHERE EXISTS (SELECT 1 FROM json_each(h.events_json) WHERE value = :type)
UNION ALL
SELECT 'msg_' || lower(hex(randomblob(16))), NULL, json_extract(j.request_json, '$.webhook.url'), j.job_id, :type,
  :now, :now FROM jobs j
WHERE j.job_id = :job_id AND json_extract(j.request_json, '$.webhook.url') IS NOT NULL
  AND EXISTS (SELECT 1 FROM json_each(j.request_json, '$.webhook.events') WHERE value = :type)
"""

EVENTS_SINCE = """
SELECT event_id, job_id, type, data_json, at FROM job_events WHERE event_id > :last_id
ORDER BY event_id LIMIT :limit
"""

EVENTS_OF_JOB_SINCE = """
SELECT event_id, job_id, type, data_json, at FROM job_events WHERE job_id = :job_id AND event_id > :last_id
ORDER BY event_id LIMIT :limit
"""

LATEST_EVENT_ID = "SELECT COALESCE(MAX(event_id), 0) FROM job_events"

BY_ID = "SELECT * FROM jobs WHERE job_id = :job_id"

CANCEL_FLAG = "SELECT cancel_requested_at IS NOT NULL, state FROM jobs WHERE job_id = :job_id"

COUNTS = """
SELECT state, fallback_reason IS NOT NULL AS fell_back, cancel_requested_at IS NOT NULL AS cancelling,
  count(*) AS jobs
FROM jobs WHERE deleted_at IS NULL GROUP BY 1, 2, 3
"""

# One statement is one snapshot, and one hop to a reader's thread instead of five.
_FILE_JSON = """
json_object('file_id', f.file_id, 'kind', f.kind, 'rel_path', f.rel_path, 'bytes', f.bytes, 'sha256', f.sha256,
  'media_type', f.media_type, 'original_name', f.original_name, 'meta_json', f.meta_json,
  'created_at', f.created_at, 'deleted_at', f.deleted_at, 'purged_at', f.purged_at)
"""

VIEW = f"""
SELECT j.*,
  (SELECT json_group_array(json_object('name', s.name, 'state', s.state, 'attempt', s.attempt,
     'started_at', s.started_at, 'finished_at', s.finished_at, 'detail', s.detail))
   FROM (SELECT * FROM stages WHERE job_id = j.job_id ORDER BY position) s) AS stages,
  (SELECT json_group_array(json_object('attempt_id', a.attempt_id, 'attempt', a.attempt, 'stage', a.stage,
     'engine', a.engine, 'worker_id', a.worker_id, 'started_at', a.started_at, 'finished_at', a.finished_at,
     'outcome', a.outcome, 'exit_code', a.exit_code, 'error_code', a.error_code,
     'error_message', a.error_message, 'detail', a.detail))
   FROM (SELECT * FROM attempts WHERE job_id = j.job_id ORDER BY attempt_id) a) AS attempts,
  (SELECT json_group_array(json_object('name', r.name, 'stage', r.stage, 'file', {_FILE_JSON}))
   FROM artifacts r JOIN files f USING (file_id) WHERE r.job_id = j.job_id) AS artifacts,
  (SELECT json_group_object(i.role, {_FILE_JSON})
   FROM job_inputs i JOIN files f USING (file_id) WHERE i.job_id = j.job_id) AS inputs,
  CASE WHEN j.state = 'queued' THEN {_POSITION_OF_J} ELSE 0 END AS queue_position
FROM jobs j WHERE j.job_id = :job_id
"""
