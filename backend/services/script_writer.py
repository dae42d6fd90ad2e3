"""Writes a script about a topic with a chat model. Runs in the service process.

Flow: what is asked for -> messages -> pieces of an answer (from a server, or from our own worker) -> thoughts left out,
shown as it grows -> cleaned -> language and length looked at. What misses either is asked for once more, and the better
of both is taken; a text in another language is refused, one that is too long ends at a sentence.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from backend.models.errors import EngineFailure
from backend.models.script import ScriptLanguage, ScriptSource, ScriptText
from backend.services.script_cleaner import (
    ThoughtFilter,
    clean_dialogue,
    clean_script,
    cut_to,
    whole_sentences,
)
from backend.services.script_endpoints import ScriptModel
from backend.services.script_language import (
    Language,
    estimated_s,
    is_written_in,
    language_for,
    length_for,
    spoken_length,
)
from backend.services.script_local import LocalRequest, LocalWriter
from backend.services.script_prompts import Message, first_request, second_request
from backend.services.script_turns import silent_speakers, turns_of
from backend.utils.chat_client import ChatLimits, ChatPiece, failed, stream_chat

# Further from the length that was asked for is worth a second request.
TOLERANCE = 0.4
# A text that is still longer after that ends at the last sentence within this much of it.
LONGEST = 1.3
# An answer that grows beyond this many times the wanted length is stopped: the model does not know when to end.
STOP_AT = 3.0
_STOP_MARGIN_CHARS = 400
# Thoughts of a reasoning model before its text; more is a model that turns in circles.
MAX_THOUGHT_CHARS = 100_000
# No tokenizer makes more of a character of our three languages.
_TOKENS_PER_CHAR = 2.0


@dataclass(frozen=True)
class Assignment:
    """What to write. `speed` is that of the voice: a fast one says more in the same time."""

    topic: str
    language: ScriptLanguage = "auto"
    seconds: int = 30
    style: str = ""
    speed: float = 1.0
    seed: int = 0
    # The names of two people who talk with each other; none for a text that one reads.
    speakers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Desk:
    """Where and for whom a text is written.

    `shown(text)` gets the text as it grows, `again()` says that it begins anew, `report(fraction, message)` how far it
    is, `cancelled()` whether to stop. `work_dir` is fresh.
    """

    ticket: str
    work_dir: Path
    cancelled: Callable[[], bool]
    attempt: int = 1
    report: Callable[[float | None, str], None] = lambda _fraction, _message: None
    shown: Callable[[str], None] = lambda _text: None
    again: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class _Draft:
    text: str
    is_right_language: bool
    are_all_heard: bool
    length: int  # spoken_length
    target: int

    @property
    def miss(self) -> float:
        """How far from the length that was asked for, as a ratio; 0 is exact, 0.7 is half or double."""
        return abs(math.log(max(1, self.length) / self.target))

    @property
    def is_good(self) -> bool:
        is_long_enough = abs(self.length / self.target - 1) <= TOLERANCE
        return self.is_right_language and self.are_all_heard and is_long_enough

    @property
    def rank(self) -> tuple[bool, bool, float]:
        return (not self.is_right_language, not self.are_all_heard, self.miss)


@dataclass(frozen=True)
class _Asked:
    """What every answer is held to."""

    language: Language
    target: int
    speakers: tuple[str, ...]

    def cleaned(self, raw: str) -> str:
        """The text of an answer."""
        if not self.speakers:
            return clean_script(raw)
        return clean_dialogue(raw, self.speakers, ": " if self.language == "en" else "：")

    def spoken(self, text: str) -> str:
        """What of a text is heard: names are not."""
        return "\n".join(turn.text for turn in turns_of(text, self.speakers)) if self.speakers else text


class ScriptWriter:
    """Asks a model; owns no state."""

    def __init__(
        self,
        *,
        local: LocalWriter,
        max_chars: int,
        limits: ChatLimits | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._local = local
        self._max_chars = max_chars
        self._limits = limits or ChatLimits()
        self._transport = transport

    async def write(self, model: ScriptModel, order: Assignment, desk: Desk) -> ScriptText:
        """The text. Raises EngineFailure(`script_failed`), InputError(`script_model_missing`) or JobCancelled."""
        language: Language = language_for(order.topic) if order.language == "auto" else order.language
        target = length_for(order.seconds, language, order.speed, self._max_chars)
        messages = first_request(
            order.topic,
            language=language,
            style=order.style,
            seconds=order.seconds,
            characters=target,
            speakers=order.speakers,
        )
        asked = _Asked(language, target, order.speakers)
        best = await self._draft(model, messages, asked, order.seed, desk, turn=1)
        if not best.is_good:
            desk.again()
            again = second_request(
                messages,
                best.text,
                language=language,
                had=best.length,
                characters=target,
                is_right_language=best.is_right_language,
                unheard=() if best.are_all_heard else order.speakers,
            )
            second = await self._draft(model, again, asked, order.seed + 1, desk, turn=2)
            best = min(best, second, key=lambda draft: draft.rank)
        return self._finished(best, model, language)

    def _finished(self, draft: _Draft, model: ScriptModel, language: Language) -> ScriptText:
        if not any(char.isalnum() for char in draft.text):
            raise failed(f"The model {model.name} wrote nothing.", "Try again, or choose another model.")
        if not draft.is_right_language:
            raise failed(
                f"The model {model.name} did not write in the language that was asked for.",
                "Try again, or choose a larger model that knows this language.",
            )
        text = draft.text
        longest = min(self._max_chars, round(draft.target * LONGEST))
        if draft.length > draft.target * (1 + TOLERANCE) or len(text) > self._max_chars:
            text = cut_to(text, longest)
        return ScriptText(
            text=text,
            model=model.name,
            source=model.source,
            language=language,
            characters=len(text),
            estimated_s=estimated_s(text, language),
        )

    async def _draft(
        self,
        model: ScriptModel,
        messages: list[Message],
        asked: _Asked,
        seed: int,
        desk: Desk,
        *,
        turn: int,
    ) -> _Draft:
        raw, is_whole = await self._answer(model, messages, asked.target, seed, desk, turn)
        # In a thread: thirty patterns over a long answer are milliseconds that the event loop would miss.
        text = await asyncio.to_thread(asked.cleaned, raw)
        if not is_whole:
            text = whole_sentences(text)
        spoken = asked.spoken(text)
        return _Draft(
            text,
            is_written_in(spoken, asked.language),
            not silent_speakers(text, asked.speakers),
            spoken_length(spoken, asked.language),
            asked.target,
        )

    async def _answer(
        self, model: ScriptModel, messages: list[Message], target: int, seed: int, desk: Desk, turn: int
    ) -> tuple[str, bool]:
        """The answer without its thoughts, and whether the model ended it by itself."""
        stop_at = round(target * STOP_AT) + _STOP_MARGIN_CHARS
        desk.report(0.0, f"{model.name or model.source} is asked for the script")
        filtering = ThoughtFilter()
        text, thought = "", 0
        async with contextlib.aclosing(self._pieces(model, messages, target, seed, desk, turn)) as pieces:
            async for piece in pieces:
                if piece.finish is not None:
                    rest = filtering.rest()
                    desk.shown(rest)
                    return text + rest, piece.finish != "length"
                new = "" if piece.is_thought else filtering.feed(piece.text)
                text += new
                thought += len(piece.text) - len(new)
                if new:
                    desk.shown(new)
                    desk.report(
                        min(0.99, len(text) / target),
                        f"Writing the script ({len(text)} of about {target} characters)",
                    )
                else:
                    desk.report(None, "The writing model thinks")
                if thought > MAX_THOUGHT_CHARS:
                    raise failed(
                        f"The model {model.name} thinks without coming to an end.", "Choose another model."
                    )
                if len(text) > stop_at:
                    return text, False
        raise _unended(model)

    def _pieces(
        self, model: ScriptModel, messages: list[Message], target: int, seed: int, desk: Desk, turn: int
    ) -> AsyncGenerator[ChatPiece, None]:
        if model.server is not None:
            body: dict[str, object] = {"model": model.name, "messages": messages}
            if model.source == "llamacpp":
                # It is known to understand this; another server may refuse a word that it does not know.
                body["chat_template_kwargs"] = {"enable_thinking": False}
            return stream_chat(
                model.server,
                body,
                limits=self._limits,
                cancelled=desk.cancelled,
                transport=self._transport,
            )
        assert model.path is not None  # noqa: S101 - a model has a server or a file
        return self._local.stream(
            LocalRequest(
                model=model.path,
                messages=messages,
                max_tokens=round(target * STOP_AT * _TOKENS_PER_CHAR) + _STOP_MARGIN_CHARS,
                seed=seed,
                ticket=desk.ticket,
                attempt=desk.attempt,
                work_dir=desk.work_dir / f"turn-{turn}",
            ),
            cancelled=desk.cancelled,
        )


def _unended(model: ScriptModel) -> EngineFailure:
    return failed(f"The model {model.name} broke off in the middle of its answer.", "Try again.")


# What a job notes of its text beside it.
def provenance(written: ScriptText, order: Assignment) -> dict[str, object]:
    """`script.json` beyond `mode` and `text`: who wrote it, and about what."""
    source: ScriptSource = written.source
    return {
        "topic": order.topic,
        "language": written.language,
        "model": written.model,
        "source": source,
        "asked_s": order.seconds,
        "estimated_s": written.estimated_s,
    }
