"""Another sample rate for a clip that is whole in memory. Pure function; runs in the workers that speak.

Flow: samples -> spectrum -> cut or extended to the new number of bins -> samples. For a whole clip this is exact:
everything below the lower of both Nyquist frequencies survives, everything above is gone.
"""

from __future__ import annotations

from math import gcd

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]

# The spectrum of a clip is that of the clip repeated for ever. Silence at both ends keeps its end from ringing into
# its beginning.
_PAD_S = 0.05
# The last part of the band fades out instead of ending like a wall, which would ring around every click.
_FADE_SHARE = 0.04


def resample(samples: Samples, rate: int, wanted: int) -> Samples:
    """`samples` (mono float32) at `rate` Hz as they sound at `wanted` Hz; lengths differ by the ratio.

    Raises ValueError for a rate below 1.
    """
    if rate < 1 or wanted < 1:
        raise ValueError(f"{rate} to {wanted} Hz is no conversion")
    if rate == wanted or not len(samples):
        return samples.astype(np.float32)
    step = rate // gcd(rate, wanted)
    pad = -(-round(_PAD_S * rate) // step) * step  # a whole number of new samples
    size = -(-(len(samples) + 2 * pad) // step) * step
    padded = np.zeros(size, np.float64)
    padded[pad : pad + len(samples)] = samples
    spectrum = np.fft.rfft(padded)
    new_size = size // step * (wanted // gcd(rate, wanted))
    bins = min(len(spectrum), new_size // 2 + 1)
    kept = spectrum[:bins].copy()
    if bins < len(spectrum):
        fade = max(1, round(bins * _FADE_SHARE))
        kept[-fade:] *= np.cos(np.linspace(0.0, np.pi / 2, fade)) ** 2
    whole = np.zeros(new_size // 2 + 1, np.complex128)
    whole[:bins] = kept
    result = np.fft.irfft(whole, new_size) * (new_size / size)
    start = pad // step * (wanted // gcd(rate, wanted))
    length = round(len(samples) * wanted / rate)
    return result[start : start + length].astype(np.float32)
