"""What a person reads when an engine fails: one sentence and one piece of advice per code. Service process.

The raw text of a failure never reaches a caller; it goes to the log and, without paths, to the attempts
table. Sentences from a worker's own `TaskError` replace the sentence here, never the advice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from backend.models.codes import ErrorCode


@dataclass(frozen=True)
class FailureText:
    """`sentence` takes the engine's name as `{engine}`; `hint` says what to do."""

    sentence: str
    hint: str


_LOG = "logs/worker.log has the details."

TEXTS: dict[ErrorCode, FailureText] = {
    ErrorCode.AUDIO_UNREADABLE: FailureText(
        "The audio could not be read.", "Use a WAV, MP3, M4A, FLAC or OGG file that plays in a media player."
    ),
    ErrorCode.VOICE_TOO_SHORT: FailureText(
        "The voice sample holds too little speech.",
        "Record at least 3 seconds of one person speaking in a quiet room; 10 to 30 seconds are best.",
    ),
    ErrorCode.IMAGE_UNREADABLE: FailureText(
        "The picture could not be read.", "Save it again as JPEG or PNG and upload that."
    ),
    ErrorCode.VALIDATION_FAILED: FailureText(
        "The engine {engine} cannot do what was asked.", "Change what is named here, then send it again."
    ),
    ErrorCode.VOICE_NOT_FOUND: FailureText(
        "The engine {engine} does not know this voice.", "List the voices with GET /api/voices."
    ),
    ErrorCode.TOO_LARGE: FailureText(
        "What was given is too large.", "Make it smaller or shorter, then send it again."
    ),
    ErrorCode.FACE_NOT_FOUND: FailureText(
        "No face was found in the picture.",
        "Use a photo in which one face looks at the camera, well lit and not covered.",
    ),
    ErrorCode.FACE_TOO_SMALL: FailureText(
        "The face in the picture is too small.", "Crop the photo to head and shoulders, or use a larger one."
    ),
    ErrorCode.ENGINE_NOT_INSTALLED: FailureText(
        "The engine {engine} is not installed.", "Run its installer in the project folder, or choose another."
    ),
    ErrorCode.ENGINE_UNAVAILABLE: FailureText(
        "The engine {engine} failed several times in a row and rests for a while.",
        f"It is tried again by itself. {_LOG}",
    ),
    ErrorCode.IMPORT_FAILED: FailureText(
        "The engine {engine} could not start.",
        f"A package of its environment is missing or broken: run the installer again. {_LOG}",
    ),
    ErrorCode.PROTOCOL_MISMATCH: FailureText(
        "The engine {engine} spoke in a way this version does not understand.",
        f"Update All-in-one and the engine together, then restart. {_LOG}",
    ),
    ErrorCode.MODEL_MISSING: FailureText(
        "The engine {engine} misses a model file.",
        "Download or verify its model in the page under Models; if it came with the installer, run that again.",
    ),
    ErrorCode.MODEL_DOWNLOAD: FailureText(
        "The engine {engine} could not download a model.",
        "Check the internet connection and the proxy settings; a gated model also needs a token.",
    ),
    ErrorCode.GPU_OOM: FailureText(
        "The graphics card ran out of memory.",
        "Close other programs that use it, or choose a lower resolution or a smaller model.",
    ),
    ErrorCode.GPU_FAULT: FailureText(
        "The graphics card reported a fault.",
        "It was tried with a fresh process; if it happens again, update the driver or restart the computer.",
    ),
    ErrorCode.GPU_UNSUPPORTED: FailureText(
        "The engine {engine} cannot use this graphics card or its driver.",
        "Update the NVIDIA driver; a card that stays unsupported can use the draft engine.",
    ),
    ErrorCode.HOST_OOM: FailureText(
        "The computer ran out of memory.",
        "Close other programs, or choose a shorter script or a lower resolution.",
    ),
    ErrorCode.WORKER_CRASHED: FailureText("The engine {engine} crashed.", f"Try again. {_LOG}"),
    ErrorCode.WORKER_KILLED: FailureText(
        "The engine {engine} was ended from outside.",
        "Another program, or a person, ended its process; try again.",
    ),
    ErrorCode.WORKER_LOST: FailureText(
        "The engine {engine} was stopped before it was done.", "The service was stopping; try again."
    ),
    ErrorCode.WORKER_HUNG: FailureText(
        "The engine {engine} stopped answering and was ended.", f"Try again. {_LOG}"
    ),
    ErrorCode.TIMEOUT: FailureText(
        "The engine {engine} did not finish in the time it was given.",
        "Use a shorter script or a lower resolution, or raise the time limit in the settings.",
    ),
    ErrorCode.NO_OUTPUT: FailureText(
        "The engine {engine} said it was done but left no usable file.", f"Try again. {_LOG}"
    ),
    ErrorCode.DISK_FULL: FailureText(
        "The disk is full.", "Free some space or delete old jobs, then try again."
    ),
    ErrorCode.INTERNAL_ERROR: FailureText("The engine {engine} failed unexpectedly.", _LOG),
}

# Two components at least: "and/or" and "24 kHz/s" are not paths. The last one is kept, because the
# name of a file often is the message.
_POSIX_PATH = re.compile(r"(?<![\w.:/])(?:~|\.{1,2})?/(?:[^\s/'\"<>|:,;()\[\]]+/)+")
_WINDOWS_PATH = re.compile(r"(?:\\\\\?\\)?(?:\b[A-Za-z]:|\\\\[^\s\\/]+)[\\/](?:[^\\/'\"<>|:*?\r\n]+[\\/])*")


def text_for(code: ErrorCode, engine: str) -> FailureText:
    """Sentence (with the engine's name in place) and hint of a code."""
    text = TEXTS.get(code, TEXTS[ErrorCode.INTERNAL_ERROR])
    return FailureText(text.sentence.format(engine=engine), text.hint)


def strip_paths(text: str) -> str:
    """The text with the folders of every absolute path removed; file names stay."""
    return _POSIX_PATH.sub("", _WINDOWS_PATH.sub("", text))
