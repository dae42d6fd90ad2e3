"""What is kept of a matched voice: one small file. Runs in the speech worker.

Flow: `Profile` <-> `profile.npz` (numbers only, no pickle, versioned). A profile and the native voice of a language
make the `Voice` that speaks it.
"""

from __future__ import annotations

import hashlib
import io
import math
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from workers.handler import TaskError
from workers.speech.kokoro import Voice
from workers.speech.match import natives, spectrum
from workers.speech.match.timbres import TIMBRE_SIZE, TimbreSpace
from workers.speech.voices import VoiceLibrary

F32 = npt.NDArray[np.float32]

KIND = "voice match"
VERSION = 1
# A profile takes 4 KB. Anything larger is no profile, whatever it says.
MAX_BYTES = 1 << 20
MATCHED_NAME = "matched"
# Beyond these formants sound like a toy's or a giant's.
MIN_FORMANT, MAX_FORMANT = 0.86, 1.16
# The model keeps its voice down to 0.55 and up to 1.8 times a native pitch; beyond, it croaks or whistles.
MIN_GAIN, MAX_GAIN = 0.55, 1.80
_LIMITS = {
    "pitch_hz": (40.0, 600.0),
    "pitch_trim": (0.5, 2.0),
    "formant": (MIN_FORMANT, MAX_FORMANT),
    "gain_db": (-40.0, 40.0),
    "score": (-1.0, 1.0),
    "trials": (0.0, 1e6),
}


@dataclass(frozen=True)
class Profile:
    """A matched voice. `timbre` (128,), `correction_db` (513,); `pitch_hz`: the median it speaks at.

    `pitch_trim`: what the model needs to reach that pitch in this timbre. `score`: cosine with the sample by the
    speaker encoder, on sentences spoken for it. `trials`: how many voices were tried, 0 for a fast match.
    """

    timbre: F32
    correction_db: F32
    pitch_hz: float
    pitch_trim: float
    formant: float
    gain_db: float
    score: float
    trials: int

    @property
    def stage(self) -> str:
        """`fast` or `refined`."""
        return "refined" if self.trials else "fast"

    def fingerprint(self) -> str:
        """Hex digest of everything that is heard."""
        digest = hashlib.sha256(self.timbre.tobytes() + self.correction_db.tobytes())
        digest.update(repr((self.pitch_hz, self.pitch_trim, self.formant, self.gain_db)).encode())
        return digest.hexdigest()

    def voice(self, language: str, library: VoiceLibrary, space: TimbreSpace, hint: str = "") -> Voice:
        """The voice for sentences in `language`. Its rhythm and tones come from a native voice: `hint` when that is
        a voice of the language, else the one of the nearest pitch. Raises TaskError(model_missing).
        """
        native = natives.choose(library, language, self.pitch_hz, hint)
        prosody = library.get(native)
        wanted = self.pitch_hz * self.pitch_trim / natives.pitch_hz(native)
        return Voice(
            name=MATCHED_NAME,
            language=language,
            style=space.style(self.timbre, prosody.style),
            fingerprint=hashlib.sha256(f"{self.fingerprint()} {prosody.fingerprint}".encode()).hexdigest(),
            gain_db=self.gain_db,
            f0_gain=float(np.clip(wanted, MIN_GAIN, MAX_GAIN)),
            formant=self.formant,
            correction_db=self.correction_db,
        )


def save(profile: Profile, path: Path) -> None:
    """Write `profile`; the same profile always gives the same bytes."""
    values = {field.name: np.asarray(getattr(profile, field.name)) for field in fields(profile)}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, value in {"kind": np.asarray(KIND), "version": np.asarray(VERSION), **values}.items():
            part = io.BytesIO()
            np.lib.format.write_array(part, value, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), part.getvalue())
    path.write_bytes(buffer.getvalue())


def load(path: Path) -> Profile:
    """Read a profile. Raises TaskError(voice_not_found) when it is damaged or of another version."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError("too large for a profile")
        # Read whole first: of a damaged file numpy would leave the handle open.
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            if str(stored["kind"]) != KIND or int(stored["version"]) != VERSION:
                raise ValueError(f"kind {stored['kind']}, version {stored['version']}")
            numbers = {name: _number(name, stored[name]) for name in _LIMITS}
            trials = int(numbers.pop("trials"))
            return Profile(
                timbre=_curve("timbre", stored["timbre"], TIMBRE_SIZE, 20.0),
                correction_db=_curve("correction_db", stored["correction_db"], spectrum.BINS, 40.0),
                trials=trials,
                **numbers,
            )
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise TaskError(
            "voice_not_found",
            "The file of this matched voice is damaged or from another version. Enrol the voice again.",
            detail=repr(error),
        ) from error


def _number(name: str, value: npt.NDArray[np.float64]) -> float:
    low, high = _LIMITS[name]
    if value.ndim:  # numpy 2.2 (Python 3.10) only warns of an array here, later ones refuse
        raise ValueError(f"{name} is an array of shape {value.shape}")
    number = float(value)
    if not math.isfinite(number) or not low <= number <= high:
        raise ValueError(f"{name} is {number}")
    return number


def _curve(name: str, value: npt.NDArray[np.float32], size: int, limit: float) -> F32:
    if value.shape != (size,) or not np.all(np.abs(value.astype(np.float64)) <= limit):
        raise ValueError(f"{name} is not {size} numbers up to {limit}")
    return value.astype(np.float32)
