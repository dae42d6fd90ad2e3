"""From what upstream says of a failure to one of the product's codes. Runs in the wan2gp worker; pure functions.

Flow: stage and message of the result, the last lines it printed, the notices it gave -> `TaskError`. Upstream replaces
the text of a CUDA error by a sentence about its settings and prints the original, so both are read. The sentences for a
person are ours; upstream's go into `detail`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from workers.handler import TaskError

_MODELS_PAGE = "under Models in the page"
_DETAIL_CHARS = 1900
_MAX_CAUSES = 6


@dataclass(frozen=True)
class Report:
    """What is known of one generation that did not give a file."""

    stage: str = ""
    message: str = ""
    printed: Sequence[str] = ()
    notices: Sequence[str] = ()

    @property
    def detail(self) -> str:
        """For the log: the message first, then the end of what was printed."""
        head = f"{self.stage or 'no stage'}: {self.message}" + "".join(f" [{one}]" for one in self.notices)
        tail = "\n".join(self.printed)
        room = max(0, _DETAIL_CHARS - len(head[:_DETAIL_CHARS]) - 1)
        return head[:_DETAIL_CHARS] + ("\n" + tail[-room:] if tail and room else "")


@dataclass(frozen=True)
class _Row:
    """One row of the table. `poisons`: this process must not be given another task."""

    code: str
    sentence: str
    pattern: re.Pattern[str]
    poisons: bool = False


def _any(*phrases: str) -> re.Pattern[str]:
    return re.compile("|".join(phrases), re.IGNORECASE)


# Read in this order: what says more about the cause stands first. A broken CUDA context makes everything after it fail
# in many words; memory that ran out is often followed by other errors.
_TABLE = (
    _Row(
        "gpu_fault",
        "The GPU reported a fault while Wan2GP was working. The engine was restarted.",
        _any(
            "device-side assert",
            "illegal memory access",
            "illegal instruction was encountered",
            "misaligned address",
            "unspecified launch failure",
            "CUDA error: unknown error",
            "uncorrectable ECC error",
            "CUDA error: (?:the )?launch timed out",
            "CUDNN_STATUS_EXECUTION_FAILED",
            "CUBLAS_STATUS_EXECUTION_FAILED",
            "device lost",
            "GPU is lost",
        ),
        poisons=True,
    ),
    _Row(
        "gpu_unsupported",
        "This GPU or its driver does not fit the installed PyTorch. Update the driver, or run install_wan2gp again.",
        _any(
            "no kernel image",
            "driver version is insufficient",
            "no CUDA-capable device",
            "No CUDA GPUs are available",
            "Found no NVIDIA driver",
            "driver on your system is too old",
            "Torch not compiled with CUDA enabled",
        ),
        poisons=True,
    ),
    _Row(
        "host_oom",
        "The computer's memory was not enough for Wan2GP. Close other programs, or choose a smaller model.",
        _any(
            r"unsufficient RAM\b",
            "CUDA error: out of memory",
            "CUDA error: too many resources requested",
            "DefaultCPUAllocator",
            r"\bMemoryError\b",
            "std::bad_alloc",
            r"\[Errno 12\]",
            "Cannot allocate memory",
            "paging file is too small",
            r"WinError 1455",
            r"os error 1455",
        ),
        poisons=True,
    ),
    _Row(
        "gpu_oom",
        "The GPU's memory was not enough for this video.",
        _any(
            "unsufficient VRAM",
            "CUDA out of memory",
            r"OutOfMemoryError",
            "HIP out of memory",
            "Tried to allocate",
            "CUBLAS_STATUS_ALLOC_FAILED",
            "CUDNN_STATUS_ALLOC_FAILED",
            "cudaErrorMemoryAllocation",
        ),
    ),
    _Row(
        # Whatever else CUDA says: nobody knows whether this process can use the GPU again.
        "gpu_fault",
        "The GPU reported a fault while Wan2GP was working. The engine was restarted.",
        _any("CUDA error:", "CUDA driver error", r"Triton Error \[CUDA\]"),
        poisons=True,
    ),
    _Row(
        "disk_full",
        "The disk is full.",
        _any(
            "No space left on device",
            r"\[Errno 28\]",
            r"\[WinError 112\]",
            r"os error 112\)",
            "Disk quota exceeded",
        ),
    ),
    _Row(
        "model_missing",
        f"The weights of this model are damaged. Verify and repair them {_MODELS_PAGE}.",
        _any(
            "Failed to load safetensors file",
            "SafetensorError",
            "Error while deserializing header",
            "HeaderTooLarge",
            "MetadataIncompleteBuffer",
            "InvalidHeader",
            "PytorchStreamReader",
            "UnpicklingError",
            "invalid load key",
            "Ran out of input",
            "size mismatch for",
        ),
    ),
    _Row(
        "model_missing",
        f"Weights of this model are missing. Download them {_MODELS_PAGE}.",
        _any(
            "locate the file on the Hub",
            "Unable to locate (?:file|folder) '",
            "is invalid for Model",
            "LocalEntryNotFoundError",
            "OfflineModeIsEnabled",
            "outgoing traffic has been disabled",
            "cannot find the requested files",
            "We couldn't connect to",
            "HF_HUB_OFFLINE",
            r"urlopen error",
            r"Can't load (?:tokenizer|feature extractor|image processor|the configuration|config) for",
            r"No such file or directory: .*\.(?:safetensors|pth|pt|bin|ckpt|onnx|gguf)\b",
        ),
    ),
    _Row(
        "image_unreadable",
        "Wan2GP could not read the portrait.",
        _any("cannot identify image file", "image file is truncated"),
    ),
    _Row(
        "audio_unreadable",
        "Wan2GP could not read the speech.",
        _any("Error opening .*(?:wav|audio)", "Format not recognised", "NoBackendError"),
    ),
)

_VALIDATION = "validation"
# Errors of this stage leave upstream's own thread running: what it writes would turn up in the next job.
_RUNTIME = "runtime"


def failure_of(report: Report) -> TaskError:
    """The error of a generation that failed. Never raises."""
    if report.stage == _VALIDATION:  # before the table: its message may quote the prompt
        return TaskError(
            "validation_failed",
            "Wan2GP refused what it was asked for. See the log for its reason.",
            detail=report.detail,
        )
    poisons = report.stage == _RUNTIME
    for row in _TABLE:
        if row.pattern.search(report.message):
            return _error(row, report, poisons)
    # Only what follows the last traceback belongs to this failure; earlier lines may tell of troubles that passed.
    last_words = _last_traceback(report.printed)
    for row in _TABLE:
        if row.pattern.search(last_words):
            return _error(row, report, poisons)
    return TaskError(
        "internal_error",
        "Wan2GP failed while making the video. See the log for its reason.",
        detail=report.detail,
        poisons_worker=poisons,
    )


def nothing_made(report: Report) -> TaskError:
    """The error of a generation that upstream calls a success although it left no file."""
    words = "\n".join([*report.notices, *report.printed])
    for row in _TABLE:
        # A full disk is swallowed by the code that writes the file; the rest would have been an error.
        if row.code == "disk_full" and row.pattern.search(words):
            return _error(row, report, poisons=False)
    return TaskError("no_output", "Wan2GP said it was done but made no file.", detail=report.detail)


def start_failure(error: BaseException) -> TaskError:
    """The error of an upstream that could not be imported or initialised."""
    words = _chain(error)
    for row in _TABLE:
        if row.code in {"gpu_unsupported", "gpu_fault", "disk_full", "host_oom"} and row.pattern.search(
            words
        ):
            return TaskError(row.code, row.sentence, detail=words, poisons_worker=True)
    return TaskError(
        "import_failed",
        "The installation of Wan2GP is broken. Run install_wan2gp again; it repairs what is broken.",
        detail=words,
    )


def _chain(error: BaseException) -> str:
    """An error and what caused it: lazily imported packages hide the first behind the last."""
    words: list[str] = []
    link: BaseException | None = error
    while link is not None and len(words) < _MAX_CAUSES:
        words.append(f"{type(link).__name__}: {link}")
        link = link.__cause__ or link.__context__
    return ", caused by ".join(words)[:_DETAIL_CHARS]


def _error(row: _Row, report: Report, poisons: bool) -> TaskError:
    return TaskError(row.code, row.sentence, detail=report.detail, poisons_worker=row.poisons or poisons)


def _last_traceback(printed: Sequence[str]) -> str:
    for index in range(len(printed) - 1, -1, -1):
        if printed[index].startswith("Traceback"):
            return "\n".join(printed[index:])
    return ""
