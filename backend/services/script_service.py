"""The `script` stage: the text that will be spoken. Runs in the service process.

Manual text is taken as it is written. Writing a text from a topic needs a language model; without one the
stage fails with `script_model_missing`, because an invented sentence would be a fake.
"""

from __future__ import annotations

from backend.models.codes import ErrorCode
from backend.models.errors import FieldError, InputError, RequestError
from backend.models.job import JobCreate


def check_script(script: str, max_chars: int) -> None:
    """Raise `validation_failed` when the script is longer than the settings allow, or holds no word."""
    if len(script) > max_chars:
        raise RequestError(
            ErrorCode.VALIDATION_FAILED,
            f"The script has {len(script)} characters; at most {max_chars} are accepted.",
            hint="Split it into several jobs, or raise MAX_SCRIPT_CHARS in .env.",
            fields=(FieldError("script_input", f"at most {max_chars} characters"),),
        )
    check_speakable(script)


def check_speakable(script: str) -> None:
    """Raise `validation_failed` for a script without a single letter or digit: nobody can read it aloud."""
    if not any(char.isalnum() for char in script):
        raise RequestError(
            ErrorCode.VALIDATION_FAILED,
            "The script holds no word that could be spoken.",
            hint="Write at least one word.",
            fields=(FieldError("script_input", "needs at least one letter or digit"),),
        )


def script_of(request: JobCreate) -> str:
    """The text to speak. Raises InputError(`script_model_missing`) for a topic without a model."""
    if request.script_mode == "auto":
        raise InputError(
            ErrorCode.SCRIPT_MODEL_MISSING,
            "No language model is set up that could write the script.",
            hint='Write the text yourself and send script_mode "manual".',
        )
    return request.script_input.strip()
