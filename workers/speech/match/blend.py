"""The mix of built-in timbres that comes closest to a voice, before anything is spoken. Pure functions.

Flow: speaker vectors of the built-in timbres and of the voice -> non-negative least squares -> weights that sum to 1.
Source of the solver: Lawson and Hanson 1974, "Solving Least Squares Problems", chapter 23.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]

# Timbres of voices whose natural pitch is within this factor (e to the) belong to the same kind of speaker.
PITCH_REACH = 0.45
# A very high or very low voice still gets so many to choose from.
MIN_CHOICE = 6
# How strongly weights are held to a sum of 1, and kept small.
_SUM_WEIGHT = 3.0
_RIDGE = 0.12
_MAX_ROUNDS = 200
_TOLERANCE = 1e-9


def nnls(matrix: F64, wanted: F64) -> F64:
    """The x >= 0 (columns,) with the least |matrix x - wanted|."""
    columns = matrix.shape[1]
    gram, moment = matrix.T @ matrix, matrix.T @ wanted
    solution = np.zeros(columns)
    free = np.zeros(columns, np.bool_)
    for _ in range(_MAX_ROUNDS):
        slope = moment - gram @ solution
        slope[free] = -np.inf
        best = int(np.argmax(slope))
        if free.all() or slope[best] <= _TOLERANCE:
            break
        free[best] = True
        while True:
            trial = np.zeros(columns)
            index = np.flatnonzero(free)
            trial[index] = np.linalg.solve(gram[np.ix_(index, index)], moment[index])
            bad = free & (trial <= 0.0)
            if not bad.any():
                solution = trial
                break
            step = float(np.min(solution[bad] / np.maximum(solution[bad] - trial[bad], 1e-15)))
            solution = solution + step * (trial - solution)
            free &= solution > _TOLERANCE
            solution[~free] = 0.0
            if not free.any():
                break
    return solution


def candidates(log_pitches: F64, log_pitch: float) -> npt.NDArray[np.bool_]:
    """Which built-in timbres belong to voices of about this pitch."""
    distance = np.abs(log_pitches - log_pitch)
    near = distance < PITCH_REACH
    if near.sum() >= MIN_CHOICE:
        return np.asarray(near)
    return np.asarray(distance <= np.sort(distance)[MIN_CHOICE - 1])


def weights(vectors: F64, wanted: F64, allowed: npt.NDArray[np.bool_]) -> F64:
    """Weights (n,) of the timbres with speaker `vectors` (n, m) for a voice with the vector `wanted` (m,).

    Non-negative, sum 1, zero where not `allowed`.
    """
    chosen = vectors[allowed]
    size = float(np.linalg.norm(wanted))
    rows = chosen / np.maximum(np.linalg.norm(chosen, axis=1, keepdims=True), 1e-9) * size
    count = len(rows)
    matrix = np.vstack([rows.T, _SUM_WEIGHT * np.ones((1, count)), _RIDGE * np.eye(count)])
    found = nnls(matrix, np.concatenate([wanted, [_SUM_WEIGHT], np.zeros(count)]))
    result = np.zeros(len(vectors))
    total = float(found.sum())
    result[allowed] = found / total if total > _TOLERANCE else 1.0 / count
    return result
