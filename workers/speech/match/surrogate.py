"""Guessing how a voice would sound before speaking in it. Pure numpy; runs in the speech worker.

Flow: points that were spoken, with the speaker vector each gave -> Gaussian process whose outputs are whole vectors
-> vectors and doubt at any other point. Speaking costs seconds and a guess nothing; every trial tells 512 numbers
and not just one score, which is why a few dozen trials are enough for 22 dimensions.
Source: Rasmussen and Williams 2006, "Gaussian Processes for Machine Learning", chapter 2.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]

# A timbre moves the vector mostly in proportion, and in its own way within about four standard deviations.
_LINEAR, _LOCAL, _REACH = 0.012, 0.25, 4.0
# What a sentence adds to the vector whatever the voice, and what cannot be explained.
_SENTENCE = 0.12
NOISE = 0.01
# The kept vectors of the built-in timbres were made with another pitch and another sentence.
PRIOR_NOISE = 0.08
PRIOR = -1


class Surrogate:
    """Knows the trials so far. Points are centred on `origin`."""

    def __init__(self, origin: F64) -> None:
        self._origin = origin
        self._points: list[F64] = []
        self._groups: list[int] = []
        self._vectors: list[F64] = []
        self._noise: list[float] = []

    def tell(self, point: F64, group: int, vector: F64, noise: float = NOISE) -> None:
        """At `point` the sentence number `group` (PRIOR: none of ours) had this speaker vector."""
        self._points.append(point - self._origin)
        self._groups.append(group)
        self._vectors.append(vector)
        self._noise.append(noise)

    def fit(self, groups: int) -> None:
        """Take in what was told. Guesses are for the mean over the sentences 0 to `groups` - 1."""
        self._known = np.array(self._points)
        tags = np.array(self._groups)
        covariance = _kernel(self._known, self._known) + _SENTENCE * (tags[:, None] == tags[None])
        covariance += np.diag(self._noise)
        self._mean: F64 = np.mean(self._vectors, axis=0)
        self._inverse: F64 = np.linalg.inv(covariance)
        self._weights: F64 = self._inverse @ (np.array(self._vectors) - self._mean)
        self._shared: F64 = np.where(tags >= 0, _SENTENCE / groups, 0.0)

    def guess(self, points: F64) -> F64:
        """Vectors (n, m) expected at `points` (n, d)."""
        kernel = _kernel(points - self._origin, self._known) + self._shared
        return np.asarray(self._mean + kernel @ self._weights, np.float64)

    def spoken(self) -> F64:
        """The points that were really spoken (n, d), in order."""
        own = [point for point, group in zip(self._points, self._groups, strict=True) if group >= 0]
        return np.array(own) + self._origin


def _kernel(left: F64, right: F64) -> F64:
    distance = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)[None] - 2 * left @ right.T
    return np.asarray(
        _LINEAR * left @ right.T + _LOCAL * np.exp(-np.maximum(distance, 0.0) / (2 * _REACH**2)), np.float64
    )
