"""What all cloning engines share: takes, their checks, seeds, cache, times. The engine here is a scripted one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.speech_task import MemoryContext, Studio, write_reference
from workers.handler import Task, TaskCancelled, TaskContext, TaskError, WorkerSetup
from workers.speech.cloning import Cloner, Reference, Take, level, sentence_seed, trim
from workers.speech.loudness import integrated_loudness
from workers.speech.text.front import Reader

Answer = Callable[[int, float], Take | None]


def speech(seconds: float, rate: int = 48_000, loud: float = 0.2) -> np.ndarray:
    t = np.arange(round(seconds * rate)) / rate
    return (loud * np.sin(2 * np.pi * 200 * t)).astype(np.float32)


class ScriptedModel:
    """Answers from a list, then with a second of sound; remembers what it was asked."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, int]] = []
        self.prepared: list[Reference] = []
        self.fingerprint = "scripted-1"

    name = "scripted"

    def prepare(self, reference: Reference, cancelled: Callable[[], bool]) -> None:
        self.prepared.append(reference)

    def speak(
        self, text: str, language: str, *, seed: int, limit_s: float, cancelled: Callable[[], bool]
    ) -> Take | None:
        self.asked.append((text, language, seed))
        if self.answers:
            return self.answers.pop(0)(seed, limit_s)
        return Take(speech(1.0), 48_000)


class ScriptedHandler:
    def __init__(self, model: ScriptedModel, reader: Reader, cache: Path) -> None:
        self._cloner = Cloner(model, reader, cache)

    def load(self, setup: WorkerSetup) -> dict[str, Any]:
        return {}

    def run(self, task: Task, context: TaskContext) -> dict[str, Any]:
        return self._cloner.run(task, context)

    def unload(self) -> None: ...


@pytest.fixture
def model() -> ScriptedModel:
    return ScriptedModel()


@pytest.fixture
def studio(model: ScriptedModel, reader: Reader, tmp_path: Path) -> Studio:
    return Studio(ScriptedHandler(model, reader, tmp_path / "cache"), tmp_path)


def test_each_sentence_becomes_a_stretch_of_the_file_with_words_inside(studio: Studio) -> None:
    spoken = studio.speak("Hello there, friend. This is 2026!", pause_ms=500)
    first, second = spoken.timings["sentences"]
    assert spoken.timings["estimated"] is True
    assert spoken.timings["duration_s"] == pytest.approx(len(spoken.samples) / 24_000, abs=1e-3)
    assert (first["start_s"], second["start_s"]) == (pytest.approx(0.1), pytest.approx(first["end_s"] + 0.5))
    assert second["end_s"] == pytest.approx(spoken.timings["duration_s"] - 0.1, abs=1e-3)
    for sentence in (first, second):
        assert sentence["phonemes"] == []
        times = [t for word in sentence["words"] for t in (word["start_s"], word["end_s"])]
        assert times == sorted(times)
        assert times[0] >= sentence["start_s"]
        assert times[-1] <= sentence["end_s"]
    assert [word["text"] for word in second["words"]] == ["This", "is", "2026!"]
    assert spoken.data["sentences"] == 2


def test_the_engine_gets_words_for_numbers_and_the_language_of_each_sentence(
    studio: Studio, model: ScriptedModel
) -> None:
    studio.speak("It costs $5. 今天是3月5日。")
    assert model.asked[0][:2] == ("It costs five dollars.", "en")
    assert model.asked[1][:2] == ("今天是三月五日。", "zh")


def test_the_sound_is_level_and_24_khz_whatever_the_engine_gives(
    studio: Studio, model: ScriptedModel
) -> None:
    model.answers = [lambda *_: Take(speech(1.0, 16_000, 0.01), 16_000)]
    spoken = studio.speak("Hello there.")
    assert integrated_loudness(spoken.samples.astype(np.float32), 24_000) == pytest.approx(-20, abs=1.0)
    assert len(spoken.samples) == pytest.approx(24_000 * 1.2, abs=600)


