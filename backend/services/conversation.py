"""Two people speak: each turn in its speaker's voice, then all of them as one recording. Runs in the service process.

In: the turns of a script, an order and an engine for each speaker. Out: a `Conversation`, which is a `Speech` with a
track for each speaker. Taking some sentences again speaks the turns that hold them and keeps the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backend.engines.speech.base import Manner, Report, Speech, SpeechOrder
from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure
from backend.services.script_turns import Turn
from backend.services.speech_service import SpeechService
from backend.utils.logger import app_logger
from backend.utils.media.wav_join import SpokenTurn, join_turns

# What of the progress is speaking; joining is copying.
_SPOKEN = 0.98


@dataclass(frozen=True)
class Part:
    """One speaker: `order` is what all turns have in common, `engine` who speaks them."""

    name: str
    engine: str
    order: SpeechOrder


@dataclass(frozen=True)
class Conversation(Speech):
    """A speech of two. `tracks`: WAVs as long as `wav`; `manners`: how each voice came about, None for who is silent."""

    tracks: tuple[Path, Path]
    manners: tuple[Manner | None, ...]


class ConversationSpeaker:
    """Speaks one script, as often as it is asked to. `turns` is never empty; `language` is that of the whole."""

    def __init__(
        self,
        speech: SpeechService,
        turns: Sequence[Turn],
        parts: Sequence[Part],
        *,
        language: str,
        job_id: str,
        attempt: int,
        deadline_s: float,
        cancelled: Callable[[], bool],
    ) -> None:
        self._speech = speech
        self._turns = turns
        self._parts = parts
        self._language = language
        self._job_id = job_id
        self._attempt = attempt
        self._deadline_s = deadline_s
        self._cancelled = cancelled
        # The first take of each turn (None: nothing in it can be spoken), and how many sentences it has.
        self._takes: list[Speech | None] = []
        self._sentences: tuple[int, ...] = ()

    async def speak(self, again: frozenset[int], work_dir: Path, report: Report) -> Conversation:
        """All turns, below `work_dir`; of the sentences `again` (by their index in the first time line) other takes.

        Raises EngineFailure or JobCancelled.
        """
        ends_at = asyncio.get_running_loop().time() + self._deadline_s
        wanted = self._by_turn(again)
        lengths = [len(turn.text) for turn in self._turns]
        total, done = sum(lengths), 0
        spoken: list[Speech | None] = []
        for number, turn in enumerate(self._turns):
            if self._takes and not wanted[number]:
                spoken.append(self._takes[number])
            else:
                start, end = (_SPOKEN * part / total for part in (done, done + lengths[number]))
                told = _told(report, start, end, f"Turn {number + 1} of {len(self._turns)}")
                folder = work_dir / f"turn-{number + 1:05d}"
                spoken.append(await self._turn(turn, wanted[number], folder, told, ends_at))
            done += lengths[number]
        report(_SPOKEN, "Joining the turns")
        whole = await self._join(spoken, work_dir)
        if not self._takes:
            self._takes = spoken
        return whole

    async def _turn(
        self, turn: Turn, again: frozenset[int], folder: Path, report: Report, ends_at: float
    ) -> Speech | None:
        """One turn; None when the engine finds nothing in it that could be spoken."""
        part = self._parts[turn.speaker]
        left_s = ends_at - asyncio.get_running_loop().time()
        if left_s <= 0:
            raise EngineFailure(
                ErrorCode.TIMEOUT,
                f"The conversation was not spoken within {self._deadline_s:.0f} s.",
                hint="Shorten the script, or raise JOB_DEADLINE_S in .env.",
            )
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        try:
            return await self._speech.speak(
                part.engine,
                replace(part.order, text=turn.text, again=again),
                job_id=self._job_id,
                attempt=self._attempt,
                work_dir=folder,
                deadline_s=left_s,
                report=report,
                cancelled=self._cancelled,
                language=self._language,
            )
        except EngineFailure as error:
            if error.code is not ErrorCode.VALIDATION_FAILED or len(self._turns) == 1:
                raise
            # As a sentence that cannot be spoken is passed over in the speech of one.
            app_logger.warning("a turn of %s is passed over: %s", part.name, error.detail)
            return None

    async def _join(self, spoken: Sequence[Speech | None], work_dir: Path) -> Conversation:
        turns = [
            SpokenTurn(turn.speaker, speech.wav, speech.timings) if speech else None
            for turn, speech in zip(self._turns, spoken, strict=True)
        ]
        if not any(turns):
            raise EngineFailure(
                ErrorCode.VALIDATION_FAILED,
                "The script holds nothing that can be spoken.",
                hint="Write at least one word for each speaker.",
            )
        joined = await asyncio.to_thread(
            join_turns,
            turns,
            work_dir,
            head=self._head(),
            pause_s=self._parts[0].order.pause_ms / 1000,
            cancelled=self._cancelled,
        )
        self._sentences = self._sentences or joined.sentences
        manners: list[Manner | None] = [None] * len(self._parts)
        for turn, speech in zip(self._turns, spoken, strict=True):
            if speech is not None:
                manners[turn.speaker] = manners[turn.speaker] or speech.manner
        return Conversation(
            wav=joined.wav,
            timings=joined.timings,
            duration_s=joined.duration_s,
            language=self._language,
            manner=main_manner(manners),
            tracks=joined.tracks,
            manners=tuple(manners),
        )

    def _head(self) -> dict[str, Any]:
        speakers = [
            {"name": part.name, "engine": part.engine, "voice": _voice_name(part.order)}
            for part in self._parts
        ]
        first = speakers[self._turns[0].speaker]
        return {
            "engine": first["engine"],
            "voice": first["voice"],
            "language": self._language,
            "speakers": speakers,
        }

    def _by_turn(self, again: frozenset[int]) -> list[frozenset[int]]:
        """Sentences of the whole as sentences of each turn."""
        if not again:
            return [frozenset()] * len(self._turns)
        found, first = [], 0
        for count in self._sentences:
            found.append(frozenset(index - first for index in again if first <= index < first + count))
            first += count
        return found


def main_manner(manners: Sequence[Manner | None]) -> Manner:
    """What must be said first about a conversation: an artificial copy of a person, then what is less of one."""
    order: tuple[Manner, ...] = ("clone", "match", "stand_in", "preset")
    return next((manner for manner in order if manner in manners), "preset")


def _voice_name(order: SpeechOrder) -> str:
    return order.voice if isinstance(order.voice, str) else "own"


def _told(report: Report, start: float, end: float, place: str) -> Report:
    """Progress of one turn as progress of the whole."""

    def forward(fraction: float | None, message: str) -> None:
        at = None if fraction is None else start + (end - start) * fraction
        report(at, f"{place} · {message}" if message else place)

    return forward
