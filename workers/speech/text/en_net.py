"""Letters to sounds for English words that no dictionary has. Runs in the speech worker.

Flow: a word -> letters -> GRU encoder -> GRU decoder, greedy -> ARPABET symbols with stress digits.
Source: the network of g2p_en 2.1 (Kyubyong Park and Jongseok Kim, Apache-2.0), trained on CMUdict; its weights
are vendored as assets/g2p/en_net.npz, the arithmetic below is the textbook GRU (Cho et al. 2014, reset gate
applied after the recurrent product as in cuDNN).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float32]

_LETTERS = ("<pad>", "<unk>", "</s>", *"abcdefghijklmnopqrstuvwxyz")
_STRESSED = ["AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH"]
_VOWELS = {vowel: [f"{vowel}{stress}" for stress in "012"] for vowel in _STRESSED} | {
    "UW": ["UW", "UW0", "UW1", "UW2"]
}
_CONSONANTS = [
    "B",
    "CH",
    "D",
    "DH",
    "F",
    "G",
    "HH",
    "JH",
    "K",
    "L",
    "M",
    "N",
    "NG",
    "P",
    "R",
    "S",
    "SH",
    "T",
    "TH",
    "V",
    "W",
    "Y",
    "Z",
    "ZH",
]
# The output layer lists the phones in alphabetical order behind four control symbols.
_PHONES = (
    "<pad>",
    "<unk>",
    "<s>",
    "</s>",
    *sorted([phone for group in _VOWELS.values() for phone in group] + _CONSONANTS),
)
_UNKNOWN_LETTER = 1
_END_OF_WORD = 2
_START = 2
_END = 3
# The longest entry of CMUdict has 31 phones; a decoder that has not stopped by then runs in circles.
_MAX_PHONES = 32
# Longer "words" are not words; they are read in slices so that nothing is dropped.
_MAX_LETTERS = 24


class LetterToSound:
    """The network. 0.8 million weights, about 3 ms per word."""

    def __init__(self, weights: Path) -> None:
        """Load the npz. Raises OSError or ValueError when it cannot be read."""
        with np.load(weights, allow_pickle=False) as arrays:
            self._w: dict[str, Vector] = {name: arrays[name].astype(np.float32) for name in arrays.files}

    def phones(self, word: str) -> list[str]:
        """ARPABET phones of `word` (letters a to z; others count as unknown)."""
        phones: list[str] = []
        for start in range(0, len(word), _MAX_LETTERS):
            phones.extend(self._slice(word[start : start + _MAX_LETTERS].lower()))
        return phones

    def _slice(self, word: str) -> list[str]:
        w = self._w
        letters = [_LETTERS.index(c) if c in _LETTERS else _UNKNOWN_LETTER for c in word] + [_END_OF_WORD]
        state: Vector = np.zeros(w["enc_w_hh"].shape[1], np.float32)
        for letter in letters:
            state = self._step("enc", w["enc_emb"][letter], state)
        phones: list[str] = []
        symbol = _START
        for _ in range(_MAX_PHONES):
            state = self._step("dec", w["dec_emb"][symbol], state)
            symbol = int(np.argmax(w["fc_w"] @ state + w["fc_b"]))
            if symbol == _END:
                break
            phones.append(_PHONES[symbol])
        return [phone for phone in phones if not phone.startswith("<")]

    def _step(self, side: str, inputs: Vector, state: Vector) -> Vector:
        w = self._w
        from_input = w[f"{side}_w_ih"] @ inputs + w[f"{side}_b_ih"]
        from_state = w[f"{side}_w_hh"] @ state + w[f"{side}_b_hh"]
        size = len(state)
        gates = 1.0 / (1.0 + np.exp(-(from_input[: 2 * size] + from_state[: 2 * size])))
        reset, update = gates[:size], gates[size:]
        candidate = np.tanh(from_input[2 * size :] + reset * from_state[2 * size :])
        result: Vector = ((1.0 - update) * candidate + update * state).astype(np.float32)
        return result
