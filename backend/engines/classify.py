"""The failure table: from what is known of a worker's failure to one code and one policy. Service process.

Pure data and pure functions. Evidence flows in (exit status, signal, text, the kernel's OOM counter, the
code the worker gave), a `Verdict` flows out. Sources: signal(7), POSIX errno, NTSTATUS values of
[MS-ERREF] 2.3.1, and the texts of PyTorch, CUDA and Hugging Face as they print them.
"""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from enum import Enum

from backend.engines.protocol import EXIT_PARENT_GONE, EXIT_PROTOCOL, EXIT_START_FAILED
from backend.models.codes import INPUT_CODES, ErrorCode


class FailurePolicy(str, Enum):
    """What may follow a failure. The engine router acts on it; nothing else decides."""

    NEVER = "never"  # neither this engine nor, for inputs, any other can do better
    RETRY_ONCE = "retry_once"  # the same engine once more, then the failure stands
    RETRY_THEN_FALLBACK = "retry_then_fallback"  # the same engine once more, then the next one
    LOWER_PROFILE_THEN_FALLBACK = "lower_profile_then_fallback"  # once more with less memory
    FALLBACK = "fallback"  # the next engine of the plan
    BACKOFF = "backoff"  # the same engine later
    PAUSE_QUEUE = "pause_queue"  # no job can succeed until a person acts

    @property
    def retries(self) -> bool:
        """Whether the same engine may be tried once more."""
        return self in _RETRYING


_RETRYING = frozenset(
    {
        FailurePolicy.RETRY_ONCE,
        FailurePolicy.RETRY_THEN_FALLBACK,
        FailurePolicy.LOWER_PROFILE_THEN_FALLBACK,
        FailurePolicy.BACKOFF,
    }
)

POLICIES: dict[ErrorCode, FailurePolicy] = {
    ErrorCode.ENGINE_NOT_INSTALLED: FailurePolicy.FALLBACK,
    ErrorCode.ENGINE_UNAVAILABLE: FailurePolicy.FALLBACK,
    ErrorCode.IMPORT_FAILED: FailurePolicy.FALLBACK,
    ErrorCode.PROTOCOL_MISMATCH: FailurePolicy.FALLBACK,
    ErrorCode.MODEL_MISSING: FailurePolicy.FALLBACK,
    ErrorCode.MODEL_DOWNLOAD: FailurePolicy.BACKOFF,
    ErrorCode.GPU_OOM: FailurePolicy.LOWER_PROFILE_THEN_FALLBACK,
    ErrorCode.GPU_FAULT: FailurePolicy.RETRY_THEN_FALLBACK,
    ErrorCode.GPU_UNSUPPORTED: FailurePolicy.FALLBACK,
    ErrorCode.HOST_OOM: FailurePolicy.FALLBACK,
    ErrorCode.WORKER_CRASHED: FailurePolicy.RETRY_THEN_FALLBACK,
    ErrorCode.WORKER_KILLED: FailurePolicy.RETRY_ONCE,
    ErrorCode.WORKER_LOST: FailurePolicy.RETRY_ONCE,
    ErrorCode.WORKER_HUNG: FailurePolicy.FALLBACK,
    ErrorCode.TIMEOUT: FailurePolicy.FALLBACK,
    ErrorCode.NO_OUTPUT: FailurePolicy.FALLBACK,
    ErrorCode.DISK_FULL: FailurePolicy.PAUSE_QUEUE,
    ErrorCode.INTERNAL_ERROR: FailurePolicy.FALLBACK,
}

# After these the process is not asked again: its memory or its GPU context cannot be trusted.
POISONING = frozenset({ErrorCode.GPU_OOM, ErrorCode.GPU_FAULT, ErrorCode.HOST_OOM, ErrorCode.GPU_UNSUPPORTED})

# These do not go away by trying again soon: the engine is marked unavailable at once.
CLOSING = frozenset({ErrorCode.GPU_UNSUPPORTED})

# Read in this order: what says more about the cause stands first. A fault often follows an exhausted
# memory, and "CUDA error" appears in nearly all of them.
TEXT_SIGNATURES: tuple[tuple[ErrorCode, tuple[str, ...]], ...] = (
    (
        ErrorCode.GPU_OOM,
        (
            "torch.outofmemoryerror",
            "torch.cuda.outofmemoryerror",
            "cuda out of memory",
            "cublas_status_alloc_failed",
            "cudnn_status_alloc_failed",
            "cudaerrormemoryallocation",
            "hip out of memory",
        ),
    ),
    (
        ErrorCode.GPU_UNSUPPORTED,
        ("no kernel image", "driver version is insufficient", "no cuda-capable device"),
    ),
    (
        ErrorCode.GPU_FAULT,
        (
            "device-side assert",
            "illegal memory access",
            "unspecified launch failure",
            "cuda error: unknown",
            "device lost",
        ),
    ),
    (ErrorCode.DISK_FULL, ("no space left on device", "[errno 28]", "[winerror 112]", "os error 112)")),
    (
        ErrorCode.HOST_OOM,
        (
            "memoryerror",
            "defaultcpuallocator: can't allocate",
            "std::bad_alloc",
            # Windows: the paging file is too small. By number: its sentence is in the language of the system, and it
            # often ends the import of torch.
            "winerror 1455",
            "os error 1455",
            "[errno 12]",
        ),
    ),
)

