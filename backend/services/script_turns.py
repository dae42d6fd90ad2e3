"""A script of two speakers as turns: who says what, in order. Pure; runs in the service process.

A line that begins with the name of a speaker and a colon (`A: …`, `B：…`) begins a turn; the lines below it belong to it.
What stands before the first such line is said by the first speaker. Everything else with a colon is text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from backend.models.speakers import COLONS, folded

# Around a name: language models set it in bold, with the colon inside or outside.
_BOLD = ("**", "__")


@dataclass(frozen=True)
class Turn:
    """What one speaker (0 or 1) says before the other one answers."""

    speaker: int
    text: str


def turns_of(script: str, names: Sequence[str], *, leading: bool = True) -> list[Turn]:
    """The turns, in order, no two neighbours by the same speaker; those without a letter or digit are left out.

    Without `leading`, what stands before the first name is left out too.
    """
    turns: list[Turn] = []
    speaker, start = 0, 0
    is_told = leading
    for at, end, following in _marks(script, names):
        if is_told:
            _add(turns, speaker, script[start:at])
        speaker, start, is_told = following, end, True
    if not is_told:
        return []
    _add(turns, speaker, script[start:])
    return turns


def silent_speakers(script: str, names: Sequence[str]) -> list[int]:
    """Which of the speakers have nothing to say."""
    heard = {turn.speaker for turn in turns_of(script, names)}
    return [speaker for speaker in range(len(names)) if speaker not in heard]


def without_names(script: str, names: Sequence[str]) -> str:
    """The script with spaces in the place of the marks, so that every other character stays where it is."""
    parts, start = [], 0
    for at, end, _ in _marks(script, names):
        parts += [script[start:at], " " * (end - at)]
        start = end
    return "".join([*parts, script[start:]])


def _marks(script: str, names: Sequence[str]) -> Iterator[tuple[int, int, int]]:
    """Where the script names a speaker (start and end of name, colon and bold marks), and whom."""
    known = {folded(name): speaker for speaker, name in enumerate(names)}
    line_start = 0
    for line in script.splitlines(keepends=True):
        found = _named(line, known)
        if found is not None:
            end, speaker = found
            yield line_start, line_start + end, speaker
        line_start += len(line)


def _named(line: str, known: dict[str, int]) -> tuple[int, int] | None:
    """Where the text behind a speaker's name begins in a line, and who it is."""
    colon = min((at for at in map(line.find, COLONS) if at >= 0), default=-1)
    if colon < 0:
        return None
    name = line[:colon].strip()
    bold = next((mark for mark in _BOLD if name.startswith(mark)), "")
    name = name[len(bold) :]
    is_closed = bool(bold) and name.endswith(bold)
    speaker = known.get(folded(name[: -len(bold)] if is_closed else name))
    if speaker is None:
        return None
    end = colon + 1
    # **A:** or **A: and the rest of it**
    return (end + len(bold) if bold and not is_closed and line.startswith(bold, end) else end), speaker


def _add(turns: list[Turn], speaker: int, text: str) -> None:
    text = text.strip()
    if not any(char.isalnum() for char in text):
        return
    if turns and turns[-1].speaker == speaker:
        turns[-1] = Turn(speaker, f"{turns[-1].text}\n{text}")
    else:
        turns.append(Turn(speaker, text))
