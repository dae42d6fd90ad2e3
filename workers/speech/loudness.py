"""Integrated loudness of a recording. Pure function; runs in the speech worker and in benchmarks.

Source: ITU-R BS.1770-4 (K-weighting, gating at -70 LUFS and at -10 LU below the ungated mean). The weighting is
applied in the frequency domain, where two biquads are one multiplication: no filter loop in Python.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_BLOCK_S = 0.4
_STEP_S = 0.1
_ABSOLUTE_GATE = -70.0
_RELATIVE_GATE = -10.0
_OFFSET = -0.691
# Analogue prototypes of the two K-weighting stages: the standard gives their digital form at 48 kHz, these are the
# parameters from which it follows at any rate (as derived by De Man, "Evaluation of Implementations of the EBU
# R128 Loudness Measurement", AES 145, 2018).
_SHELF_HZ, _SHELF_DB, _SHELF_Q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
_HIGH_PASS_HZ, _HIGH_PASS_Q = 38.13547087602444, 0.5003270373238773
_SHELF_EXPONENT = 0.4996667741545416

SILENCE_LUFS = float("-inf")


def _response(b: list[float], a: list[float], z: npt.NDArray[np.complex128]) -> npt.NDArray[np.complex128]:
    numerator = b[0] + b[1] * z + b[2] * z**2
    denominator = a[0] + a[1] * z + a[2] * z**2
    result: npt.NDArray[np.complex128] = numerator / denominator
    return result


def _weighting(bins: int, rate: int) -> npt.NDArray[np.float64]:
    """Amplitude response of both stages at `bins` frequencies from 0 to rate / 2."""
    omega = np.linspace(0.0, np.pi, bins)
    z = np.exp(-1j * omega)
    k = np.tan(np.pi * _SHELF_HZ / rate)
    high = 10.0 ** (_SHELF_DB / 20.0)
    band = high**_SHELF_EXPONENT
    norm = 1.0 + k / _SHELF_Q + k * k
    shelf_b = [(high + band * k / _SHELF_Q + k * k) / norm, 2 * (k * k - high) / norm]
    shelf_b.append((high - band * k / _SHELF_Q + k * k) / norm)
    shelf_a = [1.0, 2 * (k * k - 1) / norm, (1 - k / _SHELF_Q + k * k) / norm]
    k = np.tan(np.pi * _HIGH_PASS_HZ / rate)
    norm = 1.0 + k / _HIGH_PASS_Q + k * k
    pass_a = [1.0, 2 * (k * k - 1) / norm, (1 - k / _HIGH_PASS_Q + k * k) / norm]
    response = _response(shelf_b, shelf_a, z) * _response([1.0, -2.0, 1.0], pass_a, z)
    result: npt.NDArray[np.float64] = np.abs(response)
    return result


def integrated_loudness(samples: npt.NDArray[np.float32], rate: int) -> float:
    """LUFS of mono `samples` (-1..1); SILENCE_LUFS when nothing passes the gates or there is less than 0.4 s."""
    block, step = round(_BLOCK_S * rate), round(_STEP_S * rate)
    if len(samples) < block:
        return SILENCE_LUFS
    size = 1 << (len(samples) - 1).bit_length()
    spectrum = np.fft.rfft(samples.astype(np.float64), size)
    weighted = np.fft.irfft(spectrum * _weighting(len(spectrum), rate), size)[: len(samples)]
    energy = np.concatenate([[0.0], np.cumsum(weighted**2)])
    starts = np.arange(0, len(samples) - block + 1, step)
    power = (energy[starts + block] - energy[starts]) / block
    loud = power[_lufs(power) > _ABSOLUTE_GATE]
    if not len(loud):
        return SILENCE_LUFS
    gate = float(_lufs(np.array([loud.mean()]))[0]) + _RELATIVE_GATE
    loud = loud[_lufs(loud) > gate]
    return float(_lufs(np.array([loud.mean()]))[0]) if len(loud) else SILENCE_LUFS


def _lufs(power: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    result: npt.NDArray[np.float64] = _OFFSET + 10.0 * np.log10(np.maximum(power, 1e-15))
    return result