def test_the_sample_is_learned_once_for_a_script(studio: Studio, model: ScriptedModel) -> None:
    studio.speak("One. Two. Three.", reference_text="  so \n it is ")
    assert len(model.prepared) == 1
    assert model.prepared[0].text == "so it is"
    assert len(model.prepared[0].samples) == 72_000


def test_an_edited_script_speaks_only_what_changed_and_the_rest_stays_the_same(
    studio: Studio, model: ScriptedModel
) -> None:
    first = studio.speak("One thing. Two things.")
    before = list(model.asked)
    second = studio.speak("Another thing. One thing. Two things.")
    assert [entry[0] for entry in model.asked[len(before) :]] == ["Another thing."]
    assert second.data["cached_sentences"] == 2
    assert first.data["cached_sentences"] == 0
    third = studio.speak("One thing. Two things.", seed=2)
    assert third.data["cached_sentences"] == 0
    assert {entry[2] for entry in model.asked if entry[0] == "One thing."} == {
        sentence_seed(1, "One thing."),
        sentence_seed(2, "One thing."),
    }


def test_a_sentence_that_was_not_understood_is_said_in_another_way_and_always_the_same(
    studio: Studio, model: ScriptedModel
) -> None:
    studio.speak("One thing. Two things.")
    again = studio.speak("One thing. Two things.", again=[1])
    assert [entry[0] for entry in model.asked] == ["One thing.", "Two things.", "Two things."]
    assert model.asked[1][2] != model.asked[2][2]
    assert again.data["cached_sentences"] == 1
    assert studio.speak("One thing. Two things.", again=[1]).data["cached_sentences"] == 2


def test_another_voice_or_another_model_is_not_served_from_the_cache(
    studio: Studio, model: ScriptedModel, tmp_path: Path
) -> None:
    studio.speak("One thing.")
    other = write_reference(tmp_path / "other.wav", pitch=250)
    assert studio.speak("One thing.", reference=other).data["cached_sentences"] == 0
    assert studio.speak("One thing.", reference_text="hello").data["cached_sentences"] == 0
    model.fingerprint = "scripted-2"
    assert studio.speak("One thing.").data["cached_sentences"] == 0
    assert studio.speak("One thing.").data["cached_sentences"] == 1


def _nan(seed: int, limit_s: float) -> Take:
    samples = speech(1.0)
    samples[1000] = np.nan
    return Take(samples, 48_000)


BAD = {
    "numbers that are none": _nan,
    "silence": lambda *_: Take(np.zeros(48_000, np.float32), 48_000),
    "silence of nothing": lambda *_: Take(np.zeros(0, np.float32), 48_000),
    "no end": lambda seed, limit_s: Take(speech(limit_s + 1), 48_000),
    "no end, cut": lambda *_: Take(speech(1.0), 48_000, complete=False),
    "only": lambda *_: Take(speech(0.05), 48_000),
    "a sample rate": lambda *_: Take(speech(1.0), 0),
}


@pytest.mark.parametrize("trouble", BAD)
def test_a_bad_take_is_made_again_with_another_seed(
    studio: Studio, model: ScriptedModel, trouble: str
) -> None:
    model.answers = [BAD[trouble]]
    spoken = studio.speak("This is a longer sentence to be spoken.")
    seed = sentence_seed(1, "This is a longer sentence to be spoken.")
    assert [entry[2] for entry in model.asked] == [seed, seed + 1]
    assert trouble.split(" of")[0].split(",")[0] in spoken.context.logs[0]
    assert "sentence 1, take 1" in spoken.context.logs[0]


@pytest.mark.parametrize("trouble", BAD)
def test_three_bad_takes_end_the_task_with_the_number_of_the_sentence(
    studio: Studio, model: ScriptedModel, trouble: str
) -> None:
    text = "A first sentence. This is a longer sentence to be spoken."
    model.answers = [lambda *_: Take(speech(1.0), 48_000), *[BAD[trouble]] * 3]
    with pytest.raises(TaskError) as caught:
        studio.speak(text)
    assert caught.value.code == "no_output"
    assert caught.value.message == "Sentence 2 could not be spoken in this voice."
    assert len(model.asked) == 4


