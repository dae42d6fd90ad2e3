"""The `listen` task: a spoken script heard back, sentence by sentence. Runs in the listening worker.

Flow: timings -> the sentences that are asked for, a few of one language at a time -> their stretches of the WAV at
16 kHz -> the recogniser -> verdicts appended to `heard.json`, progress reported. One batch is in memory at a time.
"""

from __future__ import annotations

import json
import re
import wave
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from workers.handler import Task, TaskContext, TaskError
from workers.listen.comparison import Verdict, Word, compare, sounds_of
from workers.listen.features import SAMPLE_RATE, Samples
from workers.speech.resample import resample
from workers.speech.text.front import Reader
from workers.speech.text.language import LANGUAGES, Language, of_sentence

# Sentences in one go through the model: four take little longer than two, eight only hold more memory.
BATCH = 4
# Heard around a sentence, s: onsets start before their sound is loud, and the cut must not click.
MARGIN_S = 0.1
# A time as the recogniser sometimes writes it, "3.30": in the product's scripts that is a decimal.
_DOTTED_TIME = re.compile(r"\b(\d{1,2})\.(\d{2})\b")


class Listener(Protocol):
    """What turns clips into text: `transcriber.Transcriber`, or a twin in tests."""

    def hear(
        self, clips: Sequence[Samples], language: str, *, cancelled: Callable[[], bool] | None = None
    ) -> list[str]:
        """The text of each clip, 16 kHz."""


@dataclass(frozen=True)
class _Sentence:
    index: int
    text: str
    language: Language
    start_s: float
    end_s: float
    words: tuple[Word, ...]


class Hearing:
    """The recogniser and the front ends that read what it writes."""

    def __init__(self, listener: Listener, g2p: Path) -> None:
        """`g2p`: assets/g2p."""
        self._listener = listener
        self._reader = Reader(g2p)

    def run(self, task: Task, context: TaskContext) -> dict[str, Any]:
        """Do the task. Raises TaskError; cancelling raises what `context.raise_if_cancelled` raises."""
        timings = _read(task, "timings")
        sentences = self._sentences(timings, task.params.get("language"), task.params.get("sentences"))
        british = str(timings.get("voice", "")).startswith("b")
        output = task.output_dir / "heard.json"
        doubtful = done = 0
        with _open_wav(task) as source, output.open("w", encoding="utf-8", newline="\n") as stream:
            stream.write('{"version":1,"sentences":[')
            for batch in _batches(sentences):
                context.raise_if_cancelled()
                context.progress(done / len(sentences), "Listening", step=done, steps=len(sentences))
                clips = [_cut(source, sentence) for sentence in batch]
                texts = self._listener.hear(clips, batch[0].language, cancelled=lambda: context.cancelled)
                context.raise_if_cancelled()
                for sentence, text in zip(batch, texts, strict=True):
                    verdict = self._judge(sentence, text, british=british)
                    row = {
                        "index": sentence.index,
                        "text": sentence.text,
                        "heard": text,
                        "error": verdict.error,
                        "missing": list(verdict.missing),
                        "ok": verdict.ok,
                    }
                    stream.write(("," if done else "") + "\n" + json.dumps(row, ensure_ascii=False))
                    doubtful += not verdict.ok
                    done += 1
            stream.write("\n]}\n")
        context.progress(1.0, "Heard", step=done, steps=done)
        context.artifact("heard", output, media_type="application/json")
        return {"sentences": done, "doubtful": doubtful}

    def _sentences(self, timings: dict[str, Any], language: object, wanted: object) -> list[_Sentence]:
        asked = language if language in LANGUAGES else None
        script: Language = next(
            (known for known in LANGUAGES if known == (asked or timings.get("language"))), "en"
        )
        chosen = None if wanted is None else {int(index) for index in list(wanted)}  # type: ignore[call-overload]
        found = []
        for row in timings["sentences"]:
            if chosen is not None and row["index"] not in chosen:
                continue
            own = of_sentence(row["text"], script, fixed=asked is not None)
            found.append(
                _Sentence(
                    index=int(row["index"]),
                    text=str(row["text"]),
                    language=own,
                    start_s=float(row["start_s"]),
                    end_s=float(row["end_s"]),
                    words=tuple(self._words(row, own)),
                )
            )
        return found

    def _words(self, row: dict[str, Any], language: Language) -> Iterator[Word]:
        """What was meant: the sounds that the engine says it spoke, or those of the text when it names none."""
        if not row["phonemes"]:
            for unit in self._reader.read(row["text"], language):
                if unit.is_word:
                    yield Word(row["text"][unit.start : unit.end], sounds_of(unit.phonemes))
            return
        phonemes = iter(row["phonemes"])
        pending = next(phonemes, None)
        words = row["words"]
        for number, word in enumerate(words):
            until = words[number + 1]["start_s"] if number + 1 < len(words) else float("inf")
            symbols = ""
            while pending is not None and pending["start_s"] < until:
                symbols += pending["symbol"]
                pending = next(phonemes, None)
            yield Word(word["text"].strip(), sounds_of(symbols))

    def _judge(self, sentence: _Sentence, heard: str, *, british: bool) -> Verdict:
        """The better of all ways in which `heard` may be read."""
        verdicts = []
        for text in {heard, _DOTTED_TIME.sub(r"\1:\2", heard)}:
            units = self._reader.read(text, sentence.language, british=british)
            sounds = "".join(sounds_of(unit.phonemes) for unit in units if unit.is_word)
            verdicts.append(compare(sentence.words, sounds))
        return min(verdicts, key=lambda verdict: verdict.error)


def _read(task: Task, name: str) -> dict[str, Any]:
    try:
        raw = json.loads(task.inputs[name].read_text("utf-8"))
        if isinstance(raw, dict) and isinstance(raw["sentences"], list):
            return raw
    except (OSError, ValueError, KeyError) as error:
        raise TaskError("validation_failed", "The timings could not be read.", detail=repr(error)) from error
    raise TaskError("validation_failed", "The timings hold no sentences.")


def _open_wav(task: Task) -> wave.Wave_read:
    try:
        source = wave.open(str(task.inputs["audio"]), "rb")  # noqa: SIM115 - the caller closes it
    except (OSError, KeyError, EOFError, wave.Error) as error:
        raise TaskError("audio_unreadable", "The speech could not be read.", detail=repr(error)) from error
    if source.getnchannels() != 1 or source.getsampwidth() != 2:
        source.close()
        raise TaskError("audio_unreadable", "The speech must be mono with 16 bits.")
    return source


def _cut(source: wave.Wave_read, sentence: _Sentence) -> Samples:
    """The stretch of one sentence with a little around it, at SAMPLE_RATE."""
    rate = source.getframerate()
    start = max(0, round((sentence.start_s - MARGIN_S) * rate))
    end = min(source.getnframes(), round((sentence.end_s + MARGIN_S) * rate))
    if end <= start:
        return np.zeros(0, np.float32)
    source.setpos(start)
    samples = np.frombuffer(source.readframes(end - start), "<i2").astype(np.float32) / 32768.0
    return resample(samples, rate, SAMPLE_RATE)


def _batches(sentences: Sequence[_Sentence]) -> Iterator[list[_Sentence]]:
    """Neighbours of one language, at most BATCH of them."""
    batch: list[_Sentence] = []
    for sentence in sentences:
        if batch and (len(batch) == BATCH or batch[0].language != sentence.language):
            yield batch
            batch = []
        batch.append(sentence)
    if batch:
        yield batch
