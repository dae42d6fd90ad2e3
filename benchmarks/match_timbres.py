"""Make assets/models/match/timbres.npz from the style packs of Kokoro-82M.

    npm pack kokoro-js@1.2.1 && tar xzf kokoro-js-1.2.1.tgz
    python benchmarks/match_timbres.py package/voices --models-dir data/models [--write]

For each of the 54 packs: the mean of its timbre half over sentences of 20 to 150 symbols, its natural pitch, and one
English sentence spoken in that timbre with a native voice's rhythm, kept as the speaker encoder's mel windows (bytes)
and as a mean spectrum. Takes about two minutes. Prints what it measured.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from workers.speech.install import model_path  # noqa: E402
from workers.speech.kokoro import STYLE_SHAPE, Kokoro, Voice  # noqa: E402
from workers.speech.match import natives, spectrum  # noqa: E402
from workers.speech.match.sentences import SENTENCES  # noqa: E402
from workers.speech.match.signals import median_pitch_hz, to_encoder_rate, without_pauses  # noqa: E402
from workers.speech.match.timbres import LOG_HIGH, LOG_LOW, TIMBRE_SIZE  # noqa: E402
from workers.speech.speaker import SpeakerEncoder  # noqa: E402
from workers.speech.voices import VoiceLibrary  # noqa: E402

# The rows of a pack that ordinary sentences use.
ROWS = slice(20, 150)
MALE_BELOW_HZ = 158.0


def main() -> None:
    """Measure all packs; write the file when asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("packs", type=Path)
    parser.add_argument("--models-dir", type=Path, default=ROOT / "data" / "models")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    assets = ROOT / "assets"
    vocabulary = json.loads((assets / "g2p" / "kokoro_vocab.json").read_text("utf-8"))
    model = Kokoro(model_path(arguments.models_dir), vocabulary, threads=2)
    encoder = SpeakerEncoder(assets)
    library = VoiceLibrary(assets / "voices")
    paths = sorted(arguments.packs.glob("*.bin"))
    packs = np.stack([np.fromfile(path, "<f4").reshape(STYLE_SHAPE) for path in paths])
    halves = packs[:, :, :TIMBRE_SIZE]
    timbres = halves[:, ROWS].mean(axis=1)
    by_length = (halves - timbres[:, None]).mean(axis=0)
    pitches, windows, owners, spectra = [], [], [], []
    for index, path in enumerate(paths):
        plain = Voice(path.stem, "en", packs[index], path.stem)
        pitch = median_pitch_hz(to_encoder_rate(model.speak(SENTENCES["en"][0], plain).samples)) or 160.0
        native = library.get("am_michael" if pitch < MALE_BELOW_HZ else "af_heart")
        style = native.style.copy()
        style[:, :TIMBRE_SIZE] = timbres[index] + by_length
        tried = replace(plain, style=style, f0_gain=pitch / natives.pitch_hz(native.name))
        spoken = model.speak(SENTENCES["en"][0], tried).samples
        mel = encoder.mel_windows(without_pauses(to_encoder_rate(spoken)))
        pitches.append(pitch)
        windows.append(mel)
        owners.extend([index] * len(mel))
        spectra.append(spectrum.mean_log_spectrum(spoken))
        print(f"{path.stem:14} {pitch:6.1f} Hz  {len(mel)} windows", flush=True)
    logarithm = np.log10(np.maximum(np.concatenate(windows), 10.0**LOG_LOW))
    scaled = (np.clip(logarithm, LOG_LOW, LOG_HIGH) - LOG_LOW) / (LOG_HIGH - LOG_LOW)
    if arguments.write:
        np.savez_compressed(
            assets / "models" / "match" / "timbres.npz",
            names=np.array([path.stem for path in paths]),
            timbres=timbres.astype(np.float16),
            by_length=by_length.astype(np.float16),
            pitch_hz=np.array(pitches, np.float32),
            windows=np.round(scaled * 255).astype(np.uint8),
            window_owner=np.array(owners, np.uint8),
            spectra=np.array(spectra).astype(np.float16),
        )


if __name__ == "__main__":
    main()
