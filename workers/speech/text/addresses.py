"""Web and mail addresses, read the same way in every language. Runs in the speech worker.

Flow: a written address -> its host read with "dot", the path left out past its first step: nobody wants to hear
a query string, and everybody can read it on the screen.
"""

from __future__ import annotations

import re

from workers.speech.text.rules import Rule

_EMAIL = re.compile(r"(?<![A-Za-z0-9_.])[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_TOP_LEVEL = "com|org|net|cn|io|ai|edu|gov|dev|app|co|jp|uk|de|fr|eu|info|me|tv|xyz|html|py|js"
_URL = re.compile(
    r"(?:https?://|ftp://|www\.)[^\s\u3000-\u30ff\u4e00-\u9fff\uff00-\uffef<>\"“”‘’]+"
    rf"|(?<![A-Za-z0-9_.@/-])[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.(?:{_TOP_LEVEL})(?:/[A-Za-z0-9_./?=&%#-]*)?(?![A-Za-z0-9_])",
    re.IGNORECASE,
)
_TRAILING = ".,;:!?)]}'"


def spans(text: str) -> dict[int, int]:
    """Start -> end of every web and mail address in `text`, the marks of the sentence behind it left out."""
    if "." not in text:
        return {}
    found: dict[int, int] = {}
    for pattern in (_EMAIL, _URL):
        for match in pattern.finditer(text):
            if pattern is _URL and text[match.start() - 1 : match.start()] == "@":
                continue  # the host of a mail address
            found.setdefault(match.start(), match.start() + len(match[0].rstrip(_TRAILING)))
    return found


def _spell(text: str, dot: str) -> str:
    """A host or mailbox: its dots are said, its other marks are pauses between words."""
    named = text.replace(".", f" {dot} ")
    return re.sub(r"[^\w\s]|_", " ", named)


def email(at: str, dot: str) -> Rule:
    """The rule that reads a mail address with these words for @ and the dot."""

    def speak(match: re.Match[str]) -> str:
        mailbox, _, host = match[0].partition("@")
        return f" {_spell(mailbox, dot)} {at} {_spell(host, dot)} "

    return Rule(_EMAIL, speak)


def url(dot: str, slash: str) -> Rule:
    """The rule that reads a web address with these words for the dot and the slash."""

    def speak(match: re.Match[str]) -> str:
        address = re.sub(r"^(?:https?|ftp)://", "", match[0], flags=re.IGNORECASE)
        tail = address[len(address.rstrip(_TRAILING)) :]
        address = address.rstrip(_TRAILING)
        address = re.sub(r"^www\.", "", address, flags=re.IGNORECASE)
        host, _, path = address.partition("/")
        step = re.match(r"[A-Za-z0-9-]{1,20}(?=/?\Z)", path)
        spoken = _spell(host.split(":")[0], dot)
        if step:
            spoken += f" {slash} {_spell(step[0], dot)}"
        return f" {spoken} {tail if tail in set('.,;:!?') else ''}"

    return Rule(_URL, speak)