# Only while something is being downloaded: elsewhere a timeout or a 403 means something else.
_DOWNLOAD_TEXT = re.compile(
    r"\b40[13]\b|gated repo|name or service not known|getaddrinfo failed|temporary failure in name resolution"
    r"|failed to resolve|timed? ?out|connection (?:refused|reset|aborted)|max retries exceeded",
    re.IGNORECASE,
)
DOWNLOAD_STAGE = "download"

_EXIT_CODES: dict[int, ErrorCode] = {
    EXIT_PROTOCOL: ErrorCode.PROTOCOL_MISMATCH,
    EXIT_START_FAILED: ErrorCode.IMPORT_FAILED,
    EXIT_PARENT_GONE: ErrorCode.WORKER_LOST,
    # Windows, as unsigned 32 bit (Popen gives them so)
    0xC0000017: ErrorCode.HOST_OOM,  # STATUS_NO_MEMORY
    0xC000012D: ErrorCode.HOST_OOM,  # STATUS_COMMITMENT_LIMIT
    0xC0000005: ErrorCode.WORKER_CRASHED,  # STATUS_ACCESS_VIOLATION
    0xC0000409: ErrorCode.WORKER_CRASHED,  # STATUS_STACK_BUFFER_OVERRUN, also abort()
}
_SIGKILL = getattr(signal, "SIGKILL", 9)
# Polite requests to end that were not ours: a person or a service manager.
_ENDED_FROM_OUTSIDE = frozenset(
    {-signal.SIGTERM, -signal.SIGINT, -getattr(signal, "SIGHUP", signal.SIGTERM), -_SIGKILL}
)

# How much of a dead worker's log may speak about the cause of its death: older lines may tell of a
# trouble that the engine survived.
_LAST_LINES = 20


@dataclass(frozen=True)
class Evidence:
    """What is known. `exit_code` is Popen's: negative means a signal, None that the worker lives.

    `reported` is the code of a `result` or `fatal` message, `text` its detail, `log_tail` the last lines
    of the log pipe, `stage` the last reported stage, `was_ready` whether the worker had been loaded.
    """

    exit_code: int | None = None
    reported: str | None = None
    text: str = ""
    log_tail: str = ""
    stage: str = ""
    oom_kills_rose: bool = False
    was_ready: bool = True


@dataclass(frozen=True)
class Verdict:
    """The code, what may follow, and whether the process must be replaced."""

    code: ErrorCode
    policy: FailurePolicy
    poisons_worker: bool

    @classmethod
    def of(cls, code: ErrorCode) -> Verdict:
        return cls(code, policy_for(code), code in POISONING)


def policy_for(code: ErrorCode) -> FailurePolicy:
    """What may follow this code; codes that no engine gives are never tried again."""
    return FailurePolicy.NEVER if code in INPUT_CODES else POLICIES.get(code, FailurePolicy.NEVER)


def classify(evidence: Evidence) -> Verdict:
    """Name the failure. What the worker said itself comes first, then how it ended."""
    if evidence.reported is not None:
        return Verdict.of(_by_report(evidence))
    return Verdict.of(_by_exit(evidence))


def _by_report(evidence: Evidence) -> ErrorCode:
    try:
        code = ErrorCode(evidence.reported)
    except ValueError:
        code = ErrorCode.INTERNAL_ERROR
    if code not in (ErrorCode.INTERNAL_ERROR, ErrorCode.IMPORT_FAILED):
        return code
    # The host knows an exception by its type only; its text may know better.
    return _by_text(evidence.text, evidence.stage) or code


def _by_exit(evidence: Evidence) -> ErrorCode:
    status = evidence.exit_code
    if status is None:
        return ErrorCode.INTERNAL_ERROR
    known = _EXIT_CODES.get(status if status >= -64 else status & 0xFFFFFFFF)
    if known is not None:
        return known
    if status == -_SIGKILL and evidence.oom_kills_rose:
        return ErrorCode.HOST_OOM
    if status in _ENDED_FROM_OUTSIDE:
        return ErrorCode.WORKER_KILLED
    last_words = "\n".join(evidence.log_tail.splitlines()[-_LAST_LINES:])
    by_text = _by_text(last_words, evidence.stage)
    if by_text is not None:
        return by_text
    if status >= 0 and not evidence.was_ready:
        return ErrorCode.IMPORT_FAILED
    return ErrorCode.WORKER_CRASHED


def _by_text(text: str, stage: str) -> ErrorCode | None:
    lowered = text.lower()
    for code, phrases in TEXT_SIGNATURES:
        if any(phrase in lowered for phrase in phrases):
            return code
    if stage == DOWNLOAD_STAGE and _DOWNLOAD_TEXT.search(text):
        return ErrorCode.MODEL_DOWNLOAD
    return None
