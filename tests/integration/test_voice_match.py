"""The task `voice_match` and matched voices with the real model, on voices made for the purpose.

A target is spoken by the model itself in a timbre between built-in ones, with another pitch and formants, so that
what is right is known and no recording of a person is needed.
"""

import json
import os
import time
import wave
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest

from workers.handler import Task, TaskCancelled, TaskError, WorkerSetup
from workers.speech.cache import to_pcm
from workers.speech.handler import SpeechHandler, create_handler
from workers.speech.install import install
from workers.speech.kokoro import SAMPLE_RATE, Samples, Voice
from workers.speech.match import profile
from workers.speech.match.signals import median_pitch_hz, to_encoder_rate, without_pauses
from workers.speech.match.task import Matcher

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[2]
# Symbols of "You can hear it in every word we say today, and in all we leave unsaid." and, for the comparison, of "Go
# on until the end of the road, then turn left."
SAMPLE = "ju kæn hˈɪɹ ɪt ɪn ˈɛvəɹi wˈɜɹd wi sˈA tədˈA, ænd ɪn ˈɔl wi lˈiv ənsˈɛd."
OTHER = "ɡˌO ˈɔn əntˈɪl ði ˈɛnd ʌv ðə ɹˈOd, ðˈɛn tˈɜɹn lˈɛft."
PITCH_HZ, FORMANT = 205.0, 1.06


class Context:
    """A TaskContext that remembers; it is cancelled when the progress reaches `until`."""

    def __init__(self, until: float = 2.0) -> None:
        self.fractions: list[float] = []
        self.artifacts: dict[str, Path] = {}
        self._until = until
        self.cancelled = False
        self.cancelled_at = 0.0

    def progress(self, fraction: float | None, message: str = "", **_: Any) -> None:
        self.fractions.append(fraction or 0.0)
        if self.fractions[-1] >= self._until and not self.cancelled:
            self.cancelled, self.cancelled_at = True, time.monotonic()

    def artifact(self, role: str, path: Path, **_: Any) -> None:
        self.artifacts[role] = path

    def log(self, level: str, message: str) -> None:
        raise AssertionError(message)

    def raise_if_cancelled(self) -> None:
        if self.cancelled:
            raise TaskCancelled


@pytest.fixture(scope="module")
def handler(tmp_path_factory: pytest.TempPathFactory) -> SpeechHandler:
    given = os.environ.get("AIO_TEST_MODELS_DIR")
    models = Path(given) if given else tmp_path_factory.mktemp("models")
    install(models)
    made = create_handler()
    options = {"ffmpeg": imageio_ffmpeg.get_ffmpeg_exe(), "threads": 2, "assets_dir": str(ROOT / "assets")}
    work, cache = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("cache")
    made.load(WorkerSetup("speech", None, work, models, cache, None, options))
    return made


@pytest.fixture(scope="module")
def matcher(handler: SpeechHandler) -> Matcher:
    return handler._ready_engine().matcher


@pytest.fixture(scope="module")
def stranger(matcher: Matcher) -> Voice:
    """A voice that is not among the built-in ones."""
    space = matcher.space
    mixed = (
        0.55 * space.timbres[space.names.index("if_sara")]
        + 0.45 * space.timbres[space.names.index("bf_lily")]
    )
    native = matcher._library.get("af_bella")
    return Voice(
        name="stranger",
        language="en",
        style=space.style(mixed, native.style),
        fingerprint="stranger",
        f0_gain=PITCH_HZ / 172.0,
        formant=FORMANT,
        gain_db=2.0,
    )


