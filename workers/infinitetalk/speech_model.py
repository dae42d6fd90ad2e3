"""wav2vec2 at 25 frames a second. Runs in the InfiniteTalk worker, on the CPU unless told otherwise.

Flow, for a stretch of N samples at 16 kHz and F frames of picture:

    samples (1, N) -> convolutions (1, 512, M), M about N / 320 (50 a second)
    -> linear interpolation to (1, 512, F) -> transformer -> 12 layers' outputs (F, 12, 768)

The interpolation happens between the convolutions and the transformer (hook on the former), first and last
frame kept (`align_corners`), as in the published preprocessing; the transformer then sees one token a frame.

A stretch of a longer sound gives the same convolution features as the whole sound would: the convolutions
have no padding and see 400 samples, each interpolated frame knows its place in the whole, and the first
layer's normalisation over time, if the model has it, is given the statistics of the whole sound.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from workers.infinitetalk.config import AUDIO_LAYERS
from workers.infinitetalk.resample import Sound

# Places of the first convolution that are looked at together: 20 s of sound.
_STATISTICS_BLOCK = 1 << 16


@dataclass(frozen=True, slots=True)
class Geometry:
    """How convolutions without padding map samples to features."""

    receptive: int  # samples that one feature sees: 400
    stride: int  # samples between features: 320

    @classmethod
    def of(cls, kernels: list[int], strides: list[int]) -> Geometry:
        receptive, stride = 1, 1
        for kernel, step in zip(kernels, strides, strict=True):
            receptive += (kernel - 1) * stride
            stride *= step
        return cls(receptive, stride)

    def features(self, samples: int) -> int:
        return (samples - self.receptive) // self.stride + 1


@dataclass(frozen=True, slots=True)
class ChannelStatistics:
    """Mean and variance over time of the first convolution's channels, fp64 (C,)."""

    mean: torch.Tensor
    variance: torch.Tensor