def test_a_cancel_ends_between_sentences_and_inside_one(studio: Studio, model: ScriptedModel) -> None:
    with pytest.raises(TaskCancelled):
        studio.speak("One thing. Two things. Three things.", context=MemoryContext(cancel_after=2))
    assert len(model.asked) <= 2
    context = MemoryContext()

    def cancelled_inside(seed: int, limit_s: float) -> Take | None:
        context.cancelled = True
        return None

    model.answers = [cancelled_inside]
    with pytest.raises(TaskCancelled):
        studio.speak("Something new.", context=context)


def test_speed_and_pitch_are_made_from_the_kept_take(studio: Studio, model: ScriptedModel) -> None:
    usual = studio.speak("Hello there.")
    fast = studio.speak("Hello there.", speed=2.0)
    high = studio.speak("Hello there.", pitch=12)
    assert len(model.asked) == 1
    assert len(fast.samples) - 4800 == pytest.approx((len(usual.samples) - 4800) / 2, abs=50)
    assert len(high.samples) == pytest.approx(len(usual.samples), abs=50)
    spectrum = np.abs(np.fft.rfft(high.samples))
    assert np.argmax(spectrum) * 24_000 / len(high.samples) == pytest.approx(400, abs=5)


@pytest.mark.parametrize(
    ("text", "params", "message"),
    [
        ("", {}, "empty"),
        ("…!? —", {}, "nothing that can be spoken"),
        ("Hello.", {"speed": 3.0}, "speed must be"),
        ("Hello.", {"pitch": 13}, "pitch must be"),
        ("Hello.", {"seed": "x"}, "seed must be"),
        ("Hello.", {"language": "fr"}, "language"),
    ],
)
def test_what_cannot_be_spoken_is_refused(
    studio: Studio, text: str, params: dict[str, Any], message: str
) -> None:
    with pytest.raises(TaskError, match=message) as caught:
        studio.speak(text, **params)
    assert caught.value.code == "validation_failed"


def test_a_sample_of_another_kind_is_refused(studio: Studio, tmp_path: Path) -> None:
    wrong_rate = write_reference(tmp_path / "a.wav", rate=16_000)
    too_long = write_reference(tmp_path / "b.wav", seconds=61)
    too_short = write_reference(tmp_path / "c.wav", seconds=0.5)
    text = tmp_path / "d.wav"
    text.write_text("no sound")
    for path, code in (
        (wrong_rate, "audio_unreadable"),
        (too_long, "audio_unreadable"),
        (too_short, "voice_too_short"),
        (text, "audio_unreadable"),
    ):
        with pytest.raises(TaskError) as caught:
            studio.speak("Hello.", reference=path)
        assert caught.value.code == code


def test_a_long_script_is_spoken_sentence_by_sentence(studio: Studio, model: ScriptedModel) -> None:
    text = " ".join(f"This is sentence number {n}." for n in range(60))
    spoken = studio.speak(text, pause_ms=0)
    assert spoken.data["sentences"] == 60
    assert spoken.context.fractions == sorted(f for f in spoken.context.fractions if f is not None)


def test_trimming_keeps_the_speech_and_a_little_air() -> None:
    clip = np.concatenate([np.zeros(24_000), speech(0.5, 24_000), np.zeros(24_000)]).astype(np.float32)
    kept = trim(clip)
    assert len(kept) == pytest.approx(12_000 + 960 + 1920, abs=480)
    assert kept[0] == kept[-1] == 0
    assert len(trim(np.zeros(24_000, np.float32))) == 0
    assert len(trim(np.zeros(3, np.float32))) == 0


def test_a_single_short_word_is_levelled_too() -> None:
    made = level(speech(0.2, 24_000, 0.01))
    assert np.abs(made).max() == pytest.approx(0.01 * 10 ** (24 / 20), rel=0.3)
