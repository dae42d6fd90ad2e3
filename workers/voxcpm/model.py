"""VoxCPM2: a sample and a sentence in, 48 kHz speech out. Runs in the voxcpm worker, in `voxcpm_core/python_env`.

Flow: sample (a file) and text -> the package's stream of chunks -> joined, ended from outside by closing the stream
between two chunks (each is a fraction of a second of speech).

Source of the facts: the package voxcpm 2.0.3 (Apache-2.0). With `reference_wav_path` alone VoxCPM2 clones without
knowing what is said in the sample; a transcript adds `prompt_wav_path` and `prompt_text`, which carries the manner of
speaking over as well. Its output rate is `tts_model.sample_rate`. In streaming it cannot repeat bad takes itself.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from workers.handler import TaskError
from workers.speech.cloning import MAX_RATE, Reference, Take
from workers.speech.text.language import Language

NAME = "voxcpm2"
# Below the models folder, as assets/catalogue/voxcpm2.json lays them; all of them are opened by the package.
FOLDER = "voxcpm2"
FILES = ("config.json", "model.safetensors", "audiovae.pth", "tokenizer.json", "tokenizer_config.json")
FIX = "Download the model “VoxCPM2” under Models in the page."
# The package's own defaults, written out: they are part of what a kept take sounds like.
GUIDANCE = 2.0
STEPS = 10
# A sentence in round brackets is taken as a description of the voice, not as text.
_BRACKETS = re.compile(r"\s*[()]\s*")
_WIDE_BRACKETS = re.compile(r"\s*[（）]\s*")

Cancelled = Callable[[], bool]


def weights_folder(models_dir: Path) -> Path:
    """The folder of the weights. Raises TaskError(model_missing)."""
    folder = models_dir / FOLDER
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise TaskError(
            "model_missing",
            f"The voice model VoxCPM2 is not installed. {FIX}",
            detail=f"missing: {', '.join(missing)}",
        )
    return folder


class VoxCpm:
    """Implements `workers.speech.cloning.CloneModel`."""

    def __init__(self, folder: Path, *, device: str, package: Any, torch: Any, version: str) -> None:
        """Load the weights to `device`. `package` and `torch` are the imported modules.

        Raises what the package raises; TaskError(import_failed) when it is not the one that this was written for.
        """
        self._torch = torch
        # Without the denoiser and without torch.compile: the first needs another package and weights, the second
        # a compiler and minutes at every start.
        self._model = package.VoxCPM.from_pretrained(
            str(folder), load_denoiser=False, local_files_only=True, optimize=False, device=device
        )
        rate = getattr(getattr(self._model, "tts_model", None), "sample_rate", None)
        if isinstance(rate, bool) or not isinstance(rate, int) or not 8_000 <= rate <= MAX_RATE:
            raise TaskError(
                "import_failed",
                "The installed version of VoxCPM is not the one that this version of All-in-one knows.",
                detail=f"sample rate {rate!r}",
            )
        self._rate = rate
        self._reference: Reference | None = None
        config = (folder / "config.json").read_bytes()
        self._fingerprint = hashlib.sha256(
            f"{NAME} {version} {GUIDANCE} {STEPS}".encode() + config
        ).hexdigest()

    @property
    def name(self) -> str:
        return NAME

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    def prepare(self, reference: Reference, cancelled: Cancelled) -> None:
        """Keep the sample; the package reads its file with every sentence."""
        self._reference = reference

    def speak(
        self, text: str, language: Language, *, seed: int, limit_s: float, cancelled: Cancelled
    ) -> Take | None:
        """One sentence; it ends at `limit_s` if the model does not. VoxCPM2 finds the language by itself."""
        if self._reference is None:
            raise RuntimeError("speak before prepare")
        self._torch.manual_seed(seed)  # the CPU's and every GPU's
        stream = self._model.generate_streaming(
            text=as_model_text(text),
            **_voice_of(self._reference),
            cfg_value=GUIDANCE,
            inference_timesteps=STEPS,
            retry_badcase=False,
        )
        limit = round(limit_s * self._rate)
        chunks: list[Any] = []
        length = 0
        try:
            for chunk in stream:
                if cancelled():
                    return None
                chunks.append(np.asarray(chunk, np.float32).ravel())
                length += len(chunks[-1])
                if length > limit:
                    return Take(np.concatenate(chunks), self._rate, complete=False)
        finally:
            stream.close()
        samples = np.concatenate(chunks) if chunks else np.zeros(0, np.float32)
        return Take(samples, self._rate)


def _voice_of(reference: Reference) -> dict[str, str]:
    path = str(reference.path)
    if reference.text is None:
        return {"reference_wav_path": path}
    return {"reference_wav_path": path, "prompt_wav_path": path, "prompt_text": reference.text}


def as_model_text(text: str) -> str:
    """`text` without round brackets, which would be read as a description of the voice."""
    plain = _WIDE_BRACKETS.sub("，", _BRACKETS.sub(", ", text))
    return " ".join(plain.split()).strip(" ,，") or text
