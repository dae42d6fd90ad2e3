"""Recordings into the enrolment of the speech worker, with its real networks: references and findings out.

The two readers are cuts of LibriSpeech (tests/fixtures/voices/NOTICE); what is wrong with a recording is made here.
"""

import subprocess
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest

from workers.handler import Task, TaskCancelled, TaskError, WorkerSetup
from workers.speech.enrol.findings import FINDING_CODES
from workers.speech.enrol.task import Enroller
from workers.speech.handler import create_handler
from workers.speech.loudness import integrated_loudness

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
ASSETS = ROOT / "assets"
VOICES = ROOT / "tests" / "fixtures" / "voices"
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
RATE = 16_000

Sound = np.ndarray


class Context:
    """A TaskContext that remembers; `cancel_at` sets `cancelled` at that many progress calls."""

    def __init__(self, cancel_at: int | None = None) -> None:
        self.fractions: list[float] = []
        self.artifacts: dict[str, Path] = {}
        self.logs: list[str] = []
        self.cancelled = False
        self._cancel_at = cancel_at

    def progress(self, fraction: float | None, message: str = "", **_: Any) -> None:
        assert fraction is not None
        self.fractions.append(fraction)
        self.cancelled = self._cancel_at is not None and len(self.fractions) >= self._cancel_at

    def artifact(self, role: str, path: Path, **_: Any) -> None:
        self.artifacts[role] = path

    def log(self, level: str, message: str) -> None:
        self.logs.append(message)

    def raise_if_cancelled(self) -> None:
        if self.cancelled:
            raise TaskCancelled


def ffmpeg(*arguments: str, stdin: bytes | None = None) -> bytes:
    command = [FFMPEG, "-hide_banner", "-loglevel", "error", "-y", *arguments]
    return subprocess.run(command, check=True, timeout=60, input=stdin, stdout=subprocess.PIPE).stdout


def reader(name: str) -> Sound:
    data = ffmpeg(
        "-i", str(VOICES / f"reader_{name}.opus"), "-ac", "1", "-ar", str(RATE), "-f", "f32le", "pipe:1"
    )
    return np.frombuffer(data, "<f4").astype(np.float64)


@pytest.fixture(scope="module")
def first() -> Sound:
    return reader("a")


@pytest.fixture(scope="module")
def second() -> Sound:
    return reader("b")


@pytest.fixture(scope="module")
def enroller() -> Enroller:
    return Enroller(ffmpeg=FFMPEG, assets_dir=ASSETS)


Enrol = Callable[..., tuple[dict[str, Any], Context]]


@pytest.fixture
def enrol(enroller: Enroller, tmp_path: Path) -> Enrol:
    def run(
        sound: Sound | Path, *, rate: int = RATE, context: Context | None = None
    ) -> tuple[dict[str, Any], Context]:
        out = tmp_path / "out"
        out.mkdir(exist_ok=True)
        path = sound if isinstance(sound, Path) else write(tmp_path / "recording.wav", sound, rate)
        context = context or Context()
        report = enroller.run(Task("job_x", 1, "voice_enrol", None, {"audio": path}, {}, out, 0), context)
        left = {path.name for path in out.iterdir()}
        assert left == {"reference.wav", "reference_16k.wav"}
        return report, context

    return run


def write(path: Path, samples: Sound, rate: int = RATE) -> Path:
    with wave.open(str(path), "wb") as stream:
        stream.setnchannels(samples.shape[1] if samples.ndim == 2 else 1)
        stream.setsampwidth(2)
        stream.setframerate(rate)
        stream.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def read(path: Path) -> tuple[Sound, int]:
    with wave.open(str(path)) as stream:
        assert (stream.getnchannels(), stream.getsampwidth()) == (1, 2)
        data = stream.readframes(stream.getnframes())
        return np.frombuffer(data, "<i2").astype(np.float32) / 32768, stream.getframerate()


def found(report: dict[str, Any]) -> dict[str, str]:
    return {finding["code"]: finding["severity"] for finding in report["findings"]}


def white(count: int) -> Sound:
    return np.random.default_rng(7).standard_normal(count)


def mixed_at(voice: Sound, other: Sound, snr_db: float) -> Sound:
    return voice + other * np.sqrt(np.mean(voice**2) / np.mean(other**2)) * 10 ** (-snr_db / 20)


