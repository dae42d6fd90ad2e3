"""The protocol's vocabulary as the worker knows it: message types and their fields. Worker process.

Standard library only. The service keeps the same table in `backend/engines/protocol.py`; a contract
test compares the two and docs/protocol.md. The worker never imports the service, so the table exists
twice on purpose: each side must be readable, and runnable, without the other.
"""

from __future__ import annotations

PROTOCOL_VERSION = 1

# A longer line is a fault, not a message: bulk data travels as files. 1 MiB is far above any honest
# message and far below what would hurt the reader's memory.
MAX_LINE_BYTES = 1024 * 1024

# Exit statuses of the host. 64 and 65 are read by the service's failure table.
EXIT_OK = 0
EXIT_PROTOCOL = 64  # the first message was wrong, or a line could not be understood
EXIT_START_FAILED = 65  # the handler could not be imported or loaded; `fatal` says why
EXIT_PARENT_GONE = 71  # the service is gone: end of file on stdin, or another parent process

# A line of this shape on the log pipe marks "everything printed before the result lies above".
DRAIN_PREFIX = "@drain:"

# The code a task's result carries when it stopped because it was asked to. Not an error code.
CANCELLED = "cancelled"

ENVELOPE = ("v", "seq", "type")

PARENT_TO_WORKER: dict[str, tuple[str, ...]] = {
    "init": (
        "protocol",
        "worker_id",
        "parent_pid",
        "engine",
        "engine_root",
        "device",
        "dirs",
        "heartbeat_s",
        "options",
    ),
    "run": (
        "job_id",
        "attempt",
        "task",
        "model",
        "inputs",
        "params",
        "output_dir",
        "seed",
        "deadline_s",
    ),
    "cancel": ("job_id", "attempt", "reason"),
    "unload": (),
    "ping": ("nonce",),
    "shutdown": ("grace_s",),
}

WORKER_TO_PARENT: dict[str, tuple[str, ...]] = {
    "hello": ("protocol", "worker_version", "pid", "python", "platform", "capabilities"),
    "ready": ("engine_version", "torch", "cuda", "devices", "models", "load_s", "data"),
    "state": ("state", "model"),
    "heartbeat": ("state", "job_id", "rss_mib", "vram_used_mib", "vram_peak_mib", "quiet_s"),
    "accepted": ("job_id", "attempt"),
    "progress": ("job_id", "attempt", "stage", "fraction", "step", "steps", "eta_s", "message"),
    "log": ("level", "logger", "message", "job_id"),
    "artifact": (
        "job_id",
        "attempt",
        "role",
        "path",
        "bytes",
        "sha256",
        "media_type",
        "width",
        "height",
        "fps",
        "duration_s",
    ),
    "result": ("job_id", "attempt", "ok", "error", "data", "metrics", "drain"),
    "fatal": ("code", "message", "detail"),
    "pong": ("nonce",),
    "bye": ("reason",),
}

WORKER_STATES = ("importing", "loading", "idle", "running", "cancelling", "unloading")
