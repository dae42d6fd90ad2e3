"""Takes out of a text what nobody else should read: keys, passwords, and where this person's files lie.

Runs in the service process, no I/O. Used for everything that leaves the machine's own log files: the page's log view
and the support bundle.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

HIDDEN = "***"
# Shorter ones would take ordinary words out of every line; two Chinese characters are a name.
_MIN_SECRET_CHARS = 4
_MIN_FOREIGN_CHARS = 2


def _without_query(address: re.Match[str]) -> str:
    return f"{address[1]}?{HIDDEN}" if address[2] else address[0]


# Anybody may have written a line, so each takes time in proportion to its length: none may begin at every place of a
# run of characters and read to the end of that run each time. What begins with a run looks back first, what may go on
# for long always matches, and what needs a mark at its end cannot read past the next beginning.
_PATTERNS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    # Our own keys, Hugging Face's, OpenAI's, webhook secrets, GitHub's.
    (re.compile(r"\b(aio_|hf_|sk-|whsec_|ghp_|github_pat_)[A-Za-z0-9_\-+/=]{8,}"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=\-]{6,}"), rf"\1 {HIDDEN}"),
    (
        re.compile(
            r"(?i)([\"']?(?:authorization|x-api-key|api[_-]?key|access[_-]?token|token|secret|password|passwd|cookie|aio_session)"
            r"[\"']?\s*[=:]\s*[\"']?)[^\s,;&\"']+"
        ),
        rf"\1{HIDDEN}",
    ),
    # user:password@ of an address.
    (re.compile(r"://[^\s/@]+@"), f"://{HIDDEN}@"),
    # What follows the question mark of an address is signed, or private, more often than not.
    (re.compile(r"(?i)\b(https?://[^\s?\"']+)(\?[^\s\"']+)?"), _without_query),
    # Somebody's address.
    (re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+\.[\w.-]+\b"), HIDDEN),
    # Homes of other people and systems, as Windows, macOS and Linux name them.
    (re.compile(r"(?i)\b([a-z]:[\\/]+users[\\/]+)[^\\/\s\"':]+"), "~"),
    (re.compile(r"(?<![\w.])/(?:home|Users)/[^/\s\"':]+"), "~"),
)


class Redactor:
    """`folders`: paths and the words that stand for them (`~`, `data`); `secrets`: values that may stand nowhere."""

    def __init__(self, *, folders: Mapping[Path, str], secrets: Iterable[str | None] = ()) -> None:
        # The longest first: a data folder below the home is told as itself.
        known = sorted(
            {(spelled, word) for path, word in folders.items() for spelled in _spellings(path)},
            key=lambda pair: -len(pair[0]),
        )
        self._folders = [(re.compile(re.escape(spelled), re.IGNORECASE), word) for spelled, word in known]
        self._secrets = sorted(
            {secret for secret in secrets if secret and _is_long_enough(secret)},
            key=len,
            reverse=True,
        )

    def clean(self, text: str) -> str:
        """The text without them."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        for pattern, word in self._folders:
            text = pattern.sub(lambda _match, told=word: told, text)  # type: ignore[misc]
        for pattern, told in _PATTERNS:
            text = pattern.sub(told, text)
        return text


def _is_long_enough(secret: str) -> bool:
    return len(secret) >= (_MIN_SECRET_CHARS if secret.isascii() else _MIN_FOREIGN_CHARS)


def _spellings(path: Path) -> set[str]:
    """A path as logs write it: with either slash, and with the doubled ones of `repr` and JSON."""
    text = str(path)
    if len(text) <= len(path.anchor) or not path.is_absolute():
        return set()  # "/" stands in every line
    return {text, text.replace("\\", "/"), text.replace("\\", "\\\\")}