def save(samples: Samples, path: Path) -> Path:
    with wave.open(str(path), "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(SAMPLE_RATE)
        stream.writeframes(to_pcm(samples))
    return path


@pytest.fixture(scope="module")
def reference(matcher: Matcher, stranger: Voice, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(matcher._model.speak(SAMPLE, stranger).samples, tmp_path_factory.mktemp("ref") / "r.wav")


Match = Callable[..., tuple[dict[str, Any], Path, Context]]


@pytest.fixture(scope="module")
def match(handler: SpeechHandler, tmp_path_factory: pytest.TempPathFactory) -> Match:
    def run(inputs: dict[str, Path], context: Context | None = None, **params: Any) -> Any:
        out = tmp_path_factory.mktemp("out")
        context = context or Context()
        data = handler.run(Task("job_x", 1, "voice_match", None, inputs, params, out, 7), context)
        return data, context.artifacts["profile"], context

    return run


@pytest.fixture(scope="module")
def fast(match: Match, reference: Path) -> tuple[dict[str, Any], Path]:
    data, path, context = match({"reference": reference}, mode="fast", language="en")
    assert context.fractions == sorted(context.fractions)
    assert context.fractions[-1] == 1.0
    return data, path


def heard(matcher: Matcher, samples: Samples) -> np.ndarray:
    return np.asarray(matcher._encoder.embed(without_pauses(to_encoder_rate(samples))))


def test_a_fast_match_beats_every_built_in_voice_on_words_it_never_heard(
    matcher: Matcher, stranger: Voice, fast: tuple[dict[str, Any], Path]
) -> None:
    data, path = fast
    wanted = heard(matcher, matcher._model.speak(OTHER, stranger).samples)
    matched = profile.load(path).voice("en", matcher._library, matcher.space)
    spoken = matcher._model.speak(OTHER, matched).samples
    likeness = float(heard(matcher, spoken) @ wanted)
    stock = {
        name: float(heard(matcher, matcher._model.speak(OTHER, matcher._library.get(name)).samples) @ wanted)
        for name in ("af_heart", "af_bella", "bf_emma", data["nearest_voice"])
    }
    assert likeness > max(stock.values()) + 0.05, (likeness, stock)
    # Strangers are at 0.58, two recordings of one person at 0.95.
    assert likeness > 0.70
    assert data["similarity"]["stage"] == "fast"
    assert data["similarity"]["encoder"] == "resemblyzer"
    assert 0.7 < data["similarity"]["score"] <= 1.0
    assert data["gender_guess"] == "female"
    # The native pitch is of another sentence, and sentences differ by a tenth.
    assert abs(data["f0_hz"] / PITCH_HZ - 1) < 0.15
    pitch = median_pitch_hz(to_encoder_rate(spoken))
    assert pitch is not None
    assert abs(pitch / data["f0_hz"] - 1) < 0.12


def test_a_refinement_goes_on_from_the_profile_and_is_not_worse(
    match: Match, reference: Path, fast: tuple[dict[str, Any], Path]
) -> None:
    data, path, context = match(
        {"reference": reference, "profile": fast[1]}, mode="refine", language="en", trials=8
    )
    assert data["similarity"]["stage"] == "refined"
    assert data["similarity"]["score"] >= fast[0]["similarity"]["score"] - 0.02
    assert profile.load(path).trials == 8
    assert len(context.fractions) > 10
    assert context.fractions == sorted(context.fractions)


def test_a_refinement_ends_when_cancelled(
    match: Match, reference: Path, fast: tuple[dict[str, Any], Path]
) -> None:
    context = Context(until=0.3)
    with pytest.raises(TaskCancelled):
        match({"reference": reference, "profile": fast[1]}, context, mode="refine", language="en")
    assert "profile" not in context.artifacts
    assert max(context.fractions) < 0.5


def test_a_matched_voice_speaks_two_languages_with_exact_times(
    handler: SpeechHandler, fast: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    changed = replace(profile.load(fast[1]), formant=1.08)
    profile.save(changed, tmp_path / "p.npz")
    script = tmp_path / "script.json"
    script.write_text(json.dumps({"text": "Hello, how are you? 你好，很高兴认识你。"}), encoding="utf-8")
    sounds = {}
    for semitones in (0, 3):
        out = tmp_path / str(semitones)
        out.mkdir()
        context = Context()
        inputs = {"script": script, "profile": tmp_path / "p.npz"}
        task = Task("job_x", 1, "speech", None, inputs, {"pitch": semitones}, out, 0)
        data = handler.run(task, context)
        timings = json.loads(context.artifacts["timings"].read_text("utf-8"))
        with wave.open(str(context.artifacts["speech"])) as stream:
            raw = stream.readframes(stream.getnframes())
        sound = (np.frombuffer(raw, "<i2") / 32768).astype(np.float32)
        assert data["sentences"] == 2
        assert timings["voice"] == "matched"
        assert timings["duration_s"] == pytest.approx(len(sound) / SAMPLE_RATE, abs=1e-3)
        for sentence in timings["sentences"]:
            start, end = (round(sentence[key] * SAMPLE_RATE) for key in ("start_s", "end_s"))
            assert 0.02 < np.sqrt(np.mean(sound[start:end] ** 2)) < 0.4
            spoken = [p for p in sentence["phonemes"] if p["end_s"] > p["start_s"]]
            assert spoken[0]["start_s"] >= sentence["start_s"] - 0.05
            assert spoken[-1]["end_s"] <= sentence["end_s"] + 0.05
        assert (
            np.abs(sound[: round(timings["sentences"][0]["start_s"] * SAMPLE_RATE) - 2400]).max(initial=0)
            < 0.02
        )
        assert np.abs(sound).max() < 0.9
        sounds[semitones] = sound
    low, high = (median_pitch_hz(to_encoder_rate(sounds[semitones])) for semitones in (0, 3))
    assert low is not None
    assert high is not None
    assert abs(12 * np.log2(high / low) - 3) < 0.7


def test_what_cannot_be_matched_is_said(match: Match, reference: Path, tmp_path: Path) -> None:
    silent = save(np.zeros(5 * SAMPLE_RATE, np.float32), tmp_path / "silent.wav")
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04")
    cases: list[tuple[dict[str, Path], dict[str, Any], str]] = [
        ({"reference": silent}, {}, "voice_too_short"),
        ({"reference": tmp_path / "broken.npz"}, {}, "audio_unreadable"),
        ({"reference": reference, "profile": tmp_path / "broken.npz"}, {"mode": "refine"}, "voice_not_found"),
        ({}, {}, "validation_failed"),
        ({"reference": reference}, {"mode": "magic"}, "validation_failed"),
        ({"reference": reference}, {"mode": "refine", "trials": 3}, "validation_failed"),
        ({"reference": reference}, {"language": "xx"}, "validation_failed"),
    ]
    for inputs, params, code in cases:
        with pytest.raises(TaskError) as caught:
            match(inputs, **params)
        assert caught.value.code == code
