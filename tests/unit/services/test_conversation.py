"""Turns are spoken one after the other, each by its speaker's engine; taking some again keeps the others."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from backend.engines.speech.base import Speech, SpeechOrder
from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure
from backend.services.conversation import ConversationSpeaker, Part, main_manner
from backend.services.script_turns import Turn
from backend.services.speech_service import SpeechService
from tests.support.twin_worker import timings, write_tone


@dataclass
class Voices:
    """In place of the speech service: a tone for each turn, `wrong` texts have nothing that can be spoken."""

    calls: list[tuple[str, str, frozenset[int], str]] = field(default_factory=list)
    wrong: tuple[str, ...] = ()
    slow_s: float = 0.0

    async def speak(self, engine: str, order: SpeechOrder, *, work_dir: Path, **given: Any) -> Speech:
        self.calls.append((engine, order.text, order.again, given["language"]))
        await asyncio.sleep(self.slow_s)
        if order.text in self.wrong:
            raise EngineFailure(ErrorCode.VALIDATION_FAILED, "The script holds nothing that can be spoken.")
        write_tone(work_dir / "a.wav", 0.4)
        sentences = [
            {**timings(part, 0.2)["sentences"][0], "start_s": 0.2 * index, "end_s": 0.2 * index + 0.1}  # type: ignore[index]
            for index, part in enumerate(order.text.split("|"))
        ]
        (work_dir / "a.json").write_text(json.dumps({"sentences": sentences}), encoding="utf-8")
        given["report"](0.5, "half")
        return Speech(
            work_dir / "a.wav", work_dir / "a.json", 0.4, "en", "clone" if engine == "c" else "preset"
        )


def speaker(voices: Voices, *texts: tuple[int, str], deadline_s: float = 60.0) -> ConversationSpeaker:
    parts = [Part("A", "c", SpeechOrder("", "x")), Part("B", "builtin", SpeechOrder("", "y"))]
    return ConversationSpeaker(
        cast(SpeechService, voices),
        [Turn(*text) for text in texts],
        parts,
        language="zh",
        job_id="job_1",
        attempt=1,
        deadline_s=deadline_s,
        cancelled=lambda: False,
    )


async def test_only_the_turns_that_hold_the_sentences_are_spoken_again(tmp_path: Path) -> None:
    voices = Voices()
    talk = speaker(voices, (0, "a|b"), (1, "c"), (0, "d|e"))
    told: list[float] = []
    first = await talk.speak(frozenset(), tmp_path / "1", lambda at, _: told.append(at or 0.0))
    assert [call[:2] for call in voices.calls] == [("c", "a|b"), ("builtin", "c"), ("c", "d|e")]
    assert {call[3] for call in voices.calls} == {"zh"}
    assert told == sorted(told)
    assert first.manners == ("clone", "preset")
    assert first.manner == "clone"
    voices.calls.clear()
    await talk.speak(frozenset({2, 4}), tmp_path / "2", lambda *_: None)
    assert [call[1:3] for call in voices.calls] == [("c", frozenset({0})), ("d|e", frozenset({1}))]
    voices.calls.clear()
    third = await talk.speak(frozenset({4}), tmp_path / "3", lambda *_: None)
    assert [call[1:3] for call in voices.calls] == [("d|e", frozenset({1}))]
    assert third.duration_s == pytest.approx(first.duration_s)


async def test_a_turn_that_cannot_be_spoken_is_passed_over_but_not_all_of_them(tmp_path: Path) -> None:
    spoken = await speaker(Voices(wrong=("?",)), (0, "a"), (1, "?"), (0, "b")).speak(
        frozenset(), tmp_path / "1", lambda *_: None
    )
    assert spoken.manners == ("clone", None)
    with pytest.raises(EngineFailure) as caught:
        await speaker(Voices(wrong=("?", "!")), (0, "!"), (1, "?")).speak(
            frozenset(), tmp_path / "2", lambda *_: None
        )
    assert caught.value.code is ErrorCode.VALIDATION_FAILED


async def test_all_turns_share_one_deadline(tmp_path: Path) -> None:
    voices = Voices(slow_s=0.05)
    with pytest.raises(EngineFailure) as caught:
        await speaker(voices, (0, "a"), (1, "b"), (0, "c"), deadline_s=0.01).speak(
            frozenset(), tmp_path, lambda *_: None
        )
    assert caught.value.code is ErrorCode.TIMEOUT
    assert len(voices.calls) == 1


def test_an_artificial_copy_is_said_before_anything_less() -> None:
    assert main_manner(["preset", "clone"]) == "clone"
    assert main_manner(["stand_in", "match"]) == "match"
    assert main_manner([None, "preset"]) == "preset"
