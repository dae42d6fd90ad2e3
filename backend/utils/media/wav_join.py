"""Turns of two speakers become one recording, a track for each, and one time line. Service process; blocks.

Flow: WAV and timings of each turn, in order -> `audio.wav` with a breath between turns, `track_1.wav` and `track_2.wav`
of exactly its length, `timings.json` whose sentences and words say who speaks. Sound is copied in blocks, sentences are
written as they come: memory does not grow with the script.
"""

from __future__ import annotations

import json
import wave
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure, JobCancelled

# What every speech engine leaves (backend/engines/speech/base.py).
SAMPLE_RATE = 24_000
_CHANNELS, _SAMPLE_BYTES = 1, 2
# Two seconds at a time.
_BLOCK_FRAMES = 2 * SAMPLE_RATE
# As in the timings of the engines: 0.1 ms is 2.4 samples.
_DECIMALS = 4
# Timings of one turn; an hour of speech has about 10 MB.
_MAX_TIMINGS_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class SpokenTurn:
    """One turn as an engine left it. `speaker`: 0 or 1."""

    speaker: int
    wav: Path
    timings: Path


@dataclass(frozen=True)
class JoinedTurns:
    """The whole. `sentences`: how many each turn has, in order."""

    wav: Path
    timings: Path
    tracks: tuple[Path, Path]
    duration_s: float
    sentences: tuple[int, ...]


def join_turns(
    turns: Sequence[SpokenTurn | None],
    folder: Path,
    *,
    head: Mapping[str, Any],
    pause_s: float,
    cancelled: Callable[[], bool],
) -> JoinedTurns:
    """Write the four files into `folder`. `head`: fields of the time line before its sentences. None: a turn of silence.

    `pause_s`: silence between the last sound of a turn and the first of the next one; what the engines leave at the
    edges of a recording is a part of it. Raises EngineFailure(no_output) or JobCancelled.
    """
    folder.mkdir(parents=True, exist_ok=True)
    whole, timeline = folder / "conversation.wav", folder / "conversation.json"
    tracks = folder / "track_1.wav", folder / "track_2.wav"
    counts: list[int] = []
    with ExitStack() as stack:
        sound = _Outputs([stack.enter_context(_writer(path)) for path in (whole, *tracks)])
        lines = _TimeLine(
            stack.enter_context(timeline.open("w", encoding="utf-8", newline="\n")), {"version": 1, **head}
        )
        silent_since = 0.0
        for turn in turns:
            if cancelled():
                raise JobCancelled
            if turn is None:
                counts.append(0)
                continue
            sentences = _sentences(turn.timings)
            if sound.seconds:
                first_s = float(sentences[0]["start_s"]) if sentences else 0.0
                sound.silence(round((pause_s - (sound.seconds - silent_since) - first_s) * SAMPLE_RATE))
            start_s = sound.seconds
            sound.speak(turn.speaker, turn.wav)
            for sentence in sentences:
                lines.add(sentence, turn.speaker, start_s)
            counts.append(len(sentences))
            silent_since = start_s + float(sentences[-1]["end_s"]) if sentences else sound.seconds
        lines.finish(sound.seconds)
        duration_s = sound.seconds
    return JoinedTurns(whole, timeline, tracks, duration_s, tuple(counts))


def _writer(path: Path) -> wave.Wave_write:
    writer = wave.open(str(path), "wb")  # noqa: SIM115 - the caller's stack closes it
    writer.setnchannels(_CHANNELS)
    writer.setsampwidth(_SAMPLE_BYTES)
    writer.setframerate(SAMPLE_RATE)
    return writer


class _Outputs:
    """The whole recording and both tracks, which are always equally long."""

    def __init__(self, writers: list[wave.Wave_write]) -> None:
        self._writers = writers
        self._frames = 0

    @property
    def seconds(self) -> float:
        """How long they are."""
        return self._frames / SAMPLE_RATE

    def silence(self, frames: int) -> None:
        """Nothing for so many frames; a negative number is none."""
        while frames > 0:
            count = min(frames, _BLOCK_FRAMES)
            silent = bytes(count * _SAMPLE_BYTES)
            self._write([silent] * len(self._writers), count)
            frames -= count

    def speak(self, speaker: int, path: Path) -> None:
        """The recording on the whole and on this speaker's track, silence on the other's."""
        try:
            with wave.open(str(path), "rb") as source:
                found = source.getnchannels(), source.getsampwidth(), source.getframerate()
                if found != (_CHANNELS, _SAMPLE_BYTES, SAMPLE_RATE):
                    raise _unusable(f"channels, bytes and rate are {found}")
                while block := source.readframes(_BLOCK_FRAMES):
                    count = len(block) // _SAMPLE_BYTES
                    silent = bytes(len(block))
                    tracks = [block if track == speaker else silent for track in range(2)]
                    self._write([block, *tracks], count)
        except (wave.Error, EOFError) as error:
            raise _unusable(repr(error)) from error

    def _write(self, blocks: list[bytes], count: int) -> None:
        for writer, block in zip(self._writers, blocks, strict=True):
            writer.writeframesraw(block)
        self._frames += count


class _TimeLine:
    """Writes timings.json (docs/speech.md) sentence by sentence."""

    def __init__(self, stream: IO[str], head: Mapping[str, Any]) -> None:
        self._stream = stream
        self._count = 0
        fields = "".join(f"{_dump(key)}:{_dump(value)}," for key, value in head.items())
        stream.write("{" + fields + '"sentences":[')

    def add(self, sentence: Mapping[str, Any], speaker: int, start_s: float) -> None:
        """A sentence of a turn that begins at `start_s`."""
        words = [{**_moved(word, start_s), "speaker": speaker} for word in sentence.get("words") or ()]
        sounds = [_moved(sound, start_s) for sound in sentence.get("phonemes") or ()]
        moved = {**_moved(sentence, start_s), "index": self._count, "speaker": speaker}
        entry = {**moved, "words": words, "phonemes": sounds}
        self._stream.write(("," if self._count else "") + "\n" + _dump(entry))
        self._count += 1

    def finish(self, duration_s: float) -> None:
        """The end of the file."""
        self._stream.write(f'\n],"duration_s":{_dump(round(duration_s, _DECIMALS))}}}\n')


def _moved(entry: Mapping[str, Any], by_s: float) -> dict[str, Any]:
    times = {name: round(float(entry[name]) + by_s, _DECIMALS) for name in ("start_s", "end_s")}
    return {**entry, **times}


def _sentences(path: Path) -> list[dict[str, Any]]:
    """The sentences of one turn. Raises EngineFailure(no_output) when the file is not what was promised."""
    try:
        with path.open("rb") as stream:
            found = json.loads(stream.read(_MAX_TIMINGS_BYTES))["sentences"]
        for sentence in found:
            for entry in (sentence, *(sentence.get("words") or ()), *(sentence.get("phonemes") or ())):
                _moved(entry, 0.0)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unusable(repr(error)) from error
    return list(found)


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _unusable(what: str) -> EngineFailure:
    return EngineFailure(
        ErrorCode.NO_OUTPUT,
        "A speech engine left sound or timings of one turn that cannot be joined with the others.",
        hint="Try again; if it happens each time, choose another speech engine.",
        log_tail=what,
    )
