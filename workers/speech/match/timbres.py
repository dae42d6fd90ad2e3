"""The built-in timbres as points in one space. Runs in the speech worker.

Flow: `assets/models/match/timbres.npz` (made by benchmarks/match_timbres.py) -> the timbre half of each of Kokoro's
54 style packs, averaged over lengths, and the few directions in which they differ. A style has two halves: the
first colours the sound, the second shapes pitch and rhythm; only the first is mixed here, so that Mandarin tones
stay those of a native voice. What a timbre adds with the length of a sentence is common to all and kept apart.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from workers.handler import TaskError
from workers.speech.kokoro import STYLE_SHAPE
from workers.speech.match import spectrum
from workers.speech.speaker import SpeakerEncoder

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

TIMBRE_SIZE = 128
# 20 of 53 directions hold 86 % of the variation between the 54 timbres.
DIRECTIONS = 20
# Logarithmic mel power is kept in bytes between these powers of ten.
LOG_LOW, LOG_HIGH = -9.0, 1.0
_MEL_BANDS = 40


class TimbreSpace:
    """The loaded timbres. `names` (n), `timbres` (n, 128), `log_pitch` (n) of their natural speech."""

    def __init__(self, assets_dir: Path) -> None:
        """`assets_dir`: the program's assets folder. Raises TaskError(model_missing) for a damaged file."""
        try:
            # Read whole first: of a damaged file numpy would leave the handle open.
            raw = (assets_dir / "models" / "match" / "timbres.npz").read_bytes()
            with np.load(io.BytesIO(raw), allow_pickle=False) as stored:
                self.names: list[str] = [str(name) for name in stored["names"]]
                self.timbres: F32 = stored["timbres"].astype(np.float32)
                self._by_length: F32 = stored["by_length"].astype(np.float32)
                self.log_pitch: F64 = np.log(stored["pitch_hz"].astype(np.float64))
                scaled = stored["windows"].astype(np.float32) / 255.0 * (LOG_HIGH - LOG_LOW) + LOG_LOW
                self._windows: F32 = (np.float32(10.0) ** scaled).astype(np.float32)
                self._owner = stored["window_owner"].astype(np.int64)
                self._spectra: F64 = stored["spectra"].astype(np.float64)
            if self._by_length.shape != (STYLE_SHAPE[0], TIMBRE_SIZE):
                raise ValueError(f"unexpected shape {self._by_length.shape}")
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise TaskError(
                "model_missing",
                "The file that voices are matched with is missing or damaged. Unpack the program again.",
                detail=repr(error),
            ) from error
        self._centre: F32 = self.timbres.mean(axis=0)
        _, scale, directions = np.linalg.svd(self.timbres - self._centre, full_matrices=False)
        self._directions: F32 = directions[:DIRECTIONS]
        self._scale: F32 = scale[:DIRECTIONS] / np.sqrt(len(self.timbres))

    def coordinates(self, timbre: F32) -> F64:
        """Where a timbre (..., 128) lies, (..., 20): 1 is one standard deviation among the built-in ones."""
        return np.asarray((timbre - self._centre) @ self._directions.T / self._scale, np.float64)

    def timbre(self, coordinates: F64) -> F32:
        """The timbre (128,) at `coordinates` (20,)."""
        return np.asarray(self._centre + (coordinates * self._scale) @ self._directions, np.float32)

    def style(self, timbre: F32, prosody: F32) -> F32:
        """A style pack (510, 256) that sounds like `timbre` and moves like the pack `prosody`."""
        pack = prosody.astype(np.float32, copy=True)
        pack[:, :TIMBRE_SIZE] = timbre + self._by_length
        return pack

    def vectors(
        self,
        encoder: SpeakerEncoder,
        wanted: F64,
        levels_db: tuple[float, ...],
        chosen: npt.NDArray[np.bool_],
    ) -> F64:
        """Speaker vectors of the `chosen` (n,) timbres as if corrected to the spectrum `wanted`; zeros for others.

        (n, 256 * levels): one after the other for each level in dB above the encoder's own. Nothing is spoken: the
        kept mel powers are weighted as the filter would weight the sound.
        """
        frequencies = np.arange(spectrum.BINS) * spectrum.RATE / spectrum.TAPS
        bands_hz = encoder.band_hz
        weighted, owners = [], []
        for index in np.flatnonzero(chosen):
            windows = self._windows[self._owner == index]
            gain_db = np.interp(bands_hz, frequencies, spectrum.correction_db(wanted, self._spectra[index]))
            louder = windows * (10.0 ** (gain_db / 10.0)).astype(np.float32)
            # The bands have equal areas, so their sum weighted by their widths is the power.
            before = float((windows * encoder.band_width).sum())
            after = float((louder * encoder.band_width).sum())
            weighted.append(louder * np.float32(before / max(after, 1e-12)))
            owners.extend([index] * len(windows))
        batch = np.concatenate(weighted)
        levelled = [batch * np.float32(10.0 ** (level / 10.0)) for level in levels_db]
        found = encoder.embed_mels(np.concatenate(levelled)).reshape(len(levels_db), len(batch), -1)
        result = np.zeros((len(self.names), found.shape[2] * len(levels_db)))
        for index in np.flatnonzero(chosen):
            result[index] = found[:, np.array(owners) == index].mean(axis=1).reshape(-1)
        return result
