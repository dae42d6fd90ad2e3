"""Whisper base on CTranslate2: clips of speech in, text out. Runs in the listening worker.

Flow: clips -> log-mel features -> one batch through encoder and beam search -> tokens -> text. Only the runtime
is needed: features and the byte-level vocabulary are read here, so that no tokenizer and no hub client is installed.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from workers.listen.features import Samples, log_mel, window_seconds

# Token ids of the multilingual vocabulary of 51,865 (OpenAI, 2022).
_END_OF_TEXT = 50257
_START = 50258
_TRANSCRIBE = 50359
_PREVIOUS = 50361
_NO_TIMES = 50363
_LANGUAGE = {"en": 50259, "zh": 50260, "ja": 50266}
# " 以下是普通话的句子，使用简体中文。": said before the clip, it makes the model write simplified characters.
_BEFORE = {
    "zh": (
        *(220, 3588, 4438, 1541, 29993, 19550, 21596, 1546, 34592, 7626, 171, 120, 234, 22982, 9254, 11249),
        *(222, 29485, 5975, 17174, 1543),
    )
}
BEAM = 5
# How often a running batch looks whether it is done or cancelled, s.
_POLL_S = 0.02
# Half of the decoder's 448 positions, as in the reference; a sentence of 13 s has under 120 tokens.
MAX_TOKENS = 224


class Transcriber:
    """One loaded model. One batch at a time."""

    def __init__(self, folder: Path, *, threads: int) -> None:
        """Load the model in `folder` (install.py) in 8 bits on `threads` CPU threads."""
        import ctranslate2

        self._storage: Any = ctranslate2.StorageView
        self._model: Any = ctranslate2.models.Whisper(
            str(folder), device="cpu", compute_type="int8", intra_threads=threads, inter_threads=1
        )
        self._vocabulary: list[str] = json.loads((folder / "vocabulary.json").read_text("utf-8"))

    def hear(
        self, clips: Sequence[Samples], language: str, *, cancelled: Callable[[], bool] | None = None
    ) -> list[str]:
        """What is said in each clip (16 kHz, at most 30 s) in `language` (en, zh, ja).

        When `cancelled` says so, returns texts that mean nothing within _POLL_S; the batch itself runs on in the
        runtime's own threads, which cannot be stopped, for a few seconds.
        """
        if not clips:
            return []
        seconds = window_seconds(max(len(clip) for clip in clips))
        features = self._storage.from_array(np.stack([log_mel(clip, seconds) for clip in clips]))
        before = _BEFORE.get(language, ())
        prompt = [
            *([_PREVIOUS, *before] if before else []),
            _START,
            _LANGUAGE[language],
            _TRANSCRIBE,
            _NO_TIMES,
        ]
        waiting = self._model.generate(
            features, [prompt] * len(clips), beam_size=BEAM, max_length=MAX_TOKENS, asynchronous=True
        )
        while not all(one.done() for one in waiting):
            if cancelled is not None and cancelled():
                return [""] * len(clips)
            time.sleep(_POLL_S)
        return [self._text(one.result().sequences_ids[0]) for one in waiting]

    def _text(self, tokens: Sequence[int]) -> str:
        """Bytes of the tokens; time marks and other special tokens are left out."""
        alphabet = _byte_of()
        marks = "".join(self._vocabulary[token] for token in tokens if token < _END_OF_TEXT)
        raw = bytes(alphabet[mark] for mark in marks if mark in alphabet)
        return raw.decode("utf-8", errors="replace").strip()


@functools.cache
def _byte_of() -> dict[str, int]:
    """Byte-level BPE shows each byte as a printable character: Latin-1's own where it is one, else U+0100 up."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    table: dict[str, int] = {}
    following = 0x100
    for byte in range(256):
        if byte in printable:
            table[chr(byte)] = byte
        else:
            table[chr(following)] = byte
            following += 1
    return table
