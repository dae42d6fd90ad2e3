"""What is looked at before a script is accepted: its length, and that it says something. Runs in the service process."""

from __future__ import annotations

from backend.models.codes import ErrorCode
from backend.models.errors import FieldError, RequestError
from backend.models.script import MAX_TOPIC_CHARS


def check_script(script: str, max_chars: int, *, is_topic: bool = False) -> None:
    """Raise `validation_failed` when the script is longer than the settings allow, or holds no word.

    `is_topic`: it is what a text shall be written about, and has a bound of its own.
    """
    most = min(MAX_TOPIC_CHARS, max_chars) if is_topic else max_chars
    if len(script) > most:
        what = "topic" if is_topic else "script"
        raise RequestError(
            ErrorCode.VALIDATION_FAILED,
            f"The {what} has {len(script)} characters; at most {most} are accepted.",
            hint='If this is the text itself, send script_mode "manual".'
            if is_topic
            else "Split it into several jobs, or raise MAX_SCRIPT_CHARS in .env.",
            fields=(FieldError("script_input", f"at most {most} characters"),),
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
