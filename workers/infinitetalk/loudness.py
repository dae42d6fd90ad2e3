"""How loud speech is, in LUFS. Runs in the InfiniteTalk worker.

Flow: mono sound, read in stretches -> K-weighted power of blocks of 400 ms -> gated mean -> LUFS.
Source: Recommendation ITU-R BS.1770-4, annex 1 (filters, blocks, both gates) for one channel; the filters for
rates other than 48 kHz follow from their analogue prototypes (tangent warping), as the recommendation demands
of an implementation ("same frequency response at the other rate").
"""

from __future__ import annotations

import math

import numpy as np

from workers.infinitetalk.resample import Samples, Sound

TARGET_LUFS = -23.0  # EBU R 128, which the published preprocessing uses
_ABSOLUTE_GATE = -70.0
_RELATIVE_GATE = -10.0
_OFFSET = -0.691  # makes a full-scale sine of 997 Hz read -3.01
_HOPS_PER_S = 10  # blocks of 400 ms begin every 100 ms
_HOPS_PER_BLOCK = 4
# The slower filter's response falls below 1e-9 within this time.
_RESPONSE_S = 0.12
_BLOCK_HOPS = 300  # hops filtered in one go: 30 s

# The two filters' prototypes: a high shelf (the head) and a high pass.
_SHELF_HZ, _SHELF_DB, _SHELF_Q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
_SHELF_SLOPE = 0.4996667741545416
_PASS_HZ, _PASS_Q = 38.13547087602444, 0.5003270373238773

Biquad = tuple[tuple[float, float, float], tuple[float, float]]


def k_weighting(rate: int) -> tuple[Biquad, Biquad]:
    """((b0, b1, b2), (a1, a2)) of the shelf and of the high pass, at this sample rate."""
    k = math.tan(math.pi * _SHELF_HZ / rate)
    high = 10 ** (_SHELF_DB / 20)
    band = high**_SHELF_SLOPE
    scale = 1 + k / _SHELF_Q + k * k
    shelf = (
        (
            (high + band * k / _SHELF_Q + k * k) / scale,
            2 * (k * k - high) / scale,
            (high - band * k / _SHELF_Q + k * k) / scale,
        ),
        (2 * (k * k - 1) / scale, (1 - k / _SHELF_Q + k * k) / scale),
    )
    k = math.tan(math.pi * _PASS_HZ / rate)
    scale = 1 + k / _PASS_Q + k * k
    high_pass = ((1.0, -2.0, 1.0), (2 * (k * k - 1) / scale, (1 - k / _PASS_Q + k * k) / scale))
    return shelf, high_pass


def _response(rate: int) -> Samples:
    """What both filters make of one click: they are applied as a convolution, which needs no sample loop."""
    signal = [1.0] + [0.0] * (math.ceil(_RESPONSE_S * rate) - 1)
    for (b0, b1, b2), (a1, a2) in k_weighting(rate):
        x1 = x2 = y1 = y2 = 0.0
        for place, x in enumerate(signal):
            y = b0 * x + b1 * x1 + b2 * x2 - a1 * y1 - a2 * y2
            x1, x2, y1, y2 = x, x1, y, y1
            signal[place] = y
    return np.array(signal)


def integrated_loudness(sound: Sound) -> float:
    """LUFS of the whole sound; minus infinity for silence and for less than one block of 400 ms."""
    hop = sound.rate // _HOPS_PER_S
    hops = sound.length // hop
    if hops < _HOPS_PER_BLOCK:
        return -math.inf
    response = _response(sound.rate)
    powers = np.concatenate(
        [
            _hop_powers(sound, response, hop, low, min(hops, low + _BLOCK_HOPS))
            for low in range(0, hops, _BLOCK_HOPS)
        ]
    )
    blocks = np.convolve(powers, np.ones(_HOPS_PER_BLOCK), "valid") / (_HOPS_PER_BLOCK * hop)
    for gate in (_power(_ABSOLUTE_GATE), None):
        # The second gate lies 10 LU under the mean of what passed the first.
        limit = gate if gate is not None else blocks.mean() * 10 ** (_RELATIVE_GATE / 10)
        blocks = blocks[blocks > limit]
        if not blocks.size:
            return -math.inf
    return _OFFSET + 10 * math.log10(float(blocks.mean()))


def _power(lufs: float) -> float:
    return float(10 ** ((lufs - _OFFSET) / 10))


def _hop_powers(sound: Sound, response: Samples, hop: int, low: int, high: int) -> Samples:
    """Sum of squares of the weighted sound in each of the hops low .. high - 1."""
    start = max(0, low * hop - len(response))
    samples = sound.read(start, high * hop - start)
    size = 1 << (len(samples) + len(response)).bit_length()
    weighted = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(response, size), size)
    weighted = weighted[low * hop - start : high * hop - start]
    powers: Samples = np.square(weighted).reshape(-1, hop).sum(axis=1)
    return powers


def gain_to(target: float, sound: Sound) -> float:
    """Factor that brings a sound to `target` LUFS; 1 for silence, which no factor makes louder."""
    loudness = integrated_loudness(sound)
    return 1.0 if math.isinf(loudness) else float(10 ** ((target - loudness) / 20))
