"""MOSS-TTS-Nano: a sample and a sentence in, 48 kHz speech out. Runs in the moss_nano worker.

Flow: sample -> codec encoder -> codes, 12.5 frames a second with `n_vq` codes each. Prompt + codes + sentence, one
row each -> prefill -> hidden state and the keys and values of all layers -> again and again: one graph samples the
codes of the next frame or says that the speech is over; the decode step takes these codes and one more hidden state
comes out -> all codes -> codec decoder -> samples.

The sampling (temperature 0.8, top 25, 0.95 of the mass, repetition penalty 1.2) is inside the frame graph; from
outside come random numbers and which codes were used before. Facts from OpenMOSS/MOSS-TTS-Nano (Apache-2.0).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workers.moss_nano.layout import DECODE, DECODE_AUDIO, ENCODE, FRAME, PREFILL, TOKENIZER, Layout
from workers.moss_nano.text import as_model_text
from workers.speech.cloning import Reference, Take
from workers.speech.kokoro import SAMPLE_RATE
from workers.speech.resample import resample
from workers.speech.stopping import SynthesisStopped, watch
from workers.speech.text.language import Language

NAME = "moss-tts-nano-100m"
# The prompt is computed anew for every sentence: a longer sample costs time and adds little to the voice.
MAX_PROMPT_S = 10.0
# The frame graph takes random numbers below one; this is the largest of single precision.
_LARGEST_RANDOM = 0.99999994

Codes = npt.NDArray[np.int32]
Cancelled = Callable[[], bool]
Arrays = dict[str, npt.NDArray[Any]]


class MossNano:
    """Implements `workers.speech.cloning.CloneModel`."""

    def __init__(self, layout: Layout, *, threads: int) -> None:
        """Load the five graphs on `threads` CPU threads. Raises what onnxruntime raises for a damaged file."""
        import onnxruntime
        import sentencepiece

        self._layout = layout
        self._run_options = onnxruntime.RunOptions
        self._tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(layout.folder / TOKENIZER))

        def load(name: str) -> Any:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            options.inter_op_num_threads = 1
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
            # The cache of keys grows with every frame: a plan for one length is never used twice.
            options.enable_mem_pattern = False
            options.log_severity_level = 3
            return onnxruntime.InferenceSession(
                str(layout.folder / name), options, providers=["CPUExecutionProvider"]
            )

        self._prefill, self._decode, self._frame = load(PREFILL), load(DECODE), load(FRAME)
        self._encode, self._decode_audio = load(ENCODE), load(DECODE_AUDIO)
        self._keys = tuple(entry.name for entry in self._decode.get_inputs())[2:]
        self._fingerprint = _fingerprint(layout.folder)
        self._prompt: tuple[str, Codes] | None = None

    @property
    def name(self) -> str:
        return NAME

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    def prepare(self, reference: Reference, cancelled: Cancelled) -> None:
        """Encode the sample, unless it is the one of the last time. A cancel leaves the old one."""
        if self._prompt is not None and self._prompt[0] == reference.sha256:
            return
        try:
            codes = self._codes_of(reference.samples, cancelled)
        except SynthesisStopped:
            return
        self._prompt = (reference.sha256, codes)

    def speak(
        self, text: str, language: Language, *, seed: int, limit_s: float, cancelled: Cancelled
    ) -> Take | None:
        """One sentence. The same seed gives the same samples on the same machine."""
        if self._prompt is None:
            raise RuntimeError("speak before prepare")
        tokens = self._tokenizer.encode(as_model_text(text, language), out_type=int)
        limit = min(self._layout.max_frames, max(1, int(limit_s / self._layout.frame_s)))
        try:
            frames, complete = self._generate(self._prompt[1], tokens, seed, limit, cancelled)
            samples = self._sound_of(frames, cancelled) if len(frames) else np.zeros(0, np.float32)
        except SynthesisStopped:
            return None
        return Take(samples, self._layout.rate, complete)

    # --- the codec -----------------------------------------------------------------------------

    def _codes_of(self, samples: npt.NDArray[np.float32], cancelled: Cancelled) -> Codes:
        """Codes (frames, n_vq) of a sample at 24 kHz."""
        layout = self._layout
        wave = resample(samples[: round(MAX_PROMPT_S * SAMPLE_RATE)], SAMPLE_RATE, layout.rate)
        outputs = self._run(
            self._encode,
            {
                "waveform": np.repeat(wave[np.newaxis, np.newaxis], layout.channels, axis=1),
                "input_lengths": np.array([len(wave)], np.int32),
            },
            cancelled,
        )
        length = int(outputs["audio_code_lengths"].ravel()[0])
        return outputs["audio_codes"][0, :length, : layout.n_vq].astype(np.int32)

    def _sound_of(self, frames: Codes, cancelled: Cancelled) -> npt.NDArray[np.float32]:
        """Mono samples of codes (frames, n_vq)."""
        outputs = self._run(
            self._decode_audio,
            {"audio_codes": frames[np.newaxis], "audio_code_lengths": np.array([len(frames)], np.int32)},
            cancelled,
        )
        length = int(outputs["audio_lengths"].ravel()[0])
        mono: npt.NDArray[np.float32] = outputs["audio"][0, :, :length].mean(axis=0).astype(np.float32)
        return mono

    # --- the language model --------------------------------------------------------------------

    def _rows(self, prompt: Codes, tokens: list[int]) -> Codes:
        """The request: (rows, 1 + n_vq). Rows of text hold the padding code in every codebook."""
        layout = self._layout
        before = [*layout.before, layout.audio_start]
        after = [layout.audio_end, *layout.after, *tokens, *layout.answer, layout.audio_start]
        rows = np.full(
            (len(before) + len(prompt) + len(after), 1 + layout.n_vq), layout.audio_pad, dtype=np.int32
        )
        sample = slice(len(before), len(before) + len(prompt))
        rows[: len(before), 0] = before
        rows[sample, 0] = layout.user_slot
        rows[sample, 1:] = prompt
        rows[sample.stop :, 0] = after
        return rows

    def _generate(
        self, prompt: Codes, tokens: list[int], seed: int, limit: int, cancelled: Cancelled
    ) -> tuple[Codes, bool]:
        """Codes (frames, n_vq), and whether the model itself ended the speech within `limit` frames."""
        layout = self._layout
        rows = self._rows(prompt, tokens)
        outputs = self._run(
            self._prefill,
            {"input_ids": rows[np.newaxis], "attention_mask": np.ones((1, len(rows)), np.int32)},
            cancelled,
        )
        random = np.random.default_rng(seed)
        seen = np.zeros((1, layout.n_vq, layout.codebook_size), np.int32)
        books = np.arange(layout.n_vq)
        frames: list[Codes] = []
        past = len(rows)
        while len(frames) < limit:
            numbers = np.minimum(random.random(1 + layout.n_vq), _LARGEST_RANDOM).astype(np.float32)
            frame = self._run(
                self._frame,
                {
                    "global_hidden": outputs["global_hidden"][:, -1].astype(np.float32),
                    "repetition_seen_mask": seen,
                    "assistant_random_u": numbers[:1],
                    "audio_random_u": numbers[np.newaxis, 1:],
                },
                cancelled,
            )
            if not int(frame["should_continue"].ravel()[0]):
                return self._stacked(frames), True
            codes = frame["frame_token_ids"].reshape(layout.n_vq).astype(np.int32)
            seen[0, books, np.clip(codes, 0, layout.codebook_size - 1)] = 1
            frames.append(codes)
            row = np.concatenate([[np.int32(layout.assistant_slot)], codes]).astype(np.int32)
            outputs = self._run(
                self._decode,
                {
                    "input_ids": row[np.newaxis, np.newaxis],
                    "past_valid_lengths": np.array([past], np.int32),
                    **{name: outputs[name.replace("past_", "present_", 1)] for name in self._keys},
                },
                cancelled,
            )
            past += 1
        return self._stacked(frames), False

    def _stacked(self, frames: list[Codes]) -> Codes:
        return np.stack(frames) if frames else np.zeros((0, self._layout.n_vq), np.int32)

    def _run(self, session: Any, feeds: Arrays, cancelled: Cancelled) -> Arrays:
        """All outputs of a graph by name. Raises SynthesisStopped soon after `cancelled` says so."""
        if cancelled():
            raise SynthesisStopped
        options = self._run_options()
        names = [entry.name for entry in session.get_outputs()]
        with watch(options, cancelled) as stopped:
            try:
                values = session.run(names, feeds, options)
            except Exception as error:
                if stopped():
                    raise SynthesisStopped from error
                raise
        return dict(zip(names, values, strict=True))


def _fingerprint(folder: Path) -> str:
    """Name of this export: its graphs are small and differ whenever the weights do not fit them."""
    digest = hashlib.sha256(f"{NAME} {MAX_PROMPT_S}".encode())
    for name in (PREFILL, DECODE, FRAME, ENCODE, DECODE_AUDIO, TOKENIZER):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()