def chords(seconds: float) -> Sound:
    """A bar of four chords, each note with five harmonics, struck twice a second."""
    time = np.arange(round(seconds * RATE)) / RATE
    sound = np.zeros_like(time)
    for number, root in enumerate((261.6, 220.0, 349.2, 392.0)):
        playing = ((time // 2).astype(int) % 4) == number
        for ratio in (1.0, 1.26, 1.498, 2.0):
            for harmonic in range(1, 6):
                sound += playing * np.sin(2 * np.pi * root * ratio * harmonic * time) / harmonic
    return sound * np.exp(-2.0 * (time % 0.5))


def test_a_good_recording_becomes_a_reference_and_nothing_is_said_against_it(
    enrol: Enrol, first: Sound
) -> None:
    report, context = enrol(first)
    assert report["findings"] == []
    assert report["duration_s"] == pytest.approx(10.0, abs=0.02)
    assert 8.0 < report["speech_s"] <= report["used_s"] <= 10.0
    assert (report["sample_rate"], report["channels"], report["codec"]) == (RATE, 1, "pcm_s16le")
    assert report["peak"] == pytest.approx(np.abs(first).max(), abs=1e-3)
    assert report["loudness_lufs"] == pytest.approx(
        integrated_loudness(first.astype(np.float32), RATE), abs=1.0
    )
    assert report["speaker_similarity"] > 0.85
    assert 100 < len(report["waveform"]) <= 400
    assert max(report["waveform"]) == pytest.approx(report["peak"], abs=1e-3)
    high, high_rate = read(context.artifacts["reference"])
    low, low_rate = read(context.artifacts["reference_16k"])
    assert (high_rate, low_rate) == (24_000, 16_000)
    assert len(high) / 24_000 == pytest.approx(len(low) / 16_000, abs=0.005)
    assert len(high) / 24_000 == pytest.approx(report["used_s"], abs=0.01)
    assert integrated_loudness(high, 24_000) == pytest.approx(-20.0, abs=0.2)
    assert np.abs(high).max() <= 0.975
    assert context.fractions == sorted(context.fractions)
    assert context.fractions[-1] == 1.0


def test_the_second_reader_is_clean_too(enrol: Enrol, second: Sound) -> None:
    assert found(enrol(second)[0]) == {}


@pytest.mark.parametrize(("snr_db", "severity"), [(5.0, "warning"), (10.0, "warning"), (17.0, "info")])
def test_noise_is_heard(enrol: Enrol, first: Sound, snr_db: float, severity: str) -> None:
    report, _ = enrol(mixed_at(first, white(len(first)), snr_db) * 0.7)
    assert found(report) == {"noisy": severity}
    assert report["snr_db"] == pytest.approx(snr_db, abs=3.0)


@pytest.mark.parametrize("level", [1.0, 0.4])
def test_clipping_is_seen_also_when_it_was_turned_down_afterwards(
    enrol: Enrol, first: Sound, level: float
) -> None:
    report, _ = enrol(np.clip(first * 4, -1, 1) * level)
    assert found(report) == {"clipping": "warning"}
    assert 0.001 < report["clipped_fraction"] < 0.05


def test_clipping_outside_of_the_seconds_that_are_used_is_only_mentioned(enrol: Enrol, first: Sound) -> None:
    cough = np.clip(white(RATE // 2) * 3, -1, 1)
    report, _ = enrol(np.concatenate([cough, np.zeros(RATE), first]))
    assert found(report).get("clipping") in (None, "info")
    assert report["used_spans"][0][0] >= 1.2


def test_a_telephone_is_recognised(enrol: Enrol, first: Sound) -> None:
    spectrum = np.fft.rfft(first)
    frequencies = np.fft.rfftfreq(len(first), 1 / RATE)
    spectrum[(frequencies < 300) | (frequencies > 3400)] = 0
    report, _ = enrol(np.fft.irfft(spectrum, len(first)))
    assert found(report) == {"narrow_band": "warning"}
    assert report["bandwidth_hz"] == pytest.approx(3400, abs=300)


def test_a_recording_of_a_telephone_app(enrol: Enrol) -> None:
    report, _ = enrol(VOICES / "reader_b.amr")
    assert found(report) == {"short": "info", "narrow_band": "warning"}
    assert (report["codec"], report["sample_rate"], report["bandwidth_hz"]) == ("amr_nb", 8000, 4000)


@pytest.mark.parametrize("snr_db", [0.0, 5.0])
def test_music_behind_the_voice_is_heard(enrol: Enrol, first: Sound, snr_db: float) -> None:
    report, _ = enrol(mixed_at(first, chords(len(first) / RATE)[: len(first)], snr_db) * 0.5)
    assert found(report)["music"] == "warning"
    assert report["music_score"] > 1.4


def test_two_people_are_told_apart_and_one_of_them_is_used(enrol: Enrol, first: Sound, second: Sound) -> None:
    pause = np.zeros(RATE // 2)
    report, _ = enrol(np.concatenate([first, pause, second[: 6 * RATE]]))
    assert found(report)["second_speaker"] == "warning"
    assert report["used_spans"][-1][1] <= 10.6
    assert report["used_s"] > 7.0


def test_one_person_in_two_sessions_is_one_person(enrol: Enrol, first: Sound) -> None:
    far = np.convolve(first, [0.5, 0.3, 0.1, 0.05, 0.05], "same") * 0.5
    assert "second_speaker" not in found(enrol(np.concatenate([first[: 5 * RATE], far[5 * RATE :]]))[0])


def test_a_quiet_recording_is_raised_and_reported(enrol: Enrol, first: Sound) -> None:
    report, context = enrol(first * 0.01)
    assert found(report) == {"quiet": "warning"}
    sound, rate = read(context.artifacts["reference"])
    assert integrated_loudness(sound, rate) == pytest.approx(-20.0, abs=0.5)


def test_channels_that_cancel_each_other_are_not_mixed(enrol: Enrol, first: Sound) -> None:
    report, context = enrol(np.stack([first, -first], axis=1))
    assert found(report) == {"phase": "info"}
    assert report["channels"] == 2
    sound, rate = read(context.artifacts["reference"])
    assert integrated_loudness(sound, rate) == pytest.approx(-20.0, abs=0.2)


def test_a_long_recording_is_used_from_where_it_is_best(enrol: Enrol, first: Sound) -> None:
    noisy = mixed_at(first, white(len(first)), 3.0) * 0.7
    report, context = enrol(np.concatenate([noisy, noisy, first, first, first, noisy, noisy]))
    assert found(report)["long"] == "info"
    assert "noisy" not in found(report)
    assert 20.0 < report["used_s"] <= 30.0
    assert report["used_spans"][0][0] >= 19.9
    assert report["used_spans"][-1][1] <= 50.5
    assert len(read(context.artifacts["reference"])[0]) / 24_000 == pytest.approx(report["used_s"], abs=0.01)


@pytest.mark.parametrize(("seconds", "codes"), [(4.0, {"short": "warning"}), (6.5, {"short": "info"})])
def test_a_short_recording_is_taken_with_a_word(
    enrol: Enrol, first: Sound, seconds: float, codes: dict[str, str]
) -> None:
    assert found(enrol(first[: round(seconds * RATE)])[0]) == codes


@pytest.mark.parametrize(
    "make",
    [
        lambda voice: voice[: 2 * RATE],
        lambda voice: np.zeros(5 * RATE),
        lambda voice: white(6 * RATE) * 0.1,
        lambda voice: chords(8.0) * 0.1,
        lambda voice: 0.3 * np.sin(np.arange(6 * RATE) * 0.1),
    ],
    ids=["two seconds", "silence", "noise", "music", "tone"],
)
def test_less_than_three_seconds_of_speech_are_refused(enrol: Enrol, first: Sound, make: Any) -> None:
    with pytest.raises(TaskError) as caught:
        enrol(make(first))
    assert caught.value.code == "voice_too_short"


FORMATS = {
    "voice.mp3": ("-b:a", "64k"),
    "voice.m4a": ("-c:a", "aac"),
    "voice.aac": ("-c:a", "aac"),
    "voice.ogg": ("-c:a", "libvorbis"),
    "voice.webm": ("-c:a", "libopus"),
    "voice.3gp": ("-c:a", "aac"),
    "voice.caf": ("-c:a", "alac"),
    "voice.wma": ("-c:a", "wmav2"),
    "voice.aiff": (),
    "voice.flac": ("-ar", "96000"),
    "float.wav": ("-c:a", "pcm_f32le"),
    "law.wav": ("-c:a", "pcm_mulaw"),
    "surround.m4a": ("-af", "pan=5.1|FC=c0|FL=0.1*c0|FR=0.1*c0", "-c:a", "aac"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_what_phones_browsers_and_chat_apps_make_is_read(
    enrol: Enrol, first: Sound, tmp_path: Path, name: str
) -> None:
    source = write(tmp_path / "source.wav", first[: round(4.2 * RATE)])
    ffmpeg("-i", str(source), *FORMATS[name], str(tmp_path / name))
    report, _ = enrol(tmp_path / name)
    assert report["speech_s"] > 3.0
    assert set(found(report)) == {"short"}
    assert report["channels"] == (6 if name == "surround.m4a" else 1)


@pytest.mark.parametrize(
    ("name", "codecs"),
    [
        ("me.mp4", ("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac")),
        ("me.webm", ("-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libopus")),
        ("me.mkv", ("-c:v", "mpeg4", "-c:a", "flac")),
        ("me.mov", ("-c:v", "mpeg4", "-c:a", "pcm_s16le")),
    ],
)
def test_the_sound_of_a_video_is_used(
    enrol: Enrol, first: Sound, tmp_path: Path, name: str, codecs: tuple[str, ...]
) -> None:
    source = write(tmp_path / "source.wav", first[: round(4.2 * RATE)])
    picture = ("-f", "lavfi", "-i", "testsrc2=s=64x64:r=10:d=5")
    ffmpeg(*picture, "-i", str(source), *codecs, "-shortest", str(tmp_path / name))
    assert set(found(enrol(tmp_path / name)[0])) == {"short"}


def test_a_cover_picture_is_not_the_sound(enrol: Enrol, first: Sound, tmp_path: Path) -> None:
    source = write(tmp_path / "source.wav", first[: round(4.2 * RATE)])
    picture = str(ASSETS / "portraits" / "aria_512.jpg")
    ffmpeg("-i", picture, "-i", str(source), "-map", "1", "-map", "0", "-c:v", "copy",
           "-disposition:v", "attached_pic", str(tmp_path / "cover.mp3"))  # fmt: skip
    assert enrol(tmp_path / "cover.mp3")[0]["codec"] == "mp3"


def test_a_file_that_breaks_off_is_used_as_far_as_it_goes(enrol: Enrol, first: Sound, tmp_path: Path) -> None:
    source = write(tmp_path / "source.wav", first)
    ffmpeg("-i", str(source), str(tmp_path / "whole.flac"))
    whole = (tmp_path / "whole.flac").read_bytes()
    (tmp_path / "half.flac").write_bytes(whole[: len(whole) // 2])
    report, _ = enrol(tmp_path / "half.flac")
    assert 3.0 < report["duration_s"] < 7.0


def test_samples_that_are_no_numbers_are_silence(enrol: Enrol, first: Sound, tmp_path: Path) -> None:
    samples = first.astype("<f4").copy()
    samples[1000:1100] = np.nan
    samples[2000:2010] = np.inf
    path = tmp_path / "broken.wav"
    ffmpeg("-f", "f32le", "-ar", str(RATE), "-ac", "1", "-i", "pipe:0", "-c:a", "pcm_f32le", str(path),
           stdin=first.astype("<f4").tobytes())  # fmt: skip
    whole = path.read_bytes()
    start = whole.index(first.astype("<f4").tobytes()[:64])
    path.write_bytes(whole[:start] + samples.tobytes() + whole[start + samples.nbytes :])
    report, _ = enrol(path)
    assert report["peak"] == pytest.approx(np.abs(first).max(), abs=0.01)


def test_a_video_without_sound_says_so(enrol: Enrol, tmp_path: Path) -> None:
    path = tmp_path / "silent.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x64:r=10:d=2", "-c:v", "mpeg4", str(path))
    with pytest.raises(TaskError, match="no sound track") as caught:
        enrol(path)
    assert caught.value.code == "audio_unreadable"


@pytest.mark.parametrize("head", [b"#!SILK_V3\x0c\x00", b"\x02#!SILK_V3\x0c\x00"])
def test_a_silk_message_is_refused_with_a_way_out(enrol: Enrol, tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "message.amr"
    path.write_bytes(head + bytes(2000))
    with pytest.raises(TaskError, match="SILK") as caught:
        enrol(path)
    assert caught.value.code == "audio_unreadable"


@pytest.mark.parametrize(
    "content",
    [b"", b"garbage" * 500, b"#EXTM3U\nfile:///etc/passwd\n", b"ffconcat version 1.0\nfile /etc/passwd\n",
     b"RIFF\x24\x00\x00\x00WAVE"],
)  # fmt: skip
def test_what_is_no_recording_is_refused(enrol: Enrol, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(TaskError) as caught:
        enrol(path)
    assert caught.value.code == "audio_unreadable"
    assert not list((tmp_path / "out").iterdir())


def test_cancelling_ends_it_and_leaves_no_file(enrol: Enrol, first: Sound, tmp_path: Path) -> None:
    with pytest.raises(TaskCancelled):
        enrol(first, context=Context(cancel_at=2))
    assert not list((tmp_path / "out").iterdir())


def test_the_worker_knows_the_task_and_needs_no_speech_model_for_it(tmp_path: Path) -> None:
    handler = create_handler()
    options = {"ffmpeg": FFMPEG, "threads": 1, "assets_dir": str(ASSETS)}
    handler.load(WorkerSetup("speech", None, tmp_path, tmp_path / "none", tmp_path / "cache", None, options))
    context = Context()
    inputs = {"audio": VOICES / "reader_b.amr"}
    report = handler.run(Task("job_x", 1, "voice_enrol", None, inputs, {}, tmp_path, 0), context)
    assert {finding["code"] for finding in report["findings"]} <= set(FINDING_CODES)
    handler.unload()
    with pytest.raises(TaskError) as caught:
        handler.run(Task("job_x", 1, "voice_enrol", None, {}, {}, tmp_path, 0), context)
    assert caught.value.code == "validation_failed"


def test_a_missing_network_is_named(tmp_path: Path) -> None:
    with pytest.raises(TaskError) as caught:
        Enroller(ffmpeg=FFMPEG, assets_dir=tmp_path)
    assert caught.value.code == "model_missing"