class SpeechModel:
    """A `Wav2Vec2Model` and what is asked of it."""

    def __init__(self, model: Any) -> None:
        """`model`: transformers' Wav2Vec2Model, of any size and norm; where its weights are, it runs."""
        self.model = model.eval()
        config = model.config
        if config.num_hidden_layers < AUDIO_LAYERS:
            raise ValueError(f"a wav2vec2 of {config.num_hidden_layers} layers, {AUDIO_LAYERS} are needed")
        self.geometry = Geometry.of(list(config.conv_kernel), list(config.conv_stride))
        self.normalises_over_time = config.feat_extract_norm == "group"

    @property
    def width(self) -> int:
        return int(self.model.config.hidden_size)

    def whole(self, samples: torch.Tensor, frames: int) -> torch.Tensor:
        """(frames, 12, width) fp32 on the CPU, of a sound in one piece: samples (N,)."""

        def interpolate(features: torch.Tensor) -> torch.Tensor:
            return functional.interpolate(features, size=frames, mode="linear", align_corners=True)

        return self._run(samples, interpolate)

    def stretch(
        self, sound: Sound, frames: int, start: int, stop: int, statistics: ChannelStatistics | None
    ) -> torch.Tensor:
        """(stop - start, 12, width): frames start .. stop - 1 of a sound that has `frames` of them."""
        features = self.geometry.features(sound.length)
        # Where each frame lies among the features of the whole sound; fp64, since fp32 has no more than
        # a hundredth of a feature left after an hour.
        places = torch.arange(start, stop, dtype=torch.float64) * ((features - 1) / max(1, frames - 1))
        low = places.floor().long().clamp(max=features - 1)
        high = (low + 1).clamp(max=features - 1)
        first, last = int(low[0]), int(high[-1])
        begin = first * self.geometry.stride
        count = (last - first) * self.geometry.stride + self.geometry.receptive
        share = (places - low).float()

        def interpolate(part: torch.Tensor) -> torch.Tensor:
            weight = share.to(part)
            return (
                part[..., (low - first).to(part.device)] * (1 - weight)
                + part[..., (high - first).to(part.device)] * weight
            )

        return self._run(samples_of(sound, begin, count), interpolate, statistics)

    def statistics(self, sound: Sound) -> ChannelStatistics | None:
        """What the first layer's normalisation would find in the whole sound; None if it looks at no time.

        The first convolution is linear: the mean and variance of all its channels follow from those of the
        ten samples it sees, a 10 x 10 matrix, without convolving an hour of sound into 512 channels.
        """
        if not self.normalises_over_time:
            return None
        convolution = self.model.feature_extractor.conv_layers[0].conv
        kernel, stride = convolution.kernel_size[0], convolution.stride[0]
        outputs = (sound.length - kernel) // stride + 1
        total = np.zeros(kernel)
        products = np.zeros((kernel, kernel))
        for low in range(0, outputs, _STATISTICS_BLOCK):
            count = min(_STATISTICS_BLOCK, outputs - low)
            samples = sound.read(low * stride, (count - 1) * stride + kernel)
            seen = np.lib.stride_tricks.sliding_window_view(samples, kernel)[::stride]
            total += seen.sum(axis=0)
            products += seen.T @ seen
        mean = total / outputs
        covariance = torch.from_numpy(products / outputs - np.outer(mean, mean))
        weight = convolution.weight.detach()[:, 0].double().cpu()
        channel_mean = weight @ torch.from_numpy(mean)
        if convolution.bias is not None:
            channel_mean += convolution.bias.detach().double().cpu()
        return ChannelStatistics(channel_mean, ((weight @ covariance) * weight).sum(1).clamp(min=0))

    @torch.no_grad()
    def _run(
        self,
        samples: torch.Tensor,
        interpolate: Callable[[torch.Tensor], torch.Tensor],
        statistics: ChannelStatistics | None = None,
    ) -> torch.Tensor:
        parameter = next(self.model.parameters())
        with self._hooks(interpolate, statistics):
            output = self.model(samples.to(parameter)[None], output_hidden_states=True)
        layers = output.hidden_states[1 : AUDIO_LAYERS + 1]
        return torch.stack([layer[0] for layer in layers], dim=1).float().cpu()

    @contextmanager
    def _hooks(
        self, interpolate: Callable[[torch.Tensor], torch.Tensor], statistics: ChannelStatistics | None
    ) -> Iterator[None]:
        extractor = self.model.feature_extractor
        handles = [extractor.register_forward_hook(lambda _module, _args, output: interpolate(output))]
        if statistics is not None:
            norm = extractor.conv_layers[0].layer_norm
            handles.append(
                norm.register_forward_hook(
                    lambda module, args, _output: _normalised(module, args[0], statistics)
                )
            )
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def _normalised(norm: Any, values: torch.Tensor, statistics: ChannelStatistics) -> torch.Tensor:
    """A GroupNorm of one channel a group, (1, C, M), with given statistics instead of those of `values`."""
    scale = norm.weight.double().cpu() / (statistics.variance + norm.eps).sqrt()
    shift = norm.bias.double().cpu() - statistics.mean * scale
    return torch.addcmul(shift.to(values)[:, None], values, scale.to(values)[:, None])


class NormalisedSound:
    """Zero mean, unit variance, then silence to a length: what Wav2Vec2FeatureExtractor makes of a sound.

    The measures are those of the sound without its padding, taken in one pass.
    """

    # transformers' own guard against silence.
    _EPSILON = 1e-7
    _BLOCK = 1 << 20

    def __init__(self, sound: Sound, length: int, gain: float = 1.0) -> None:
        self._sound = sound
        self.rate = sound.rate
        self.length = max(length, sound.length)
        total = squares = 0.0
        for start in range(0, sound.length, self._BLOCK):
            block = sound.read(start, min(self._BLOCK, sound.length - start)) * gain
            total += float(block.sum())
            squares += float(np.square(block).sum())
        self._mean = total / sound.length
        variance = max(0.0, squares / sound.length - self._mean**2)
        self._scale = 1 / math.sqrt(variance + self._EPSILON)
        self._gain = gain

    def read(self, start: int, count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        samples = np.zeros(count)
        inside = max(0, min(count, self._sound.length - start))
        if inside:
            samples[:inside] = (self._sound.read(start, inside) * self._gain - self._mean) * self._scale
        return samples


def samples_of(sound: Sound, start: int, count: int) -> torch.Tensor:
    """fp32 (count,)."""
    return torch.from_numpy(sound.read(start, count).astype(np.float32))
