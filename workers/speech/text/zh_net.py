"""The reading of a Chinese character by the whole sentence, for characters with several. Runs in the speech worker.

Flow: the characters of a sentence -> embeddings -> one LSTM from each side -> for each asked character the weights
of the readings it may have -> probabilities.
Source: weights of g2pM 0.1.2.5 (Park and Lee, Interspeech 2020, arXiv 2004.03136; Apache-2.0), in half precision,
vendored as assets/g2p/zh_net.npz.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

# Ids of what stands for no character: unknown, the beginning and the end of a sentence.
_UNKNOWN, _BEGIN, _END = 1, 2, 3


class ReadingNet:
    """Loaded once; reading a sentence of 40 characters takes about 3 ms."""

    def __init__(self, path: Path) -> None:
        """`path`: zh_net.npz. Raises OSError or ValueError when it cannot be read."""
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        self._characters = {
            character: number for number, character in enumerate(str(arrays.pop("characters")))
        }
        self._classes = {name: number for number, name in enumerate(str(arrays.pop("classes")).split())}
        self._a: dict[str, Array] = {name: array.astype(np.float32) for name, array in arrays.items()}

    def knows(self, reading: str) -> bool:
        """Whether the network was taught this reading ("zhang3")."""
        return reading in self._classes

    def look(self, text: str) -> Array:
        """What both sides of each character say about it, shape (len(text), 64). Linear in the length."""
        ids = [_BEGIN, *(self._characters.get(character, _UNKNOWN) for character in text), _END]
        x = self._a["embedding"][ids]
        both = np.concatenate([self._run(x, ""), self._run(x[::-1], "_reverse")[::-1]], axis=1)
        return both[1:-1]

    def weigh(self, seen: Array, readings: Sequence[str]) -> list[float]:
        """Probabilities of `readings`, all known, by one row of `look`; they sum to 1."""
        hidden = np.maximum(self._a["head0_w"] @ seen + self._a["head0_b"], 0.0)
        chosen = [self._classes[reading] for reading in readings]
        logits = self._a["head1_w"][chosen] @ hidden + self._a["head1_b"][chosen]
        weights = np.exp(logits - logits.max())
        return [float(weight) for weight in weights / weights.sum()]

    def _run(self, x: Array, side: str) -> Array:
        """The states of one LSTM along the rows of `x`, shape (rows, hidden). Gates in the order i, f, g, o."""
        hidden_w = self._a[f"hidden{side}"]
        size = hidden_w.shape[1]
        inputs = x @ self._a[f"input{side}"].T + self._a[f"bias{side}"]
        h = np.zeros(size, np.float32)
        c = np.zeros(size, np.float32)
        states = np.empty((len(inputs), size), np.float32)
        for at, row in enumerate(inputs):
            gates = row + hidden_w @ h
            i, f, o = (1 / (1 + np.exp(-gates[k * size : (k + 1) * size])) for k in (0, 1, 3))
            c = f * c + i * np.tanh(gates[2 * size : 3 * size])
            h = (o * np.tanh(c)).astype(np.float32)
            states[at] = h
        return states
